"""Real servers on this machine give the answers that the same weights give when they are loaded here.

`make test-servers` installs them into `work/servers` and says so by STROP_SERVERS; without it they are not tried.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tasks.pictos.models import shipped
from tests.support.shell import ROOT, Strop

pytestmark = pytest.mark.slow

SEED = shipped("pictos-seed")
SERVERS = Path(os.environ.get("STROP_SERVERS") or ROOT / "nowhere")
SAMPLES = 60
START_SECONDS = 420.0

LOCAL = ("--dtype", "float32", "--host", "127.0.0.1")
VLLM = ("--enforce-eager", "--max-model-len", "512")
PYTHON = {"transformers": Path(sys.executable), "vllm": SERVERS / "vllm" / "bin" / "python"}

COMMANDS = {
    "transformers": (
        SERVERS / "transformers" / "fastapi",
        ("transformers.cli.transformers", "serve", str(SEED), "--device", "cpu", *LOCAL),
    ),
    "vllm": (
        PYTHON["vllm"],
        (
            "vllm.entrypoints.openai.api_server",
            "--model",
            str(SEED),
            "--enforce-eager",
            "--max-model-len",
            "512",
            *LOCAL,
        ),
    ),
}
"""Server -> (what is there where it is installed, its module with the arguments, but for the port)."""


@pytest.fixture(params=COMMANDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The base URL of a server that serves the shipped seed under its path."""
    installed, words = COMMANDS[request.param]
    if not installed.exists():
        pytest.skip(f"{request.param} is not installed as a server at {installed}: `make test-servers` does so")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1",
                   "VLLM_CPU_OMP_THREADS_BIND": "nobind", "PYTHONPATH": str(SERVERS / "transformers")}  # fmt: skip
    if request.param == "vllm":
        del environment["PYTHONPATH"]
    with (tmp_path / "server.log").open("w") as log:
        command = [str(PYTHON[request.param]), "-m", *words, "--port", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, tmp_path / "server.log")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def test_greedy_answers_are_those_of_the_local_engine_sample_by_sample(strop: Strop, url: str) -> None:
    words = ("--tasks", "pictos_pope,pictos_chair", "--limit", SAMPLES, "--parallel", "4", "--json")
    ran = strop("parity", "pictos-seed", f"{SEED},endpoint={url}", *words)
    report = json.loads(ran.out)
    assert [(task["task"], task["n"], task["differing"]) for task in report["tasks"]] == [
        ("pictos_pope", SAMPLES, []),
        ("pictos_chair", SAMPLES, []),
    ]
