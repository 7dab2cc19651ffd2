"""Alertmanager's own acceptance suites pass against Tocsin, but for the tests that docs/alertmanager.md names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alertmanager import suite
from tests.alertmanager.suite import Name

PAGE = Path(__file__).resolve().parents[2] / "docs/alertmanager.md"
ROUNDS = 3
"""The suite judges by half seconds of the clock: on a machine under load a test may fail for that alone."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A folder for the suites, and the socket at which Tocsins are started."""
    suite.release()
    folder = tmp_path_factory.mktemp("suite")
    suite.prepare(folder)
    with suite.forker(folder) as socket:
        yield folder, socket


def listed(name: Name) -> dict[str, bool]:
    """The tests of a suite as the page lists them: whether each passes."""
    section = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", PAGE.read_text("utf-8"), re.DOTALL)
    assert section, f"{PAGE.name} has no list of the suite {name}"
    rows = re.findall(r"^\| `(Test\w+)` \| (passes|no: .+?) \|$", section[1], re.MULTILINE)
    assert rows
    return {test: said == "passes" for test, said in rows}


@pytest.mark.parametrize("name", ["api_v2", "cli"])
def test_the_list_of_acceptance_tests_is_true(place: tuple[Path, Path], name: Name) -> None:
    """Each test that the page calls passing passes, within three rounds; each other one fails, and none is left out."""
    wanted = listed(name)
    first = suite.run(name, *place)
    outcomes, output = first.outcomes, first.output
    assert set(outcomes) == set(wanted), output[-4000:]
    for _ in range(ROUNDS - 1):
        again = [test for test, passes in wanted.items() if passes and outcomes[test] != "PASS"]
        if again:
            repeated = suite.run(name, *place, again)
            outcomes, output = outcomes | repeated.outcomes, repeated.output
    wrong = {test for test, passes in wanted.items() if passes != (outcomes[test] == "PASS")}
    assert not wrong, f"{sorted(wrong)}\n{output[-20_000:]}"
