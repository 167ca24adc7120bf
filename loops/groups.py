"""Candidate answers and training rows on disk: JSON lines that name their sample by id; prompts are repeated for
readers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import RunError
from harness.files import read_jsonl, write_jsonl
from harness.pictures import open_picture
from harness.types import Group, Sample, Verdict

ENDS = "ends"
"""Stands in the notes of an answer that was given within episodes (`loops.collect.episodes`): of each episode that gave
it there, with how many answers from there on, it among them, it succeeded, None where it did not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A training row: the answer to prefer and the one to avoid. `reversed`: the verifier preferred the one that was
    collected later, which for a controlled hallucination is the hallucination."""

    sample: Sample
    chosen: str
    rejected: str
    reversed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A training row: an answer that the verifier let pass or, `desirable` false, one to avoid."""

    sample: Sample
    answer: str
    desirable: bool = True


Row = Pair | Example
"""What is trained on."""


def texts_of(row: Row) -> tuple[str, ...]:
    """The answers of a row: of a pair, the one to prefer and the one to avoid."""
    return (row.chosen, row.rejected) if isinstance(row, Pair) else (row.answer,)


def examples_of(rows: Sequence[Row]) -> list[Example]:
    """The rows as examples: of a pair, the chosen answer and the rejected one."""
    examples: list[Example] = []
    for row in rows:
        if isinstance(row, Pair):
            examples.append(Example(sample=row.sample, answer=row.chosen))
            examples.append(Example(sample=row.sample, answer=row.rejected, desirable=False))
        else:
            examples.append(row)
    return examples


PICTURES = "pictures"
"""The folder of pictures that a collector made, beside its groups; and in a row, where they lie from its file."""


def keep_pictures(groups: Sequence[Group], folder: Path) -> list[Group]:
    """The groups with their pictures as files in the folder's `PICTURES`."""
    (folder / PICTURES).mkdir(parents=True)
    kept = []
    for number, group in enumerate(groups):
        paths = [folder / PICTURES / f"{number}-{place}.png" for place, _ in enumerate(group.sample.images)]
        for picture, path in zip(group.sample.images, paths, strict=True):
            open_picture(picture).save(path)
        kept.append(replace(group, sample=replace(group.sample, images=tuple(paths))))
    return kept


def write_groups(path: Path, groups: Sequence[Group]) -> None:
    write_jsonl(
        path,
        (
            {
                **_named(group.sample, path),
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
            sample=_find(by_id, row, path),
            answers=tuple(row["answers"]),
            notes=tuple(row.get("notes", ())),
            verdicts=tuple(Verdict(**verdict) for verdict in row.get("verdicts", ())),
        )
        for row in read_jsonl(path)
    ]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    write_jsonl(path, ({**_named(row.sample, path), **_texts(row)} for row in rows))


def read_rows(path: Path, samples: Sequence[Sample]) -> list[Row]:
    """The pairs or examples of a file, with their samples found by id among `samples`."""
    by_id = {sample.id: sample for sample in samples}
    return [_row(_find(by_id, row, path), row) for row in read_jsonl(path)]


def _texts(row: Row) -> dict[str, Any]:
    if isinstance(row, Pair):
        return {"chosen": row.chosen, "rejected": row.rejected, "reversed": row.reversed}
    return {"answer": row.answer, "desirable": row.desirable}


def _row(sample: Sample, row: Mapping[str, Any]) -> Row:
    if "answer" in row:
        return Example(sample=sample, answer=row["answer"], desirable=row["desirable"])
    return Pair(sample=sample, chosen=row["chosen"], rejected=row["rejected"], reversed=row["reversed"])


def _named(sample: Sample, path: Path) -> dict[str, Any]:
    """What a row of the file says of its sample: pictures of the run's own are named by where they lie."""
    made = [
        picture
        for picture in sample.images
        if isinstance(picture, Path) and picture.parent.name == PICTURES and path.parent.parent in picture.parents
    ]
    named = {PICTURES: [os.path.relpath(picture, path.parent) for picture in made]} if made else {}
    return {"id": sample.id, "prompt": sample.prompt, **named}


def _find(by_id: Mapping[str, Sample], row: Mapping[str, Any], path: Path) -> Sample:
    """The sample of a row, under the row's prompt: a model's own question is none of the pool's, and its own picture is
    in no pool."""
    if PICTURES in row:
        images = tuple(path.parent / place for place in row[PICTURES])
        return Sample(id=row["id"], prompt=row["prompt"], images=images, target=None, cluster=row["id"])
    if row["id"] not in by_id:
        raise RunError(f"{path}: sample {row['id']} is not in this recipe's pool; the file was edited or moved")
    sample = by_id[row["id"]]
    return replace(sample, prompt=row.get("prompt", sample.prompt))
