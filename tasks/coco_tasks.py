"""The tasks on COCO that this project defines, asked of a model: IC (captions) and grounding (boxes).

Both read the data folder only: annotations are COCO's or anybody's in its format, pictures lie in a folder of the name
that COCO's archive of them has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from statistics import fmean

from harness.errors import MissingError
from harness.files import read_json
from harness.types import Details, Metric, Sample, Score, Scorer
from tasks.benchmarks import normalisers, refuse_other_split
from tasks.chair import marks as chair
from tasks.chair.truth import tables_folder
from tasks.data.folder import coco_picture, missing_file
from tasks.data.sources import data_folder
from tasks.grounding import marks as grounding
from tasks.ic import marks as ic
from tasks.ic.build import TRUTH_FILE, ids_digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Ic:
    """IC: which objects a description names, and how many of each, on the set that `strop data build ic` chose."""

    name: str = ic.NAME
    version: int = ic.VERSION
    metrics: tuple[Metric, ...] = ic.IC_METRICS
    headline: str = ic.HEADLINE
    frontier: tuple[str, str] = ("precision", "recall")
    max_tokens: int = 512  # as CHAIR

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        truth = data_folder() / self.name / TRUTH_FILE
        if not truth.is_file():
            raise MissingError(f"{truth}: no such file; choose a set by `strop data build ic --out {truth.parent}`")
        asked = ic.load_questions(truth, _tables())
        annotations = read_json(truth).get("annotations", ())
        return [
            replace(one, images=(coco_picture(self.name, one.meta["file_name"], annotations),))
            for one in asked.values()
        ]

    def score(self, sample: Sample, answer: str) -> Score:
        return _score_caption(self.profile, sample, answer)

    @property
    def profile(self) -> str:
        """Official, and lemminflect where NLTK's data are missing, as in `strop score ic`."""
        return next(iter(normalisers(data_folder())))

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        return {name: partial(_score_caption, name) for name in normalisers(data_folder())}

    def gold(self, sample: Sample) -> str:
        return chair.caption_naming(set(sample.target), _tables(), chair.PROFILES[self.profile].words)

    def details(self, samples: Sequence[Sample]) -> Details:
        info = {
            "questions": "data folder",
            "ids": ids_digest(sample.id for sample in samples),
            "normaliser": chair.PROFILES[self.profile].package,
        }
        return Details(metrics=self.metrics, info=info)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grounding:
    """Grounding: the box of a thing that is there once. 1,000 instances of COCO val2014 or val2017, categories in turn.

    Fractions of the picture are asked for. Answers are also read as LLaVA-1.5 learnt to give them (profile `llava`),
    as fractions of the middle square (`crop`), which is all that some processors show, and on the scales of other
    models (`tasks.grounding.marks.FRAMES`).
    """

    name: str = grounding.NAME
    version: int = grounding.VERSION
    metrics: tuple[Metric, ...] = grounding.GROUNDING_METRICS
    headline: str = grounding.HEADLINE
    max_tokens: int = 64
    profile: str = "strict"

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        annotations = grounding_annotations(data_folder())
        asked = grounding.load_questions(annotations)
        return [
            replace(one, images=(coco_picture(self.name, one.meta["file_name"], [annotations.name]),)) for one in asked
        ]

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        return {name: partial(_score_box, name) for name in grounding.PROFILES}

    def gold(self, sample: Sample) -> str:
        return grounding.fractions_text(sample.target, sample.meta["size"])

    def details(self, samples: Sequence[Sample]) -> Details:
        info = {
            "questions": "data folder",
            "annotations": grounding_annotations(data_folder()).name,
            "categories": len({sample.meta["object"] for sample in samples}),
            "ids": ids_digest(sample.id for sample in samples),
            "whole_picture_IoU": fmean(grounding.cover(sample.target, sample.meta["size"]) for sample in samples),
        }
        return Details(metrics=self.metrics, info=info)


def grounding_annotations(data: Path) -> Path:
    """The instances that grounding asks for: its own or CHAIR's; raises `MissingError` where there are none."""
    places = [data / task / folder for task in (grounding.NAME, chair.NAME) for folder in ("annotations", "")]
    found = grounding.annotations_in(places)
    if found is None:
        raise missing_file(grounding.NAME, "annotations/instances_val2014.json")
    return found


def _score_box(profile: str, sample: Sample, answer: str) -> Score:
    return grounding.score_framed(sample.target, answer, sample.meta["size"], profile)


def _score_caption(profile: str, sample: Sample, answer: str) -> Score:
    return ic.score_ic(chair.PROFILES[profile].words(answer), sample.target, _tables())


def _tables() -> chair.ChairTables:
    return _tables_in(tables_folder(data_folder() / ic.NAME / TRUTH_FILE, data_folder()))


@lru_cache(maxsize=2)
def _tables_in(folder: Path) -> chair.ChairTables:
    """Read once: every caption is marked by them."""
    return chair.load_tables(folder)
