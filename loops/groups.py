"""Candidate answers and pairs on disk: JSON lines that name their sample by id; prompts are repeated for readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import RunError
from harness.files import read_jsonl, write_jsonl
from harness.types import Group, Sample, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A training row: the answer to prefer and the one to avoid. `reversed`: the verifier preferred the one that was
    collected later, which for a controlled hallucination is the hallucination."""

    sample: Sample
    chosen: str
    rejected: str
    reversed: bool


def write_groups(path: Path, groups: Sequence[Group]) -> None:
    write_jsonl(
        path,
        (
            {
                "id": group.sample.id,
                "prompt": group.sample.prompt,
                "answers": list(group.answers),
                "notes": [dict(note) for note in group.notes],
                "verdicts": [{"reward": verdict.reward, "why": verdict.why} for verdict in group.verdicts],
            }
            for group in groups
        ),
    )


def read_groups(path: Path, samples: Sequence[Sample]) -> list[Group]:
    """The groups of a file, with their samples found by id among `samples`."""
    by_id = {sample.id: sample for sample in samples}
    return [
        Group(
            sample=_find(by_id, row["id"], path),
            answers=tuple(row["answers"]),
            notes=tuple(row["notes"]),
            verdicts=tuple(Verdict(**verdict) for verdict in row["verdicts"]),
        )
        for row in read_jsonl(path)
    ]


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    write_jsonl(
        path,
        (
            {
                "id": pair.sample.id,
                "prompt": pair.sample.prompt,
                "chosen": pair.chosen,
                "rejected": pair.rejected,
                "reversed": pair.reversed,
            }
            for pair in pairs
        ),
    )


def read_pairs(path: Path, samples: Sequence[Sample]) -> list[Pair]:
    by_id = {sample.id: sample for sample in samples}
    return [
        Pair(
            sample=_find(by_id, row["id"], path),
            chosen=row["chosen"],
            rejected=row["rejected"],
            reversed=row["reversed"],
        )
        for row in read_jsonl(path)
    ]


def _find(by_id: Mapping[str, Sample], sample: str, path: Path) -> Sample:
    if sample not in by_id:
        raise RunError(f"{path}: sample {sample} is not in this recipe's pool; the file was edited or moved")
    return by_id[sample]
