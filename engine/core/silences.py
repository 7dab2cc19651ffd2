"""Silences: commands that make, change and end them, and their moments: start, notice, end, forgetting.

Decided as Alertmanager decides (`silence/silence.go`): what would alter the past of one ends it and makes another.
"""

from __future__ import annotations

import hashlib

import msgspec

from engine.core import quiet
from engine.core.settling import Settling
from engine.core.state import KeptSilence
from engine.core.step import Step
from schemas import events as e
from schemas.errors import CommandRejected
from schemas.matchers import Matcher
from schemas.records import Commanded
from schemas.silences import RETENTION_MS, ExpireSilence, SetSilence, Silence

MOST_SILENCES = 50_000
"""Remembered at once, the expired ones included."""


def set_silence(command: SetSilence, record: Commanded, step: Step) -> None:
    """Make a silence, or change one. Raises CommandRejected (``not_found``, ``invalid``, ``too_many``)."""
    at_ms = step.at_ms
    before = step.state.silences.get(command.id)
    if command.id and before is None:
        raise CommandRejected("not_found", f"there is no silence {command.id}")
    silence = Silence(
        id=command.id,
        matchers=_matchers(command),
        starts_ms=command.starts_ms or at_ms,
        ends_ms=command.ends_ms,
        created_by=command.created_by or record.actor,
        comment=command.comment,
        updated_ms=at_ms,
        annotations=command.annotations,
    )
    if silence.ends_ms <= silence.starts_ms:
        raise CommandRejected("invalid", "start time must be before end time")
    if silence.ends_ms <= at_ms:
        raise CommandRejected("invalid", "end time can't be in the past")
    if before is not None and _can_become(before.silence, silence, at_ms):
        _update(before, silence, record, step)
        return
    if len(step.state.silences) >= MOST_SILENCES:
        raise CommandRejected("too_many", f"there are {MOST_SILENCES} silences, no more are taken")
    replaces = command.id if before is not None and before.silence.state_at(at_ms) != "expired" else ""
    if before is not None and replaces:
        _expire(before, record.actor, step)
    new_id = _id(record.command_id)
    silence = msgspec.structs.replace(silence, id=new_id, starts_ms=max(silence.starts_ms, at_ms))
    kept = step.state.silences[new_id] = KeptSilence(silence)
    created = e.SilenceCreated(silence, replaces)
    step.log(created, scope="default", subject=f"silence/{new_id}", actor=record.actor)
    _arm(kept, step)
    wake(new_id, step)


def expire_silence(command: ExpireSilence, record: Commanded, step: Step) -> None:
    """End a silence now. Raises CommandRejected (``not_found``)."""
    kept = step.state.silences.get(command.id)
    if kept is None:
        raise CommandRejected("not_found", f"there is no silence {command.id}")
    if not kept.expired:
        _expire(kept, record.actor, step)


def _matchers(command: SetSilence) -> tuple[Matcher, ...]:
    try:
        matchers = tuple(Matcher.of(one.name, one.op, one.value) for one in command.matchers)
    except ValueError as bad:
        raise CommandRejected("invalid", str(bad)) from None
    if all(matcher.is_equal and matcher.matches("") for matcher in matchers):  # one that excludes selects, too
        raise CommandRejected("invalid", "at least one matcher must not match the empty string")
    return matchers


def _can_become(before: Silence, after: Silence, at_ms: int) -> bool:
    """Whether the change leaves the past of the silence as it was."""
    if before.matchers != after.matchers:
        return False
    match before.state_at(at_ms):
        case "active":
            return before.starts_ms // 1000 == after.starts_ms // 1000
        case "pending":
            return after.starts_ms >= at_ms
        case "expired":
            return False


def _update(kept: KeptSilence, silence: Silence, record: Commanded, step: Step) -> None:
    if kept.started:
        silence = msgspec.structs.replace(silence, starts_ms=kept.silence.starts_ms)
    unchanged = msgspec.structs.replace(silence, updated_ms=kept.silence.updated_ms)
    if unchanged == kept.silence:
        return
    kept.silence = silence
    kept.announced = False
    step.log(e.SilenceUpdated(silence), scope="default", subject=f"silence/{silence.id}", actor=record.actor)
    _arm(kept, step)
    wake(silence.id, step)


def _expire(kept: KeptSilence, actor: str, step: Step) -> None:
    at_ms, silence = step.at_ms, kept.silence
    starts_ms = min(silence.starts_ms, at_ms)
    kept.silence = msgspec.structs.replace(silence, starts_ms=starts_ms, ends_ms=at_ms, updated_ms=at_ms)
    step.timers.set(at_ms + RETENTION_MS, "silence", silence.id)
    _end(kept, actor, step, by_hand=True)


def _end(kept: KeptSilence, actor: str, step: Step, *, by_hand: bool) -> None:
    kept.expired = True
    silence_id = kept.silence.id
    step.log(e.SilenceExpired(silence_id, by_hand), scope="default", subject=f"silence/{silence_id}", actor=actor)
    if kept.started:
        unmute(silence_id, step)


def _arm(kept: KeptSilence, step: Step) -> None:
    silence, notice_ms = kept.silence, 1000 * step.ruleset.silence_notice_s
    moments = {silence.starts_ms, silence.ends_ms, silence.ends_ms + RETENTION_MS}
    if notice_ms:
        moments.add(silence.ends_ms - notice_ms)
    for moment in sorted(moments):
        if moment > step.at_ms:
            step.timers.set(moment, "silence", silence.id)


def wake(silence_id: str, step: Step) -> None:
    """A moment of a silence may have come; each is logged once."""
    kept = step.state.silences.get(silence_id)
    if kept is None:
        return
    at_ms, silence = step.at_ms, kept.silence
    if kept.expired:
        if at_ms >= silence.ends_ms + RETENTION_MS:
            del step.state.silences[silence_id]
            step.state.hits.pop(silence_id, None)
        return
    if at_ms >= silence.ends_ms:
        _end(kept, "system", step, by_hand=False)
        return
    if at_ms >= silence.starts_ms and not kept.started:
        kept.started = True
        muted, incidents = mute(silence_id, silence.matchers, step)
        started = e.SilenceStarted(silence_id, muted, incidents)
        step.log(started, scope="default", subject=f"silence/{silence_id}")
        quiet.review(incidents, step)
    _announce(kept, step)


def _announce(kept: KeptSilence, step: Step) -> None:
    """Say that it will end soon, unless it was made so short that it has just been said how long it is."""
    silence, notice_ms = kept.silence, 1000 * step.ruleset.silence_notice_s
    due = notice_ms and step.at_ms >= silence.ends_ms - notice_ms
    if not due or kept.announced or not kept.started:
        return
    kept.announced = True
    if silence.ends_ms - max(silence.starts_ms, silence.updated_ms) > notice_ms:
        muted = step.registry.muted_by(silence.id)
        expiring = e.SilenceExpiring(silence.id, silence.ends_ms, muted, silence.created_by, silence.comment)
        step.log(expiring, scope="default", subject=f"silence/{silence.id}")


def mute(name: str, matchers: tuple[Matcher, ...], step: Step) -> tuple[int, list[str]]:
    """A silence or window holds from now on; how many alerts it keeps quiet, and which incidents tell nobody by it."""
    alerts = step.registry.mute(name, matchers)
    owners = {owner.id: None for alert in alerts if alert.incident and (owner := step.root(alert.incident))}
    return len(alerts), [one for one in sorted(owners) if step.registry.members.why_quiet(one) is not None]


def unmute(name: str, step: Step) -> None:
    """A silence or window holds no longer: all that it held is judged again."""
    settling = Settling(step)
    alerts = step.registry.unmute(name)
    settling.judge_again(alert for alert in alerts if alert.held in ("silenced", "in_maintenance"))
    settling.quieter(alerts)
    settling.settle()


def _id(command_id: str) -> str:
    """A UUID of version 8 (RFC 9562): of the command's id, so that the same command gives the same."""
    digest = bytearray(hashlib.sha256(b"silence\0" + command_id.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
