"""MathVista as a task that asks a model: questions and pictures from the data folder, or from the hub.

Its headline is the profile `strict`: its authors' rule reads what a language model took out of an answer. The split
"test" is its authors' testmini.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from harness.types import Details, Metric, Sample, Score, Scorer
from tasks.data.folder import missing_file, picture_folder, pictures_in
from tasks.data.hub import questions_from, read_hub, required_picture
from tasks.data.root import DataRoot
from tasks.data.rows import Row
from tasks.data.splits import refuse_other_split
from tasks.mathvista import marks, questions, sources
from tasks.mathvista.readers import MATHVISTA_PROFILES, Question, Reply
from tasks.reading.readers import LETTERS


@dataclass(frozen=True, kw_only=True, slots=True)
class MathVista:
    """MathVista: mathematics in pictures, by option or by number; the 1,000 questions of testmini, the hint first."""

    name: str = marks.NAME
    version: int = marks.VERSION
    metrics: tuple[Metric, ...] = marks.mathvista_metrics()
    headline: str = marks.HEADLINE
    max_tokens: int = 1024
    profile: str = "strict"
    data_root: DataRoot = field(default_factory=DataRoot)
    size: questions.Size = questions.TESTMINI
    about: Mapping[str, Any] | None = field(default=None, hash=False)
    """What results tell of questions that a file of answers was joined to; None: of those in the data folder."""
    extractions: Mapping[str, str] | None = field(default=None, hash=False)
    """Pid -> the short answer that a language model took out of a stored response; None: no model was asked."""

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        if self.data_root.hub:
            return _mathvista_of_hub(self.data_root, self.size)
        folder = self.data_root.folder / self.name
        for file in ("testmini.json", "query.json"):
            if not (folder / file).is_file():
                raise missing_file(self.data_root.folder, self.name, file, sources.HUB)
        samples = questions.load_questions(folder / "testmini.json", self.size)
        prompts = questions.load_prompts(folder / "query.json", samples)
        # refused where it is missing; the questions name it themselves
        picture_folder(self.data_root.folder, self.name, "images.zip", f"{self.name}/images")
        return [
            replace(sample, prompt=prompts[pid], images=pictures_in(folder, sample.meta["image"]))
            for pid, sample in samples.items()
        ]

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        """All where extractions are stored; else those that read the response."""
        stored = self.extractions or {}
        return {
            name: partial(_score_mathvista, stored, name)
            for name in MATHVISTA_PROFILES
            if self.extractions is not None or not name.startswith(marks.EXTRACTED)
        }

    @property
    def replicas(self) -> Collection[str]:
        return marks.REPLICAS

    def gold(self, sample: Sample) -> str:
        """By letter, since an option may be called "(b)" and not be the second."""
        question: Question = sample.target
        answer = LETTERS[question.options.index(question.answer)] if question.options else question.answer
        return f'The answer is "{answer}".'

    def details(self, samples: Sequence[Sample]) -> Details:
        info = self.about
        if info is None:
            info = {**questions_from(sources.HUB, self.data_root), "prompt": "query.json: the hint first"}
        return Details(metrics=marks.mathvista_metrics(marks.cells_of(samples)), info=info)


def _mathvista_of_hub(data: DataRoot, size: questions.Size) -> list[Sample]:
    samples = {}
    for row, picture in read_hub(sources.HUB, data).rows():
        precision = row.content["precision"]
        whole = int(precision) if isinstance(precision, float) else precision  # the table has no column of integers
        pid = row.identifier("pid")
        question = questions.question_sample(pid, Row(row.location, {**row.content, "precision": whole}))
        samples[pid] = replace(question, images=required_picture(row, picture))
    questions.refuse_another_size(sources.HUB.name, samples, size)
    return list(samples.values())


def _score_mathvista(extractions: Mapping[str, str], profile: str, sample: Sample, answer: str) -> Score:
    reply = Reply(response=answer, extraction=extractions.get(sample.id))
    return marks.score_mathvista(sample.target, reply, profile)
