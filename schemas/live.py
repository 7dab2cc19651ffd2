"""The live state as the outer rooms may look at it: alerts and silences as they stand now, to read only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from schemas.config import Rules
from schemas.matchers import Matchers
from schemas.roster import Roster
from schemas.silences import Silence, SilenceState
from schemas.vocabulary import Disposition, Severity


class LiveAlert(msgspec.Struct, frozen=True, gc=False):
    """One alert as it stands now. Times are UTC milliseconds; `labels` are those after the rules about alerts.

    `state` is ``suppressed`` while a silence, a maintenance window or another alert keeps it quiet. `ends_ms` is the
    end that the sender stated, `expires_ms` when its silence means that it is over. `held` is the disposition that
    keeps it out of incidents (empty: it is in one, or was), `held_by` names what holds it.
    """

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    firing: bool
    state: Literal["active", "suppressed"]
    severity: Severity
    starts_ms: int
    ends_ms: int | None
    expires_ms: int
    updated_ms: int
    resolved_ms: int = 0
    generator_url: str = ""
    source: str = ""
    scope: str = "default"
    incident: str = ""
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    """Fingerprints of the alerts that inhibit it, one for each rule."""
    maintained_by: tuple[str, ...] = ()
    """Names of the maintenance windows that are open for it."""
    held: Disposition | Literal[""] = ""
    held_by: tuple[str, ...] = ()


class AlertQuery(msgspec.Struct, frozen=True):
    """Which alerts: those that satisfy all of `matchers`, and are in a state that is not excluded.

    `after` is the fingerprint of the last one seen: the next page begins behind it.
    """

    matchers: Matchers = ()
    active: bool = True
    silenced: bool = True
    inhibited: bool = True
    in_maintenance: bool = True
    resolved: bool = False
    """Whether those that have healed, and are remembered still, count as well."""
    dropped: bool = False
    """Whether those that a rule dropped count as well."""
    after: str = ""


class LiveSilence(msgspec.Struct, frozen=True):
    """A silence as it stands now, and how many alerts it has held back."""

    silence: Silence
    state: SilenceState
    hits: int = 0


class LiveGroup(msgspec.Struct, frozen=True, gc=False):
    """A notification group as it stands now: one route's alerts with equal group labels."""

    id: str
    key: str
    receiver: str
    labels: Mapping[str, str]
    alerts: Sequence[str]
    """Fingerprints, those of resolved alerts that receivers have not been told of included."""
    muted_by: Sequence[str] = ()
    """Names of the time intervals in which, or outside of which, nothing is sent."""


class LiveState(Protocol):
    """What is so now, accepted inputs included that are not on disk yet.

    Call it from the thread of the engine's loop and use an answer up before the next ``await``: it reads the state
    itself, nothing is copied.
    """

    def rules(self) -> Rules:
        """The rules in force."""
        ...

    def alerts(self, query: AlertQuery = ...) -> Iterator[LiveAlert]:
        """The alerts that a query asks for, by fingerprint. Lazy: a page costs what it shows and skips."""
        ...

    def alert(self, fingerprint: str) -> LiveAlert | None:
        """One alert, or None when it is not remembered."""
        ...

    def silences(self) -> Sequence[LiveSilence]:
        """All silences, the expired ones of the last 120 hours included, in the order in which they were made."""
        ...

    def silence(self, silence_id: str) -> LiveSilence | None:
        """One silence, or None."""
        ...

    def hits(self) -> Mapping[str, int]:
        """How many alerts each silence, window and rule has held, by name as in `AlertsHeld.by`."""
        ...

    def open_windows(self) -> Mapping[str, int]:
        """The maintenance windows that are open now: name and end (UTC milliseconds)."""
        ...

    def groups(self) -> Sequence[LiveGroup]:
        """All notification groups, in the order in which they began."""
        ...

    def oncall(self) -> Roster:
        """Who is on call, and who is being paged."""
        ...

    def receivers(self, fingerprint: str) -> Sequence[str]:
        """The receivers of dispatch to which an alert goes, in the order of the routes; none where it is off."""
        ...
