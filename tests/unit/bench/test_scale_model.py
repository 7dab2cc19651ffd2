"""The model behind docs/scale.md: it is deterministic, its shares add up, and the page says what it says."""

from __future__ import annotations

import pytest

from bench import scale_model
from bench.scale_model import PAGE, Costs, filled, limit, read_costs, simulated_table, spread

COSTS = Costs(5.0, 40.0, 4.0, 3.0, 0.5, 30_000.0, 5.0, 50.0)


def test_the_page_is_what_the_model_makes_of_its_costs() -> None:
    """The simulated tables of docs/scale.md follow from the measured one above them."""
    page = PAGE.read_text("utf-8")
    costs = read_costs(page)
    parts = {"simulated": simulated_table(costs), "demand": scale_model.demand_table(costs)}
    assert filled(page, parts) == page


def test_costs_survive_the_page() -> None:
    """What is written into the table is read back from it."""
    mark = scale_model.MARK.format(name="measured")
    assert read_costs(f"{mark}\n{scale_model.measured_table(COSTS)}\n<!-- end -->") == COSTS


@pytest.mark.parametrize("key", scale_model.KEYS)
def test_the_hottest_partition_bears_at_least_the_mean_and_the_hottest_scope(key: str) -> None:
    """Nothing is lost on the way to the partitions: the hottest has its fair share, and its scope's, at least."""
    found = spread(key, 1.0, 48, seeds=3)
    assert found.hottest_partition >= max(1 / 48, found.hottest_scope)
    assert spread(key, 1.0, 48, seeds=3) == found


def test_more_partitions_do_not_help_a_scope_that_is_too_loud() -> None:
    """The limit of a cluster is at most that of its hottest scope on one core."""
    for partitions in scale_model.PARTITIONS:
        found = spread("service", 1.0, partitions, seeds=3)
        alone = scale_model.FULL * 1e6 / COSTS.resent_us / found.hottest_scope
        assert limit(found, COSTS, "plain") < alone
        assert limit(found, COSTS, "Faust") < limit(found, COSTS, "plain")
