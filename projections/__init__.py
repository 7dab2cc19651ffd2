"""Read models, built from the log alone."""
