"""Aliyun (阿里云): SMS and telephone calls, signed with ACS3-HMAC-SHA256."""
