"""An endpoint on this machine that fails in every way before it answers, and counts what was lost and asked twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from tests.support.served import completion, prompt_of

FAULTS = (
    "429 with Retry-After", "500", "slow", "cut connection", "wrong JSON", "empty choice", "truncated answer",
    "truncated stream",
)  # fmt: skip


@dataclass
class Faulty:
    """`due` gives the fault of a request (one of `FAULTS`), or "" for an answer, from its prompt and how many requests
    had that prompt before. A reply is acknowledged when it was sent whole; `again` counts requests after that."""

    says: Callable[[dict[str, Any]], str]
    due: Callable[[str, int], str]
    slow: float
    url: str = ""
    requests: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    again: int = 0
    on_the_way: int = 0
    most_at_once: int = 0
    outages: list[tuple[int, float]] = field(default_factory=list)
    """(acknowledged answers after which nobody listens, for how many seconds), in their order."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def faulty(
    says: Callable[[dict[str, Any]], str], due: Callable[[str, int], str], *, slow: float = 0.3
) -> Iterator[Faulty]:
    """Within it, the endpoint; an answer that is `slow` takes so many seconds."""
    state, lock = Faulty(says, due, slow), Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = prompt_of(request)
            with lock:
                state.on_the_way += 1
                state.most_at_once = max(state.most_at_once, state.on_the_way)
                fault = state.due(prompt, state.requests[prompt])
                state.requests[prompt] += 1
                state.again += bool(state.acknowledged[prompt])
                state.injected[fault] += bool(fault)
            body = json.dumps(completion(state.says(request), "stop")).encode()
            try:
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.reply(fault, body)
                    with lock:
                        state.acknowledged[prompt] += not fault
            finally:
                with lock:
                    state.on_the_way -= 1
                    if state.outages and sum(state.acknowledged.values()) >= state.outages[0][0]:
                        Thread(target=outage, args=(state.outages.pop(0)[1],), daemon=True).start()

        def reply(self, fault: str, body: bytes) -> None:
            if fault == "slow":
                time.sleep(state.slow)
            if fault == "cut connection":
                return
            status = {"429 with Retry-After": 429, "500": 500}.get(fault, 200)
            body = {"wrong JSON": b'{"choices": [', "empty choice": b'{"choices": []}'}.get(fault, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if fault == "429 with Retry-After":
                self.send_header("Retry-After", "0.02")
            if fault == "truncated stream":
                self.send_header("Transfer-Encoding", "chunked")
                body = f"{len(body):x}\r\n".encode() + body[: len(body) // 2]
            else:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if fault == "truncated answer" else body)
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            pass

    def listen(port: int) -> _Server:
        server = _Server(("127.0.0.1", port), Handler)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    def outage(seconds: float) -> None:
        with lock:
            state.injected[f"outage of {seconds:g} s"] += 1
        server = servers.pop()
        server.shutdown()
        server.socket.close()  # whoever connects is refused
        time.sleep(seconds)
        servers.append(listen(server.server_port))

    servers = [listen(0)]
    state.url = f"http://127.0.0.1:{servers[0].server_port}/v1"
    try:
        yield state
    finally:
        while not servers:
            time.sleep(0.01)
        servers[0].shutdown()
        servers[0].server_close()
