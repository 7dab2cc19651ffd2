"""How fast a vendor lets us speak, as a token bucket without a clock of its own."""

from __future__ import annotations

import msgspec


class Rate(msgspec.Struct, frozen=True):
    """At most `burst` messages at once and `per_minute` in the long run; any minute sees at most their sum."""

    burst: int
    per_minute: int


class TokenBucket(msgspec.Struct, frozen=True):
    """The bucket as it was at `at_s` seconds; negative `tokens` are messages promised but not yet due.

    >>> bucket = TokenBucket.full(Rate(burst=1, per_minute=60), at_s=0.0)
    >>> bucket, wait_s = bucket.take(0.0)
    >>> wait_s
    0.0
    >>> bucket.take(0.0)[1]
    1.0
    """

    rate: Rate
    tokens: float
    at_s: float

    @classmethod
    def full(cls, rate: Rate, *, at_s: float) -> TokenBucket:
        """A bucket that has rested long enough to allow a whole burst."""
        return cls(rate, float(rate.burst), at_s)

    def take(self, now_s: float) -> tuple[TokenBucket, float]:
        """Promise one message: the bucket afterwards, and the seconds to wait before sending it.

        `now_s` is any clock that does not go back; if it does, no tokens are gained.
        """
        per_s = self.rate.per_minute / 60
        gained = max(0.0, now_s - self.at_s) * per_s
        left = min(float(self.rate.burst), self.tokens + gained) - 1
        return TokenBucket(self.rate, left, max(now_s, self.at_s)), max(0.0, -left / per_s)
