"""Environments of other harnesses, in the user's cache folder: a harness needs other versions of packages than we."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.disks import writing
from harness.errors import StropError
from harness.files import write_text
from harness.wording import last_line

PACKAGES = "packages.txt"
"""What an environment holds, beside it; written last, so that one that was not finished is made anew."""


def cache_folder() -> Path:
    """Where environments lie: strop/peers in XDG_CACHE_HOME, or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "strop" / "peers"


def environment(name: str, packages: Sequence[str]) -> Path:
    """The Python of an environment with these packages (`NAME==VERSION`): the one that is there, or one that venv and
    pip make, from the index that pip is set to. Raises `StropError` where they cannot."""
    folder = cache_folder() / name
    python, listed = folder / "bin" / "python", folder / PACKAGES
    content = "\n".join([f"python=={sys.version.split()[0]}", *packages]) + "\n"
    if listed.is_file() and listed.read_text(encoding="utf-8") == content:
        return python
    with writing(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    install = [str(python), "-m", "pip", "install", "--no-compile", *packages]
    for words in ([sys.executable, "-m", "venv", str(folder)], install):
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
        if ended.returncode:
            reason = last_line(ended.stderr or ended.stdout)
            raise StropError(f"{folder}: {' '.join(words[1:4])} failed ({reason}); mend pip's settings")
    write_text(listed, content)
    return python
