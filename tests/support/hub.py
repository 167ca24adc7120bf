"""A hub of model repositories on this machine: the few answers that huggingface_hub asks for, from folders of files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from harness.models import hub

COMMIT, OTHER_COMMIT = "0123456789abcdef0123456789abcdef01234567", "fedcba9876543210fedcba9876543210fedcba98"


@dataclass
class Hub:
    """`commits[repository][commit]` is a folder, `names[repository]` maps branches to commits, `locked` repositories
    want the token that they name, `gated` ones refuse their files, an `expired` token opens nothing; `requests` are
    all received, `breaks` the bytes after which the next file of weights breaks off."""

    cache: Path
    url: str = ""
    commits: dict[str, dict[str, Path]] = field(default_factory=dict)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    locked: dict[str, str] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    breaks: int | None = None
    expired: bool = False

    def add(self, repository: str, folder: Path, commit: str = COMMIT, *branches: str) -> None:
        """A commit, to which main and other branches point from now on."""
        self.commits.setdefault(repository, {})[commit] = folder
        self.names.setdefault(repository, {}).update(dict.fromkeys(("main", *branches), commit))

    @property
    def login(self) -> Path:
        """Where huggingface_hub looks for the token of a saved login; there is none."""
        return self.cache.with_name("login")

    def downloads(self) -> list[str]:
        """The files that were asked for, by name."""
        return sorted(re.sub(r".*/resolve/[^/]+/", "", line) for line in self.requests if line.startswith("GET /"))

    def folder(self, repository: str, commit: str = COMMIT) -> Path:
        """Where the cache has a commit."""
        return self.cache / f"models--{repository.replace('/', '--')}" / "snapshots" / commit


@contextmanager
def hub_at(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """Within it, such a hub is huggingface_hub's, with an empty cache, online and without a token."""
    result = Hub(cache)

    class Handler(_Answers):
        served = result

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        result.url = f"http://127.0.0.1:{server.server_port}"
        use_hub(monkeypatch, result.url, cache)
        try:
            yield result
        finally:
            server.shutdown()


def use_hub(monkeypatch: pytest.MonkeyPatch, url: str, cache: Path, *, offline: bool = False) -> None:
    """huggingface_hub as it is in a process with these variables: it reads them when it is imported."""
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    values = {"ENDPOINT": url, "HUGGINGFACE_CO_URL_TEMPLATE": template, "HF_HUB_CACHE": str(cache)}
    for name, value in {**values, "HF_HUB_OFFLINE": offline}.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(cache.with_name("login")))
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    hub.resolved.cache_clear()


class _Answers(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.served.tokens.add(self.headers["Authorization"])
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(?:revision|tree)/(.+)", path):
            self._tell(match[1], match[2], path)
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            self._tell(match[1], "main", path)
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.served.requests.append(f"{self.command} {path}")
            self._give(match[1], match[2], match[3])

    def _tell(self, repository: str, revision: str, path: str) -> None:
        if (commit := self._commit(repository, revision)) is None:
            return
        if "/tree/" not in path:
            self._send(json.dumps({"id": repository, "sha": commit}).encode(), "application/json")
            return
        folder = self.served.commits[repository][commit]
        files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
        entries = [
            {"type": "file", "path": str(file.relative_to(folder)), "size": file.stat().st_size, "oid": "0"}
            for file in files
        ]
        self._send(json.dumps(entries).encode(), "application/json")

    def _give(self, repository: str, revision: str, file: str) -> None:
        if (commit := self._commit(repository, revision)) is None:
            return
        if repository in self.served.gated:
            self._refuse(403, "GatedRepo")
            return
        content = (self.served.commits[repository][commit] / file).read_bytes()
        tag = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": commit}
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        stop = None
        if self.command == "GET" and file.endswith(".safetensors"):
            stop, self.served.breaks = self.served.breaks, None
        self._send(content[start:], "application/octet-stream", 206 if start else 200, stop=stop, **tag)

    def _commit(self, repository: str, revision: str) -> str | None:
        """The commit of a revision; None where the refusal was sent."""
        if self.served.expired:
            message = {"X-Error-Message": "Invalid credentials in Authorization header"}
            self._send(b"{}", "application/json", 401, **message)
            return None
        token = self.served.locked.get(repository)
        if repository not in self.served.commits or (token and self.headers["Authorization"] != f"Bearer {token}"):
            self._refuse(401, "RepoNotFound")
            return None
        commit = self.served.names[repository].get(revision, revision)
        if commit not in self.served.commits[repository]:
            self._refuse(404, "RevisionNotFound")
            return None
        return commit

    def _refuse(self, status: int, code: str) -> None:
        self._send(b"{}", "application/json", status, **{"X-Error-Code": code})

    def _send(self, content: bytes, kind: str, status: int = 200, *, stop: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:stop])
        if stop is not None:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass
