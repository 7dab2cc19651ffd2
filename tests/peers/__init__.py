"""Vendors as they behave on the wire, on 127.0.0.1: real sockets for tests and for the demo."""
