"""What to watch and what to do about it, as YAML and Markdown."""
