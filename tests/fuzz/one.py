"""One harness under atheris: `python -m tests.fuzz.one NAME CORPUS… [-libFuzzer=option …]`. Ends the process."""

from __future__ import annotations

import random
import sys

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # in an environment of its own

GUIDED_BY = ["sources", "schemas", "engine.located_yaml", "engine.plain_words", "ruamel.yaml"]
"""Python code whose branches guide the fuzzer; msgspec and pydantic are compiled, and show it nothing."""

with atheris.instrument_imports(include=GUIDED_BY):
    from tests.fuzz.harnesses import HARNESSES, corpus

NAME = sys.argv[1]
REAL = corpus(NAME)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Up to eight changes to what the fuzzer chose, or as often to a real input.

    Without the latter compiled decoders, for whose branches the fuzzer is blind, would see noise only.
    """
    chooser = random.Random(seed)
    if chooser.random() < 0.5:
        data = chooser.choice(REAL)[:max_size]
    for _ in range(chooser.randint(1, 8)):
        data = atheris.Mutate(data, max_size)
    return data


atheris.Setup([sys.argv[0], *sys.argv[2:]], HARNESSES[NAME], custom_mutator=mutate)
atheris.Fuzz()
