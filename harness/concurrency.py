"""Several calls at a time, on threads that nobody has to wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def concurrently(
    call: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[tuple[int, Future[Result]]]:
    """(place of an item, its finished call), as the calls finish; `threads` of them are on their way.

    An item is taken when a result has been taken, so that at no time are there more than `threads` results that the
    caller does not have. The threads are daemons: a process that is stopped ends at once, and not when the slowest call
    of a pool (`concurrent.futures`) has come back.
    """
    waiting = enumerate(items)
    calls: SimpleQueue[tuple[int, Item] | None] = SimpleQueue()
    results: SimpleQueue[tuple[int, Future[Result]]] = SimpleQueue()

    def work() -> None:
        while (entry := calls.get()) is not None:
            result: Future[Result] = Future()
            try:
                result.set_result(call(entry[1]))
            except BaseException as error:  # noqa: BLE001 - raised where the result is looked at
                result.set_exception(error)
            results.put((entry[0], result))

    on_the_way = 0
    for entry in islice(waiting, threads):
        calls.put(entry)
        Thread(target=work, daemon=True).start()
        on_the_way += 1
    started = on_the_way
    try:
        while on_the_way:
            yield results.get()
            on_the_way -= 1
            for entry in islice(waiting, 1):
                calls.put(entry)
                on_the_way += 1
    finally:
        for _ in range(started):
            calls.put(None)
