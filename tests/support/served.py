"""A server on this machine that answers as OpenAI's chat completions do, from a function of what was asked."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from PIL import Image


@dataclass
class Served:
    """`says` gives a reply's text, or a status and a body (bytes unchanged); `requests` are all received."""

    says: Callable[[dict[str, Any]], Any]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    ends: str = "stop"


@contextmanager
def served(says: Callable[[dict[str, Any]], Any]) -> Iterator[Served]:
    """Within it, an endpoint that gives the replies of `says`."""
    result = Served(says)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            result.requests.append(request)
            result.keys.add(self.headers["Authorization"])
            text = result.says(request)
            status, body = text if isinstance(text, tuple) else (200, completion(text, result.ends))
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if content.startswith(b"<") else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        result.url = f"http://127.0.0.1:{server.server_port}/v1"
        try:
            yield result
        finally:
            server.shutdown()


def prompt_of(request: dict[str, Any]) -> str:
    """The text that a request asks."""
    return str(request["messages"][0]["content"][-1]["text"])


def picture_of(request: dict[str, Any]) -> Image.Image:
    """The first picture that a request shows."""
    head, _, content = request["messages"][0]["content"][0]["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def completion(text: str | None, ends: str) -> dict[str, Any]:
    """The body of an answer, which took 110 tokens."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": ends}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return {
        "id": "1", "object": "chat.completion", "created": 0, "model": "served", "choices": [choice], "usage": usage
    }  # fmt: skip
