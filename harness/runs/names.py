"""The names of files and folders in a run's, a grid's and a results folder, spelt here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# A results folder: this file, and a file of marked answers a task
RESULTS = "results.json"

# A run folder: its recipe, its ledger, the commits of its models on the hub, its stored answers, what models told its
# verifiers, and a folder a round with a folder a stage
RECIPE = "recipe.yaml"
LEDGER = "ledger.jsonl"
REVISIONS = "hub.json"
ANSWERS = "answers.jsonl"
REPLIES = "replies.jsonl"

EVAL, COLLECT, VERIFY, SELECT, OPTIMISE = "eval", "collect", "verify", "select", "optimise"
MERGE, BASELINES, WATCH = "merge", "baselines", "watch"

# What a stage writes
GROUPS = "groups.jsonl"
PAIRS = "pairs.jsonl"
CHECKPOINT = "checkpoint"
ADAPTER = "adapter"
FILTER, RERANK, WORDY = "filter", "rerank", "wordy"
READINGS = "readings.json"

# A grid's folder: its cells and their runs, and the stages that runs share
GRID = "grid.json"
SHARED = "shared"
SHARED_FILES = "files"
SHARED_LINE = "line.json"

_ROUND = re.compile(r"round-(\d+)")


def round_name(number: int) -> str:
    """The folder of a round in its run's folder; round 0 is the seed model."""
    return f"round-{number}"


def stage_name(number: int, stage: str) -> str:
    """A stage of a round as the ledger names it, which is also its folder in the run's folder."""
    return f"{round_name(number)}/{stage}"


def round_of(stage: str | Path) -> int | None:
    """The round of a stage's name or of a round's folder; None for any other name.

    Example:
        >>> round_of("round-2/eval"), round_of(Path("runs/demo/round-1")), round_of("grid.json")
        (2, 1, None)
    """
    name = stage.name if isinstance(stage, Path) else stage.partition("/")[0]
    match = _ROUND.fullmatch(name)
    return int(match[1]) if match else None


def evaluation_folder(run: Path, number: int) -> Path:
    """The results folder of a round."""
    return run / stage_name(number, EVAL)


def checkpoint_folder(run: Path, number: int) -> Path:
    """The weights that a round trained."""
    return run / stage_name(number, OPTIMISE) / CHECKPOINT


def finished_rounds(run: Path) -> dict[int, Path]:
    """The results folders of a run's finished evaluations, by round; empty for any other folder."""
    return _by_round(path.parent for path in run.glob(f"round-*/{EVAL}/{RESULTS}"))


def watched_rounds(run: Path) -> dict[int, Path]:
    """The files of what a run's monitors read, by round."""
    return {number: path / READINGS for number, path in _by_round(run.glob(f"round-*/{WATCH}")).items()
            if (path / READINGS).is_file()}  # fmt: skip


def judged_rounds(run: Path) -> dict[int, Path]:
    """The files of judged answers in a run's folder, by round."""
    return {number: path / GROUPS for number, path in _by_round(run.glob(f"round-*/{VERIFY}")).items()
            if (path / GROUPS).is_file()}  # fmt: skip


def _by_round(stages: Iterable[Path]) -> dict[int, Path]:
    numbered = ((round_of(path.parent), path) for path in stages)
    return dict(sorted((number, path) for number, path in numbered if number is not None))
