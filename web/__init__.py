"""The HTTP interface: ingest, API, console."""
