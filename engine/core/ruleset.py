"""The rules about alerts of one version, read once and ready to be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detectors import alert_rules
from detectors.correlation import Correlator
from detectors.inhibition import inhibition_rules
from detectors.matchers import MatcherIndex, Matchers
from detectors.windows import Window
from schemas.config import Rules
from schemas.denoise import Denoise, HoldBack, read


class RuleSet:
    """What the gates ask of the rules."""

    def __init__(self, rules: Rules) -> None:
        denoise: Denoise = rules
        self.alert_rules = alert_rules.RuleSet(rules)
        self.correlator = Correlator(rules)
        self.inhibit = inhibition_rules(denoise)
        self.flapping, self.storm, self.silence_notice_s = denoise.flapping, denoise.storm, denoise.silence_notice_s
        self.windows = {
            one.name: Window(one, read(one.matchers), one.timezone or rules.timezone, denoise.calendar)
            for one in denoise.maintenance
        }
        self._noise = _indexed([(one.name, one.matchers) for one in denoise.noise])
        self._hold_back: dict[str, HoldBack] = {one.name: one for one in denoise.hold_back}
        self._held_back = _indexed([(one.name, one.matchers) for one in denoise.hold_back])

    def noise_of(self, labels: Mapping[str, str]) -> list[str]:
        """The names of the noise rules that an alert satisfies."""
        return self._noise.matching(labels) if self._noise else []

    def hold_back_of(self, labels: Mapping[str, str]) -> list[HoldBack]:
        """The rules by which an alert has to last before it opens anything."""
        return [self._hold_back[name] for name in self._held_back.matching(labels)] if self._held_back else []


def _indexed(rules: Sequence[tuple[str, tuple[str, ...]]]) -> MatcherIndex[str]:
    sets: list[tuple[str, Matchers]] = [(name, read(texts)) for name, texts in rules]
    return MatcherIndex(sets)
