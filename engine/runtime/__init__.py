"""What drives the core: the embedded runtime (one process, one database)."""
