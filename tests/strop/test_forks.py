"""What the runs of a grid are forked from: everything imported, nothing computed."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORK = """
import os, sys
from importlib import import_module
from strop.forks import NEEDED

for module in NEEDED:
    import_module(module)
import torch

if os.fork() == 0:
    begun = torch.cuda._is_in_bad_fork()
    torch.set_num_threads(2)
    sums = torch.ones(1_000_000).sum().item()  # waits for ever where the server's threads are missed
    os._exit(begun or sums != 1_000_000)
raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux alone")
def test_what_runs_need_can_be_imported_before_they_are_forked() -> None:
    """Importing it begins nothing on a GPU, and computes with no threads: neither would live on in a fork."""
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=600)
