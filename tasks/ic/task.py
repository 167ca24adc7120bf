"""IC as a task that asks a model for descriptions, of the set that `strop data build ic` chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

from harness.errors import MissingError
from harness.files import read_json
from harness.types import Details, Metric, Sample, Score, Scorer
from tasks.data.folder import coco_picture
from tasks.data.ids import ids_digest
from tasks.data.root import DataRoot
from tasks.data.splits import refuse_other_split
from tasks.ic import marks, questions
from tasks.ic.build import TRUTH_FILE
from tasks.reading import object_words


@dataclass(frozen=True, kw_only=True, slots=True)
class Ic:
    """IC: which objects a description names, and how many of each, on the set that `strop data build ic` chose."""

    name: str = marks.NAME
    version: int = marks.VERSION
    metrics: tuple[Metric, ...] = marks.IC_METRICS
    headline: str = marks.HEADLINE
    frontier: tuple[str, str] = ("precision", "recall")
    max_tokens: int = 512  # as CHAIR
    data_root: DataRoot = field(default_factory=DataRoot)
    bound: object_words.CaptionReader | None = field(default=None, hash=False)
    """What the captions of a file are read by; None: truth and tables of the data folder."""

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        truth = self.data_root.folder / self.name / TRUTH_FILE
        if not truth.is_file():
            raise MissingError(f"{truth}: no such file; choose a set by `strop data build ic --out {truth.parent}`")
        samples = questions.load_questions(truth, _tables(self.data_root.folder))
        annotations = read_json(truth).get("annotations", ())
        return [
            replace(
                sample, images=(coco_picture(self.data_root.folder, self.name, sample.meta["file_name"], annotations),)
            )
            for sample in samples.values()
        ]

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    def read(self, sample: Sample, answer: str) -> frozenset[str] | None:
        tables = self.bound.tables if self.bound else _tables(self.data_root.folder)
        normaliser = self.bound.normaliser if self.bound else object_words.PROFILES[self.profile]
        return object_words.classes_in(normaliser.words(answer), tables)

    @property
    def profile(self) -> str:
        """Official, and lemminflect where NLTK's data are missing, as in `strop score ic`."""
        return self.bound.profile if self.bound else next(iter(object_words.normalisers(self.data_root.folder)))

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        if self.bound:
            return {self.bound.profile: partial(_score_bound, self.bound)}
        folder = self.data_root.folder
        return {name: partial(_score_caption, name, folder) for name in object_words.normalisers(folder)}

    def gold(self, sample: Sample) -> str:
        if self.bound:
            return object_words.caption_naming(set(sample.target), self.bound.tables, self.bound.normaliser.words)
        return object_words.caption_naming(
            set(sample.target), _tables(self.data_root.folder), object_words.PROFILES[self.profile].words
        )

    def details(self, samples: Sequence[Sample]) -> Details:
        if self.bound:
            return Details(metrics=self.metrics, info=self.bound.info)
        info = {
            "questions": "data folder",
            "ids": ids_digest(sample.id for sample in samples),
            "normaliser": object_words.PROFILES[self.profile].package,
        }
        return Details(metrics=self.metrics, info=info)


def _score_caption(profile: str, folder: Path, sample: Sample, answer: str) -> Score:
    return marks.score_ic(object_words.PROFILES[profile].words(answer), sample.target, _tables(folder))


def _score_bound(reader: object_words.CaptionReader, sample: Sample, answer: str) -> Score:
    return marks.score_ic(reader.normaliser.words(answer), sample.target, reader.tables)


def _tables(data: Path) -> object_words.ChairTables:
    return _tables_in(object_words.tables_folder(data / marks.NAME / TRUTH_FILE, data))


@lru_cache(maxsize=2)
def _tables_in(folder: Path) -> object_words.ChairTables:
    """Read once: every caption is marked by them."""
    return object_words.load_tables(folder)
