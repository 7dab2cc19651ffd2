"""The engine: a deterministic core between a journal and a log, the runtimes that drive it, and the command line."""
