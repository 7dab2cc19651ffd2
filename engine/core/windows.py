"""Maintenance windows: they open and close by themselves; when one closes, all that it held is judged again."""

from __future__ import annotations

from engine.core import quiet
from engine.core.members import MAINTENANCE
from engine.core.silences import mute, unmute
from engine.core.step import Step
from schemas import events as e


def wake(name: str, due_ms: int, step: Step) -> None:
    """A boundary of a window may have come; timers of earlier rules are not listened to."""
    if step.state.window_due.get(name) == due_ms:
        look(name, step)


def configure(step: Step) -> None:
    """Other rules hold now: windows that they do not have are closed, those that are open under them opened."""
    for name in sorted({*step.state.windows, *step.state.window_due} - step.ruleset.windows.keys()):
        step.state.window_due.pop(name, None)
        _close(name, step)
    for name in step.ruleset.windows:
        _close(name, step, still=True)
        look(name, step)


def look(name: str, step: Step) -> None:
    """Open or close one window as its rule says now, and see to it that its next boundary is noticed."""
    window, state = step.ruleset.windows[name], step.state
    opening = window.next_opening(step.at_ms)
    is_open = opening is not None and opening.starts_ms <= step.at_ms
    state.window_due.pop(name, None)
    if opening is not None:
        state.window_due[name] = opening.ends_ms if is_open else opening.starts_ms
        step.timers.set(state.window_due[name], "window", name)
    if is_open and opening is not None:
        if name in state.windows:
            state.windows[name] = opening.ends_ms
            return
        state.windows[name] = opening.ends_ms
        muted, incidents = mute(MAINTENANCE + name, window.matchers, step)
        opened = e.WindowOpened(name, opening.ends_ms, muted, state.rules_version)
        step.log(opened, scope="default", subject=f"window/{name}")
        quiet.review(incidents, step)
    else:
        _close(name, step)


def _close(name: str, step: Step, *, still: bool = False) -> None:
    """Close a window if it is open; with `still`, only where its matchers are not those that it was opened with."""
    if name not in step.state.windows:
        return
    if still and step.registry.mutes_by(MAINTENANCE + name) == step.ruleset.windows[name].matchers:
        return
    del step.state.windows[name]
    step.log(e.WindowClosed(name), scope="default", subject=f"window/{name}")
    unmute(MAINTENANCE + name, step)
