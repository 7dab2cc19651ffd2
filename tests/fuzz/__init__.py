"""Coverage-guided fuzzing of every parser; `python -m tests.fuzz` needs atheris, see `make fuzz`."""
