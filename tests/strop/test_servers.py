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

from harness.models.vllm_form import copy_for_vllm
from tasks.pictos.models import shipped
from tests.support.shell import ROOT, Strop

pytestmark = pytest.mark.slow

SEED = shipped("pictos-seed")
SERVERS = Path(os.environ.get("STROP_SERVERS") or ROOT / "nowhere")
SAMPLES = 60
START_SECONDS = 900.0

LOCAL = ("--dtype", "float32", "--host", "127.0.0.1")
VLLM = ("--enforce-eager", "--max-model-len", "512")
PYTHON = {"transformers": Path(sys.executable), "vllm": SERVERS / "vllm" / "bin" / "python"}

COMMANDS = {
    "transformers": ("transformers.cli.transformers", "serve", "MODEL", "--device", "cpu", *LOCAL),
    "vllm": ("vllm.entrypoints.openai.api_server", "--model", "MODEL", *VLLM, *LOCAL),
}
"""Server -> its module with the arguments, but for the port."""

INSTALLED = {"transformers": SERVERS / "transformers" / "fastapi", "vllm": PYTHON["vllm"]}
"""What is there where a server is installed."""


QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1",
         "VLLM_CPU_OMP_THREADS_BIND": "nobind", "TORCHDYNAMO_DISABLE": "1"}  # fmt: skip
"""Nothing is asked outside, a GiB is enough, and no kernel is compiled."""


@pytest.fixture(params=COMMANDS)
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A server of the shipped seed, as a side of `strop parity`."""
    server = request.param
    if not INSTALLED[server].exists():
        pytest.skip(f"{server} is not installed as a server at {INSTALLED[server]}: `make test-servers` does so")
    assert SEED is not None
    model = str(copy_for_vllm(SEED, tmp_path / "seed") if server == "vllm" else SEED)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, **QUIET, "PYTHONPATH": str(SERVERS / "transformers")}
    if server == "vllm":
        del environment["PYTHONPATH"]
    words = [model if word == "MODEL" else word for word in COMMANDS[server]]
    with (tmp_path / "server.log").open("w") as log:
        command = [str(PYTHON[server]), "-m", *words, "--port", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, tmp_path / "server.log")
        yield f"{model},endpoint=http://127.0.0.1:{port}/v1"
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


def test_greedy_answers_are_those_of_the_local_engine_sample_by_sample(strop: Strop, side: str) -> None:
    words = ("--tasks", "pictos_pope,pictos_chair", "--limit", SAMPLES, "--parallel", "4", "--json")
    report = json.loads(strop("parity", "pictos-seed", side, *words).out)
    assert [(task["task"], task["n"], task["differing"]) for task in report["tasks"]] == [
        ("pictos_pope", SAMPLES, []),
        ("pictos_chair", SAMPLES, []),
    ]
