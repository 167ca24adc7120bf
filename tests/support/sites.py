"""A small site for tests: a run of two tasks whose questions have pictures, gold and two ways of being read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from harness.errors import DataError
from harness.results import Marked, TaskResult
from harness.types import Metric, Sample, Score, Scorer
from leaderboards.ablation import Ablation
from leaderboards.beside import Published
from leaderboards.build import assemble, read_entries
from leaderboards.site.build import write_site
from leaderboards.site.samples import FindTask, Questions
from tests.support.worlds import YES_NO, captions, write_run, yes_no

COLOURS = ("red", "green", "blue")
PROMPT = "Is there a cat?"


@dataclass(frozen=True, kw_only=True)
class Quiz:
    """Yes or no. The profile "loose" reads a yes anywhere, "strict" only one that stands alone."""

    name: str = "quiz"
    version: int = 1
    headline: str = "accuracy"
    max_tokens: int = 8
    metrics: tuple[Metric, ...] = YES_NO
    profile: str = "strict"
    count: int = 60

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        return {"strict": self.score, "loose": self.loose}

    def samples(self, split: str) -> Sequence[Sample]:
        return [sample(f"q{number}") for number in range(self.count)]

    def score(self, sample: Sample, answer: str) -> Score:
        return self._marked(sample, answer.lower() if answer.lower() in ("yes", "no") else None)

    def loose(self, sample: Sample, answer: str) -> Score:
        return self._marked(sample, "yes" if "yes" in answer.lower() else "no")

    def _marked(self, sample: Sample, read: str | None) -> Score:
        counts = {"right": int(read == sample.target), "asked": 1, "unread": int(read is None)}
        return Score(value=counts["right"], parsed=read, counts=counts)

    def gold(self, sample: Sample) -> str:
        return str(sample.target)


def sample(name: str, prompt: str = PROMPT) -> Sample:
    """A question with one of three plain pictures."""
    number = int(re.sub(r"\D", "", name) or 0)
    picture = partial(Image.new, "RGB", (32, 24), COLOURS[number % 3])
    return Sample(id=name, prompt=prompt, images=(picture,), target="yes", cluster=f"scene-{number}")


def answered(*answers: str, **changed: Any) -> TaskResult:
    """The quiz answered so, marked by its own scorer."""
    quiz = Quiz()
    rows = []
    for number, answer in enumerate(answers):
        score = quiz.score(sample(f"q{number}"), answer)
        rows.append(
            Marked(id=f"q{number}", cluster=f"scene-{number}", group=None, answer=answer, value=score.value,
                   parsed=score.parsed, counts=score.counts)
        )  # fmt: skip
    return replace(yes_no([], profile="strict"), rows=tuple(rows), **changed)


def find_quiz(name: str, version: int, split: str) -> Questions:
    if name != "quiz":
        raise DataError(f"{name}: its pictures are in a drawer")
    return Questions(task=Quiz(), samples={sample.id: sample for sample in Quiz().samples(split)})


def find_nothing(folder: Path, number: int) -> Questions:
    raise DataError("no training pool is at hand")


def make_site(
    out: Path,
    runs: Sequence[Path],
    *,
    find_task: FindTask = find_quiz,
    rest: int = 200,
    ablations: Sequence[Ablation] = (),
    published: Published = Published(figures=(), yardsticks=()),
) -> Path:
    """The site of these run folders."""
    entries = read_entries(runs)
    board = assemble(entries)
    write_site(entries, board, out, published, ablations, find_task=find_task, find_pool=find_nothing, rest=rest)
    return out


def small_run(folder: Path, **changed: Any) -> Path:
    """A run of one round: q0 stays right, q1 is fixed, q2 broken, q3 becomes one that profiles read differently."""
    before = [answered("Yes", "No", "Yes", "No"), captions("cat !dog", "cup")]
    after = [answered("Yes", "Yes", "No", "Well, yes"), captions("cat", "cup !car")]
    return write_run(folder, [before, after], **changed)


def data_of(site: Path, browser: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The index of a sample browser and all its samples, read from the scripts that hand them over."""
    folder = site / "data" / browser
    (index,) = _arguments(folder / "index.js", "index")
    files = sorted((path for path in folder.glob("*.js") if path.stem != "index"), key=lambda path: int(path.stem))
    return index, [sample for path in files for sample in _arguments(path, "samples")[1]]


def _arguments(path: Path, function: str) -> list[Any]:
    text = path.read_text(encoding="ascii")  # nothing in it that a script could read as anything but text
    assert text.startswith(f"strop.{function}(") and text.endswith(");\n")
    arguments: list[Any] = json.loads("[" + text[len(f"strop.{function}(") : -3] + "]")
    return arguments
