"""Taking turns at one write lock: the append that callers wait for goes before read models that catch up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Turns:
    """A lock with two ranks: whoever waits `first` is served before any that waits `after`. Not re-entrant."""

    def __init__(self) -> None:
        self._free = Condition()
        self._taken = False
        self._first_waiting = 0

    @contextmanager
    def first(self) -> Iterator[None]:
        """Hold the lock as soon as its present holder lets go."""
        with self._free:
            self._first_waiting += 1
            try:
                while self._taken:
                    self._free.wait()
                self._taken = True
            finally:
                self._first_waiting -= 1
        try:
            yield
        finally:
            self._let_go()

    @contextmanager
    def after(self) -> Iterator[None]:
        """Hold the lock when nobody of the first rank wants it."""
        with self._free:
            while self._taken or self._first_waiting:
                self._free.wait()
            self._taken = True
        try:
            yield
        finally:
            self._let_go()

    def _let_go(self) -> None:
        with self._free:
            self._taken = False
            self._free.notify_all()
