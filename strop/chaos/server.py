"""A server on this machine that answers questions about pictures as OpenAI's chat completions do, and counts them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

_CAPTIONS = ("A cat.", "A dog and a cup.", "Two cars. A person on the left.", "")


class Counted(ThreadingHTTPServer):
    """`requests` is how many questions have come."""

    requests = 0
    daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Counted

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests += 1
        body = json.dumps(_completion(content)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


@contextmanager
def counting_server() -> Iterator[Counted]:
    """Within it, an endpoint that describes pictures at random, the same one alike."""
    with Counted(("127.0.0.1", 0), _Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def _completion(question: bytes) -> dict[str, Any]:
    says = _CAPTIONS[sha256(question).digest()[0] % len(_CAPTIONS)]
    choice = {"index": 0, "message": {"role": "assistant", "content": says}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {
        "id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage
    }  # fmt: skip
