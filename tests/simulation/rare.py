"""The rare paths that every full run must have taken: a simulator that never goes there proves nothing about them."""

from __future__ import annotations

FAULTS = (
    "crash: append, before", "crash: append, after", "crash: between a delivery's start and its record",
    "crash: between two steps", "crash: projections, inside", "crash: projections, after", "crash: read, before",
    "crash: snapshot, before", "crash: snapshot, after", "crash: while it starts", "orderly restart",
    "ambiguous commit: append", "ambiguous commit: projections", "ambiguous commit: snapshot",
    "database gone: append", "database gone: projections", "database gone: read", "disk full: append",
    "disk full: projections", "disk full: snapshot", "start failed: StoreUnavailable", "started from a snapshot",
    "clock set back", "clock set forward", "answer lost on its way", "refused: overloaded",
)  # fmt: skip
CHANNELS = (
    "channel: accept_twice", "channel: bug", "channel: error", "channel: hangs", "channel: lying_error",
    "channel: lying_ok", "channel: ok", "channel: refused", "channel: slow", "channel: throttled",
    "channel: timeout_after_accept", "channel: timeout_unseen", "retry", "failover", "page cancelled", "page failed",
    "page succeeded", "page unconfirmed", "attempt no longer wanted",
)  # fmt: skip
INPUTS = (
    "poison", "payload rejected", "duplicated or late message", "twin sends the same", "sender tries again",
    "command asked twice", "command tried again", "command rejected: not_allowed_in_state",
    "command rejected: not_found", "command rejected: other_scope", "rules changed", "rules rejected",
    "disposition: opened", "disposition: attached", "disposition: repeated", "disposition: resolved",
    "disposition: invalid",
)  # fmt: skip
LIVES = (
    "alerts healed: sender", "alerts healed: timeout", "raised by alerts", "raised by hand", "reopened: by hand",
    "reopened: fired again", "reopened: still firing", "resolved by hand while alerts fire",
    "merged while alerts fire", "breached: response", "breached: resolution", "outage proposed: 8 h",
    "outage proposed: 24 h", "outage proposed: 48 h", "projections compared with a rebuild",
)  # fmt: skip

GROUPS = (
    "group told: first", "group told: new_alerts", "group told: resolved_alerts", "group told: all_resolved",
    "group told: repeat", "group told in vain", "group held back: muted", "group held back: inactive",
)  # fmt: skip

HOLDING = (
    "disposition: silenced", "disposition: inhibited", "disposition: in_maintenance", "disposition: flapping",
    "disposition: noise", "disposition: storm", "disposition: dropped_by_rule", "alerts healed: storm_over",
    "released: healed", "released: ended", "held again by something else", "storm began", "storm ended",
    "FlappingEnded", "PageWithheld", "SilenceExpiring", "WindowClosed", "RulesHit", "silence made in place of another",
    "silence ended by hand", "silence ran out", "silence changed",
)  # fmt: skip

RARE_PATHS = (*HOLDING, *GROUPS, *FAULTS, *CHANNELS, *INPUTS, *LIVES)
"""Each was seen in at least one of a full run's histories."""
