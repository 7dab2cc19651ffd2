"""Feishu and Lark (飞书): a group's robot, signed, with cards."""
