"""The fuzzer's harnesses in small: what `make fuzz` drives for minutes holds on real inputs and near them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.harnesses import HARNESSES, corpus


@pytest.mark.parametrize("name", HARNESSES)
def test_every_parser_has_real_inputs(name: str) -> None:
    """Each harness has something real to begin with, and finds nothing wrong with it."""
    bodies = corpus(name)
    assert bodies
    for body in bodies:
        HARNESSES[name](body)


@pytest.mark.parametrize("name", HARNESSES)
def test_inputs_near_real_ones_are_read_or_refused(name: str) -> None:
    """With some bytes lost, changed or added an input is understood, or refused by the error that is meant for it."""
    small = [body for body in corpus(name) if len(body) <= 2000] or corpus(name)

    @seed(20260105)
    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        real=st.sampled_from(small),
        changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), st.binary(max_size=4)), max_size=4),
    )
    def one(real: bytes, changes: list[tuple[float, int, bytes]]) -> None:
        for where, cut, put in changes:
            at = int(where * len(real))
            real = real[:at] + put + real[at + cut :]
        HARNESSES[name](real)

    one()


def test_a_yaml_version_that_there_is_not_is_refused() -> None:
    """`%YAML 1.4` is refused like other broken YAML; found by the fuzzer."""
    HARNESSES["located_yaml"](b"%YAML 1.4\n---\na: 1\n")
