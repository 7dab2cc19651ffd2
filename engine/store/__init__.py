"""Where journal and log are kept: one transaction per batch, on SQLite or PostgreSQL."""
