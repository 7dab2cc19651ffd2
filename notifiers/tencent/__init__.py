"""Tencent Cloud (腾讯云): SMS and telephone calls, signed with TC3-HMAC-SHA256."""
