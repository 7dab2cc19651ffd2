"""Alertmanager's own webhook, version "4": what its receivers expect, byte for byte."""
