"""How a server is asked: how many questions are on their way, how long one may take, what is asked again and when.

Each question that fails for no fault of its own is asked again. While the server is busy, fewer are on their way: half
as many, then slowly more again (additive increase, multiplicative decrease: Chiu & Jain, Computer Networks and ISDN
Systems 17, 1989). No client is imported here: who asks says what an error means (`Trouble`).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition
from typing import TypeVar

Result = TypeVar("Result")

NEVER = -math.inf
"""When a server answered that has not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a server is waited for, in seconds but for `tries`.

    A request may take `deadline`. One that fails is made again after `first`, after twice as long each time up to
    `longest`, less up to a quarter by chance, or when the server says. A question may fail `tries` times while others
    are answered, and at a server that has answered nothing yet; one that has answered and then does not, or that says
    that it is busy, is waited for until nothing came for `outage`.
    """

    deadline: float = 300.0
    first: float = 0.5
    longest: float = 16.0
    tries: int = 5
    outage: float = 180.0

    def wait(self, tries: int) -> float:
        """Seconds before a question is asked again that was asked so often."""
        return float(min(self.longest, self.first * 2 ** min(tries - 1, 30)) * (1 - random.random() / 4))


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """What an error that is no fault of the question says: that the server is `busy`, and `after` how many seconds to
    ask again, None where it does not say."""

    busy: bool
    after: float | None = None


class GaveUpError(Exception):
    """A question that was asked again and again; `error` is how the last try ended, and `alone` says that others were
    answered meanwhile."""

    def __init__(self, error: Exception, *, alone: bool) -> None:
        super().__init__(str(error))
        self.error, self.alone = error, alone


class Pace:
    """Shared by all threads that ask one server, at most `most` at a time. `limit` is how many may be on their way now:
    halved, once for all that were on their way, where the server is busy or an answer takes more than half of its
    deadline, and one more for as many answers as the limit is."""

    def __init__(self, most: int, patience: Patience) -> None:
        self.most, self.patience, self.limit = most, patience, float(most)
        self._changed = Condition()
        self._on_the_way = 0
        self._pause = self._halved = 0.0
        self._last_answer = NEVER
        self._closed = False

    def open(self) -> None:
        """Begin, or begin again after `close`."""
        self._closed, self._last_answer = False, NEVER

    def close(self) -> None:
        """Nothing is asked any more, and nobody waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def ask(self, call: Callable[[], Result], trouble_of: Callable[[Exception], Trouble | None]) -> Result:
        """The result of a call, made again where `trouble_of` its error tells a trouble. Raises what is none, and
        `GaveUpError` in the end."""
        tries = blamed = 0
        since = last = NEVER
        while True:
            begun = self._begin()
            try:
                result = call()
            except Exception as error:
                trouble = trouble_of(error)
                self._end(begun, busy=trouble is not None and trouble.busy)
                if trouble is None:
                    raise
                failure = error
            else:
                self._end(begun, busy=time.monotonic() - begun > self.patience.deadline / 2, answered=True)
                return result
            tries += 1
            since = since if tries > 1 else begun
            alone = self._last_answer > (last if tries > 1 else begun)
            last = time.monotonic()
            blamed += not trouble.busy and (alone or self._last_answer == NEVER)
            wait = self.patience.wait(tries) if trouble.after is None else trouble.after
            if blamed >= self.patience.tries or self._is_over(trouble, since, wait):
                raise GaveUpError(failure, alone=alone and not self._closed)
            if trouble.after is not None:
                self._pause = max(self._pause, time.monotonic() + wait)  # what holds for one holds for all
            self._sleep(wait)

    def _begin(self) -> float:
        """Wait until one more may be on its way; returns when it was sent."""
        with self._changed:
            while not self._closed:
                paused = self._pause - time.monotonic()
                if paused <= 0 and self._on_the_way < int(self.limit):
                    break
                self._changed.wait(paused if paused > 0 else None)
            if self._closed:
                raise GaveUpError(RuntimeError("not asked, as the server does not answer"), alone=False)
            self._on_the_way += 1
        return time.monotonic()

    def _end(self, begun: float, *, busy: bool, answered: bool = False) -> None:
        with self._changed:
            self._on_the_way -= 1
            now = time.monotonic()
            if answered:
                self._last_answer = now
            if busy and begun >= self._halved:
                self.limit, self._halved = max(1.0, self.limit / 2), now
            elif answered and not busy:
                self.limit = min(float(self.most), self.limit + 1 / self.limit)
            self._changed.notify_all()

    def _is_over(self, trouble: Trouble, since: float, wait: float) -> bool:
        """Whether it is not worth waiting so long for a server that has not answered this question since then."""
        if self._closed or wait > self.patience.outage:
            return True
        if self._last_answer == NEVER and not trouble.busy:
            return False  # it is tried a few times
        return time.monotonic() + wait - max(since, self._last_answer) > self.patience.outage

    def _sleep(self, seconds: float) -> None:
        """Less where it is closed meanwhile."""
        end = time.monotonic() + seconds
        with self._changed:
            while not self._closed and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
