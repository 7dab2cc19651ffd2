"""The command line: `tocsin …`."""
