"""The store of answers, keyed by content: nobody is asked the same thing twice, and no model gets another's answers.

A key covers the weights' digest, the model's input settings, the prompt, the pictures' pixels, the sampling and, where
a sample's own number stream decides, the sample's id. The file is append-only JSON lines, synced to disk after every
chunk of answers, so that a run that is killed goes on at the sample where it stopped.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from harness.errors import DataError, OutageError
from harness.files import digest_of_json
from harness.pictures import open_picture, picture_digest
from harness.types import Advance, Picture, Sample, Sampling

CHUNK = 384
"""Samples between two writes."""


class Answering(Protocol):
    """What the store needs of a model."""

    @property
    def digest(self) -> str: ...

    @property
    def settings(self) -> str: ...

    def generate(
        self, samples: Sequence[Sample], sampling: Sampling, advance: Advance | None = None
    ) -> list[list[str]]: ...


class Store:
    """Answers on disk. A last line that was cut off by a crash is dropped when the file is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, list[str]] = {}
        if path.exists():
            whole = 0
            with path.open("rb+") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)  # a run that shares the store may be in the middle of a line
                for number, line in enumerate(stream, start=1):
                    if not line.endswith(b"\n"):
                        break
                    try:
                        entry = json.loads(line)
                        self.known[entry["key"]] = entry["answers"]
                    except (ValueError, KeyError, TypeError) as error:
                        raise DataError(f"{path}:{number}: no stored answer; remove it, or the whole file") from error
                    whole += len(line)
                stream.truncate(whole)

    def add(self, answers: dict[str, list[str]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # runs may share a store; lines of two must not mix
            for key, texts in answers.items():
                stream.write(json.dumps({"key": key, "answers": texts}, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.known.update(answers)


def ask(
    model: Answering,
    samples: Sequence[Sample],
    sampling: Sampling,
    store: Store | None = None,
    advance: Advance | None = None,
) -> list[list[str]]:
    """`sampling.n` answers to each sample; those that the store holds are not asked for again.

    Equal questions about equal pictures are asked once. `advance` hears of every sample, stored or not. Raises what the
    model raises; what was answered before an `OutageError` is kept.
    """
    pictures: dict[tuple[Picture, ...], str] = {}
    keys = [_key(model, sample, sampling, pictures) for sample in samples]
    known: dict[str, list[str]] = store.known if store else {}
    missing: dict[str, Sample] = {}
    for key, sample in zip(keys, samples, strict=True):
        if key not in known:
            missing.setdefault(key, sample)
    waiting = sorted(missing.items(), key=lambda item: item[1].cluster)
    if advance:
        advance(len(samples) - len(waiting))
    for start in range(0, len(waiting), CHUNK):
        chunk = dict(waiting[start : start + CHUNK])
        outage = None
        try:
            found: Sequence[list[str] | None] = model.generate(list(chunk.values()), sampling, advance)
        except OutageError as error:
            outage, found = error, error.answers
        answers = {key: texts for key, texts in zip(chunk, found, strict=True) if texts is not None}
        if store:
            store.add(answers)
        else:
            known.update(answers)
        if outage and store:
            told = f"{outage}; what was answered is kept in {store.path}, the same command goes on"
            raise OutageError(told, outage.answers) from outage
        if outage:
            raise outage
    return [known[key] for key in keys]


def _key(model: Answering, sample: Sample, sampling: Sampling, pictures: dict[tuple[Picture, ...], str]) -> str:
    if sample.images not in pictures:
        pictures[sample.images] = picture_digest([open_picture(picture) for picture in sample.images])
    return digest_of_json(
        {
            "weights": model.digest,
            "settings": model.settings,
            "prompt": sample.prompt,
            "pictures": pictures[sample.images],
            "sampling": dataclasses.asdict(sampling),
            "stream": sample.id if sampling.temperature else None,
        }
    )
