"""The store of answers, keyed by content: nobody is asked the same thing twice, and no model gets another's answers.

A key covers the weights' digest, the model's input settings, the prompt, the pictures' pixels, the sampling and, where
a sample's own number stream decides, the sample's id. The file is append-only JSON lines. An answer is in it as soon as
it is there, whatever ends the process, and on the disk itself about a second later: only a power cut loses that second.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Protocol, runtime_checkable

from harness.disks import reading, refuse_unwritable_file, writing
from harness.errors import DataError
from harness.files import digest_of_json
from harness.lines import Line, checked_line, set_aside, whole_lines
from harness.pictures import open_picture, picture_digest
from harness.types import Advance, AnswerStream, Picture, Sample, Sampling
from harness.wording import counted

CHUNK = 512
"""Log-likelihoods that are kept together: what a stopped command loses at most."""

SYNC_SECONDS = 1.0
"""How long an answer may wait in the system's memory for the disk: waiting for the disk at each slows down servers."""


class Answering(Protocol):
    """What the store needs of a model."""

    @property
    def digest(self) -> str: ...

    @property
    def settings(self) -> str: ...

    def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream: ...


@runtime_checkable
class Likely(Answering, Protocol):
    """A model that gives log-likelihoods: (value, whether the continuation is the greedy one) of each continuation."""

    def log_likelihood(self, samples: Sequence[Sample], continuations: Sequence[str]) -> list[tuple[float, bool]]: ...


class Store:
    """Answers on disk; without a path, in memory. A last line that was cut off by a crash is dropped, and a damaged one
    before it is set aside (`harness.lines`): its answers are asked for again.

    Several processes may write into one file. A file that is taken away meanwhile is written anew. Raises `DataError`
    where the file is none of answers, or cannot be read or written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.answers: dict[str, list[str]] = {}
        self._end = 0  # of the whole lines that were in the file when it was last looked at
        self._synced = monotonic()
        if path is not None:
            with reading(path):
                self._read(path)

    def _read(self, path: Path) -> None:
        if not path.is_file():
            return
        damaged: list[Line] = []
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)  # a run that shares the store may be in the middle of a line
            for line in whole_lines(stream, ("key", "answers")):
                texts = line.entry.get("answers")
                if isinstance(texts, list) and not line.reason:
                    self.answers[line.entry["key"]] = [str(text) for text in texts]
                else:
                    damaged.append(replace(line, reason=line.reason or "its answers are no list"))
                self._end = line.start + len(line.content)
        if damaged and not self.answers:
            first = damaged[0]
            raise DataError(f"{path}:{first.number}: no stored answer ({first.reason}); remove it, or the whole file")
        if damaged:
            set_aside(path, damaged)

    def add(self, answers: Mapping[str, list[str]]) -> None:
        """Keep answers by their keys."""
        if self.path is not None:
            with writing(self.path):
                self._append(self.path, answers)
        self.answers.update(answers)

    def sync(self) -> None:
        """See to it that what was added is on the disk."""
        if self.path is not None:
            with writing(self.path), contextlib.suppress(FileNotFoundError), self.path.open("rb") as stream:
                os.fsync(stream.fileno())

    @property
    def summary(self) -> str:
        """How many answers the file holds, as a note for a stopped command; empty for a store in memory."""
        if self.path is None:
            return ""
        count = sum(map(len, Store(self.path).answers.values()))
        kept = counted(count, "answer is kept", "answers are kept")
        return f"{kept} in {self.path}, the same command goes on from there"

    def _append(self, path: Path, answers: Mapping[str, list[str]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+", buffering=0) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # lines of two processes must not mix
            size = os.fstat(stream.fileno()).st_size
            if size < self._end:  # not our file any more: it was taken away, or replaced
                self._end = 0
                answers = answers if size else {**self.answers, **answers}
            tail = os.pread(stream.fileno(), size - self._end, self._end)
            self._end += tail.rfind(b"\n") + 1
            if self._end < size:
                stream.truncate(self._end)  # half a line of a process that was killed
            lines = b"".join(checked_line({"key": key, "answers": texts}) for key, texts in answers.items())
            try:
                rest = memoryview(lines)
                while rest:
                    rest = rest[stream.write(rest) :]
            except OSError:
                with contextlib.suppress(OSError):
                    stream.truncate(self._end)
                raise
            self._end += len(lines)
            if monotonic() - self._synced >= SYNC_SECONDS:
                os.fsync(stream.fileno())
                self._synced = monotonic()


def ask(
    model: Answering,
    samples: Sequence[Sample],
    sampling: Sampling,
    store: Store | None = None,
    advance: Advance | None = None,
) -> list[list[str]]:
    """`sampling.n` answers to each sample; those that the store holds are not asked for again.

    Equal questions about equal pictures are asked once. `advance` hears of every sample, stored or not. Raises what the
    model raises; what was answered before is kept.
    """
    store = store or Store()
    pictures: dict[tuple[Picture, ...], str] = {}
    keys = [_key(model, sample, sampling, pictures) for sample in samples]
    missing: dict[str, Sample] = {}
    for key, sample in zip(keys, samples, strict=True):
        if key not in store.answers:
            missing.setdefault(key, sample)
    if advance:
        advance(len(samples) - len(missing))
    waiting = dict(sorted(missing.items(), key=lambda item: item[1].cluster))
    fill(store, waiting, lambda pending: model.stream(pending, sampling), advance)
    return [store.answers[key] for key in keys]


def ask_likelihoods(
    model: Likely,
    samples: Sequence[Sample],
    continuations: Sequence[str],
    store: Store | None = None,
    advance: Advance | None = None,
) -> list[tuple[float, bool]]:
    """The log-likelihood of each continuation behind its sample's prompt, and whether it is the greedy one; as `ask`
    keeps answers, these are kept."""
    store = store or Store()
    pictures: dict[tuple[Picture, ...], str] = {}
    keys = [
        digest_of_json({**_content(model, sample, pictures), "continuation": continuation})
        for sample, continuation in zip(samples, continuations, strict=True)
    ]
    missing: dict[str, tuple[Sample, str]] = {}
    for key, sample, continuation in zip(keys, samples, continuations, strict=True):
        if key not in store.answers:
            missing.setdefault(key, (sample, continuation))
    if advance:
        advance(len(keys) - len(missing))
    waiting = dict(sorted(missing.items(), key=lambda item: item[1][0].cluster))
    behind = [continuation for _, continuation in waiting.values()]

    def stream(questions: Sequence[Sample]) -> AnswerStream:
        for start in range(0, len(questions), CHUNK):
            chunk = slice(start, start + CHUNK)
            for index, likelihood in enumerate(model.log_likelihood(questions[chunk], behind[chunk]), start):
                yield index, [json.dumps(likelihood)]

    fill(store, {key: sample for key, (sample, _) in waiting.items()}, stream, advance)
    likelihoods = (json.loads(store.answers[key][0]) for key in keys)
    return [(value, greedy) for value, greedy in likelihoods]


def fill(
    store: Store,
    waiting: Mapping[str, Sample],
    stream: Callable[[Sequence[Sample]], AnswerStream],
    advance: Advance | None = None,
) -> None:
    """Keep the answers to what is waiting, by key, each as it comes from `stream`.

    What ends it before the end is given a note on what is kept. Raises `DataError`, before anything is asked, where the
    store cannot be written.
    """
    if not waiting:
        return
    keys = list(waiting)
    if store.path is not None:
        refuse_unwritable_file(store.path)
    try:
        for index, texts in stream(list(waiting.values())):
            store.add({keys[index]: texts})
            if advance:
                advance(1)
    except BaseException as end:
        with contextlib.suppress(DataError):  # `end` says more
            if store.summary:
                end.add_note(store.summary)
            store.sync()
        raise
    store.sync()


def _key(model: Answering, sample: Sample, sampling: Sampling, pictures: dict[tuple[Picture, ...], str]) -> str:
    return digest_of_json(
        {
            **_content(model, sample, pictures),
            "sampling": sampling.settings,
            "stream": sample.id if sampling.temperature else None,
        }
    )


def _content(model: Answering, sample: Sample, pictures: dict[tuple[Picture, ...], str]) -> dict[str, str]:
    """What every key covers; digests of pictures that are not yet in `pictures` are put there."""
    if sample.images not in pictures:
        pictures[sample.images] = picture_digest([open_picture(picture) for picture in sample.images])
    return {
        "weights": model.digest,
        "settings": model.settings,
        "prompt": sample.prompt,
        "pictures": pictures[sample.images],
    }
