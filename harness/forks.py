"""Processes side by side: each new, or each forked from a server that has imported once what all of them need.

A new process takes seconds to import torch, transformers and TRL, and a second more to take them apart at its end; a
fork has them at once and shares their memory. The server computes nothing before it forks: neither a library's threads
nor what was begun on a GPU live on in a fork.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol

from harness.errors import RunError

POLL_SECONDS = 0.05


class Child(Protocol):
    """A process that was started; `subprocess.Popen` is one."""

    def poll(self) -> int | None:
        """How it ended: its exit status, or minus the number of the signal that killed it; None while it works."""

    def wait(self, timeout: float) -> int:
        """The same, once it has ended; raises `subprocess.TimeoutExpired` after so many seconds."""

    def terminate(self) -> None:
        """Ask it to stop."""

    def kill(self) -> None:
        """Stop it at once."""


Start = Callable[[Sequence[str], Path], Child]
"""Starts a process for a command line in a process group of its own: a terminal's Ctrl-C does not reach it. What it
prints is appended to a log that is there."""

Starter = Callable[[Mapping[str, str]], AbstractContextManager[Start]]
"""What starts processes with these environment variables. Those at work when it is left go on."""


@contextmanager
def new_processes(environment: Mapping[str, str]) -> Iterator[Start]:
    """Every command is a process that begins with nothing."""

    def start(command: Sequence[str], log: Path) -> Child:
        with log.open("ab") as stream:
            return _popen(command, environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)

    yield start


@contextmanager
def forked_processes(server: Sequence[str], environment: Mapping[str, str]) -> Iterator[Start]:
    """Every command is a fork of `server`, the command line of a program that calls `serve`; it is started with the
    first of them, into whose log goes what it prints. Raises `RunError` where it ends before its time."""
    process: subprocess.Popen[bytes] | None = None

    def start(command: Sequence[str], log: Path) -> Child:
        nonlocal process
        if process is None:
            with log.open("ab") as stream:
                process = _popen(server, environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream)
        return _Fork(process, _asked(process, {"command": list(command), "log": str(log.resolve())}))

    try:
        yield start
    finally:
        if process is not None:
            process.kill()  # not asked to end: it may be importing, with a request unread
            process.communicate()


def _popen(command: Sequence[str], environment: Mapping[str, str], **streams: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=environment, process_group=0, **streams)


def _asked(server: subprocess.Popen[bytes], request: Mapping[str, Any]) -> Any:
    """The server's reply to a request."""
    assert server.stdin and server.stdout
    try:
        server.stdin.write(json.dumps(request).encode() + b"\n")
        server.stdin.flush()
        return json.loads(server.stdout.readline())
    except (BrokenPipeError, json.JSONDecodeError) as error:
        raise RunError("the process from which runs are forked has ended; the same command goes on") from error


class _Fork:
    """A process that the server has forked. Until its end is asked for, nothing else has its number."""

    def __init__(self, server: subprocess.Popen[bytes], number: int) -> None:
        self._server, self._number = server, number
        self._status: int | None = None

    def poll(self) -> int | None:
        if self._status is None:
            self._status = _asked(self._server, {"ended": self._number})
        return self._status

    def wait(self, timeout: float) -> int:
        until = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired([str(self._number)], timeout)
            time.sleep(POLL_SECONDS)
        return status

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._status is None:
            os.kill(self._number, number)


def serve(run: Callable[[Sequence[str]], object]) -> NoReturn:
    """Fork a process for each command that `forked_processes` asks for, in which `run` is called with it, until that
    is left. To be called when everything is imported and nothing computed."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no reply
    gc.collect()
    gc.freeze()  # or the first collection in a fork would copy all that it shares
    for line in sys.stdin:
        request = json.loads(line)
        if "command" in request:
            reply: int | None = os.fork()
            if reply == 0:
                replies.close()
                _become(request["log"])
                _end(_status_of(run, request["command"]))
        else:
            ended, status = os.waitpid(request["ended"], os.WNOHANG)
            reply = os.waitstatus_to_exitcode(status) if ended else None
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
    os._exit(0)


def _become(log: str) -> None:
    """Be a process of one's own, with nothing to read and a log to write."""
    os.setpgid(0, 0)
    for path, flags, streams in ((os.devnull, os.O_RDONLY, (0,)), (log, os.O_WRONLY | os.O_APPEND, (1, 2))):
        opened = os.open(path, flags)
        for stream in streams:
            os.dup2(opened, stream)
        os.close(opened)


def _status_of(run: Callable[[Sequence[str]], object], command: Sequence[str]) -> int:
    """The exit status that Python would give a program that does this."""
    try:
        run(command)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException:  # noqa: BLE001 (as Python itself does)
        traceback.print_exc()
        return 1
    return 0


def _end(status: int) -> NoReturn:
    """End as Python does, but without taking half a million objects of libraries apart, which takes a second."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
