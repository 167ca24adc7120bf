"""Grounding as a task that asks a model for boxes, on COCO's instances in the data folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from harness.types import Details, Metric, Sample, Score, Scorer
from tasks.data.annotations import Box
from tasks.data.folder import coco_picture, missing_file
from tasks.data.ids import ids_digest
from tasks.data.root import DataRoot
from tasks.data.splits import refuse_other_split
from tasks.grounding import marks, questions, readers


@dataclass(frozen=True, kw_only=True, slots=True)
class Grounding:
    """Grounding: the box of a thing that is there once. 1,000 instances of COCO val2014 or val2017, categories in turn.

    Fractions of the picture are asked for. Answers are also read as LLaVA-1.5 learnt to give them (profile `llava`),
    as fractions of the middle square (`crop`), which is all that some processors show, and on the scales of other
    models (`tasks.grounding.marks.FRAMES`).
    """

    name: str = marks.NAME
    version: int = marks.VERSION
    metrics: tuple[Metric, ...] = marks.GROUNDING_METRICS
    headline: str = marks.HEADLINE
    max_tokens: int = 64
    profile: str = "strict"
    data_root: DataRoot = field(default_factory=DataRoot)
    about: Mapping[str, Any] | None = field(default=None, hash=False)
    """What results tell of questions that a file of answers was joined to; None: of those in the data folder."""

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        annotations = grounding_annotations(self.data_root.folder)
        samples = questions.load_questions(annotations)
        return [
            replace(
                sample,
                images=(coco_picture(self.data_root.folder, self.name, sample.meta["file_name"], [annotations.name]),),
            )
            for sample in samples
        ]

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    def read(self, sample: Sample, answer: str) -> Box | None:
        return marks.read_framed(answer, sample.meta["size"], self.profile)

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        return {name: partial(_score_box, name) for name in readers.PROFILES}

    def gold(self, sample: Sample) -> str:
        return readers.fractions_text(sample.target, sample.meta["size"])

    def details(self, samples: Sequence[Sample]) -> Details:
        if self.about is not None:
            return Details(metrics=self.metrics, info=self.about)
        info = {
            "questions": "data folder",
            "annotations": grounding_annotations(self.data_root.folder).name,
            "categories": len({sample.meta["object"] for sample in samples}),
            "ids": ids_digest(sample.id for sample in samples),
            "whole_picture_IoU": fmean(questions.cover(sample.target, sample.meta["size"]) for sample in samples),
        }
        return Details(metrics=self.metrics, info=info)


def grounding_annotations(data: Path) -> Path:
    """The instances that grounding asks for: its own or CHAIR's; raises `MissingError` where there are none."""
    places = [data / task / folder for task in (marks.NAME, "chair") for folder in ("annotations", "")]
    path = questions.annotations_in(places)
    if path is None:
        raise missing_file(data, marks.NAME, "annotations/instances_val2014.json")
    return path


def _score_box(profile: str, sample: Sample, answer: str) -> Score:
    return marks.score_framed(sample.target, answer, sample.meta["size"], profile)
