"""What a command left, timings and the machine left aside: two images are equal where nothing else differs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from harness.files import digest_of_file, digest_of_json, read_json, read_jsonl
from harness.models.account import ACCOUNT
from harness.runs.names import ANSWERS, LEDGER, RESULTS, SHARED

_ELSEWHERE = {SHARED, "logs"}
"""Not looked at: stages that runs share are those runs' own, and logs tell of each call."""

_TIMED = {"cost.csv", "ablation.md", ACCOUNT}
"""What a command took: one that was killed took more."""


def image(folder: Path) -> dict[str, str]:
    """A digest of every file that a command left, and of the board of its results."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and _counts(path.relative_to(folder))]
    digests = {str(path.relative_to(folder)): _digest(path) for path in files if path.name != ANSWERS}
    return digests | {"answers": _answers(folder), "board": _board(folder)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The whole lines of stored answers below a folder, and how many more there are than questions."""

    lines: frozenset[str] = frozenset()
    twice: int = 0


def kept_answers(folder: Path) -> Kept:
    """What a command's stores hold: an answer is acknowledged when its line is there to the end."""
    files = [path.read_bytes().splitlines(keepends=True) for path in sorted(folder.rglob(ANSWERS))]
    whole = [[line.decode() for line in lines if line.endswith(b"\n")] for lines in files]
    twice = sum(len(lines) - len({json.loads(line)["key"] for line in lines}) for lines in whole)
    return Kept(
        lines=frozenset(f"{number} {line}" for number, lines in enumerate(whole) for line in lines), twice=twice
    )


def _counts(path: Path) -> bool:
    """Whether a file is of the command's result: what a killed write left has a hidden name."""
    return not (any(name.startswith(".") for name in path.parts) or path.parts[0] in _ELSEWHERE or path.name in _TIMED)


def _digest(path: Path) -> str:
    if path.name == LEDGER:
        lines = {line["stage"]: line for line in read_jsonl(path)}
        return digest_of_json([[name, line["facts"], line.get("computed")] for name, line in lines.items()])
    if path.name == RESULTS:
        content = read_json(path)
        return digest_of_json({name: value for name, value in content.items() if name not in ("provenance", "check")})
    return digest_of_file(path)


def _answers(folder: Path) -> str:
    """Of all runs together: which of a grid's asks what they share hangs on which was killed."""
    return digest_of_json(sorted({digest_of_json(line) for path in folder.rglob(ANSWERS) for line in read_jsonl(path)}))


def _board(folder: Path) -> str:
    from leaderboards.build import assemble, read_entries
    from leaderboards.render import csv_text

    return csv_text(assemble(read_entries([folder])))
