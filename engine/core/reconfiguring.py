"""Other rules come into force: nothing is forgotten, and all that is held is judged again by them."""

from __future__ import annotations

from engine.core import windows
from engine.core.settling import Settling, ruled_by
from engine.core.step import Step


def reconfigure(step: Step) -> None:
    """The rules of `step` hold from now on. Alerts that belong to incidents stay there."""
    held = [alert for alert in step.state.alerts.values() if alert.firing and alert.held not in ("", "storm")]
    for alert in held:
        ruled_by(alert, step)
    if not step.ruleset.flapping.enabled:
        for alert in step.state.alerts.values():
            alert.flapping, alert.changes = False, ()
    changed = step.registry.use(step.ruleset)
    windows.configure(step)
    settling = Settling(step)
    settling.judge_again(held)
    settling.quieter(changed)
    settling.settle()
