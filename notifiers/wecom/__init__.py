"""WeCom (企业微信): a group's robot, and an application's messages to members."""
