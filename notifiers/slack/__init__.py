"""Slack: an incoming webhook."""
