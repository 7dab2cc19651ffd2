"""The files of deploy/, checked as far as no container engine is needed."""
