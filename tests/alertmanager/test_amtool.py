"""`amtool`, Debian's and that of the current release, has the same answers from Tocsin as from Alertmanager."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.alertmanager.pair import Pair
from tests.alertmanager.suite import release
from tests.servers import require
from tests.servers.process import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDED = (
    ("alert", "add", "Slow", "team=web", "severity=warning", "--annotation=summary=it is slow"),
    ("alert", "add", "Slow", "team=web", "severity=critical", "--generator-url=http://prometheus.example/graph"),
    ("alert", "add", "alertname=Full", "team=night", "--start={0}", "--end={1}"),
    ("alert", "add", "Quiet", "team=west", "note=with 'quotes' and ünïcode"),
)
SPAN = ("2026-01-05T04:00:00Z", "2096-01-05T04:00:00Z")
QUERIES = (
    ("alert", "query"),
    ("alert", "query", "-o", "json"),
    ("alert", "query", "-o", "extended", "Slow"),
    ("alert", "query", "-o", "json", 'team=~"we.*"', "severity!=critical"),
    ("alert", "query", "-o", "json", "--inhibited"),
    ("alert", "query", "-o", "json", "--silenced"),
    ("alert", "query", "-o", "json", "--active", "--receiver=night"),
    ("alert", "query", "team=~("),
)
SILENCES = (
    ("silence", "add", "alertname=Slow", "--comment=known", "--duration=2h", "--author=li"),
    ("silence", "add", 'team=~"night|day"', "severity!=critical", "--comment=night work", "--duration=3h"),
    ("silence", "add", "Quiet"),
    ("silence", "add", "alertname=~(", "--comment=x"),
    ("silence", "add", "alertname=~.*", "--comment=x"),
    ("silence", "query"),
    ("silence", "query", "-o", "json"),
    ("silence", "query", "-o", "extended", "alertname=Slow"),
    ("silence", "query", "-q"),
    ("silence", "query", "--within=1h"),
    ("silence", "query", "--created-by=li", "-q"),
    ("alert", "query", "-o", "json", "--silenced"),
    ("silence", "update", "--duration=4h", "--comment=longer", "{0}"),
    ("silence", "query", "-o", "json"),
    ("silence", "expire", "{1}"),
    ("silence", "expire", "00000000-0000-4000-8000-000000000000"),
    ("silence", "query", "-o", "json"),
    ("silence", "query", "--expired", "--within=1h"),
    ("silence", "import", "{folder}/silences.json"),
    ("silence", "query", "-o", "json"),
    ("silence", "import", "{folder}/broken.json"),
)
CONFIG = (
    ("config", "routes", "show"),
    ("config", "routes", "test", "team=web"),
    ("config", "routes", "test", "team=west", "--verify.receivers=everybody"),
    ("config", "routes", "test", "team=night", "--verify.receivers=web"),
    ("config", "routes", "test", "{{nonsense}}"),
)


@pytest.fixture(params=["debian", "current"], scope="module")
def programs(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The current Alertmanager, and an `amtool`: Debian's is years older."""
    built = release()
    return str(built / "alertmanager"), require("amtool") if request.param == "debian" else str(built / "amtool")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(programs: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Both servers, with the same alerts."""
    async with Pair(tmp_path_factory.mktemp("pair"), programs[0]) as running:
        for arguments in ADDED:
            filled = [text.format(*SPAN) for text in arguments]
            for server in (running.real, running.ours):
                added = await server.amtool(programs[1], *filled)
                assert added.code == 0, added
        yield running


async def test_amtool_has_the_same_answers(pair: Pair, programs: tuple[str, str]) -> None:
    """Alerts, silences and routes: exit code, output and errors are equal, but for ids and times."""
    amtool = programs[1]
    for server in (pair.real, pair.ours):
        exported = await server.amtool(amtool, "silence", "query", "-o", "json")
        (server.folder / "silences.json").write_text(exported.out)
        (server.folder / "broken.json").write_text('[{"broken": ')

    async def same() -> bool:
        real, ours = await pair.amtool(amtool, "alert", "query", "-o", "json", "--receiver=night")
        return real == ours

    await eventually(same, "the same alerts", timeout_s=60)
    for arguments in (*QUERIES, *SILENCES):
        if arguments[:2] == ("silence", "import"):
            for server in (pair.real, pair.ours):
                made = await server.amtool(amtool, "silence", "query", "-o", "json")
                (server.folder / "silences.json").write_text(made.out)
        real, ours = await pair.amtool(amtool, *arguments)
        assert ours == real, f"amtool {' '.join(arguments)}\nTocsin: {ours}\nAlertmanager: {real}"


async def test_amtool_finds_the_same_routes(pair: Pair, programs: tuple[str, str]) -> None:
    """`config routes` prints what it prints for Alertmanager. Debian's cannot read what a current one shows."""
    for arguments in CONFIG:
        real = await pair.real.amtool(str(release() / "amtool"), *arguments)
        ours = await pair.ours.amtool(programs[1], *arguments)
        assert (ours.code, ours.out) == (real.code, real.out), arguments


async def test_what_tocsin_shows_as_its_configuration_is_one(pair: Pair, programs: tuple[str, str]) -> None:
    """`amtool config show` prints an alertmanager.yml that `amtool check-config` takes."""
    shown = await pair.ours.amtool(programs[1], "config", "show")
    assert shown.code == 0, shown
    written = pair.ours.folder / "shown.yml"
    written.write_text(shown.out)
    checked = await pair.ours.amtool(programs[1], "check-config", str(written))
    assert checked.code == 0, checked
    assert "4 receivers" in checked.out
