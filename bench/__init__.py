"""Benchmarks: what Tocsin costs beside its peers. They print figures and never assert times; `python -m bench`."""
