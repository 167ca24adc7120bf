"""CHAIR as a task that asks a model for descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from harness.types import Details, Metric, Sample, Score, Scorer
from tasks.chair import marks, questions
from tasks.chair.truth import ChairTruth, open_truth, truth_in
from tasks.data.folder import coco_picture, first_file, missing_file
from tasks.data.root import DataRoot
from tasks.data.splits import refuse_other_split
from tasks.reading import object_words
from tasks.reading.object_words import tables_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Chair:
    """CHAIR: which objects a description names that are not in the photograph, on the 500 of COCO that OPERA drew."""

    name: str = marks.NAME
    version: int = marks.VERSION
    metrics: tuple[Metric, ...] = marks.CHAIR_METRICS
    headline: str = marks.HEADLINE
    frontier: tuple[str, str] = ("CHAIRi", "recall")
    max_tokens: int = 512  # OPERA's protocol
    data_root: DataRoot = field(default_factory=DataRoot)
    bound: object_words.CaptionReader | None = field(default=None, hash=False)
    """What the captions of a file are read by; None: truth and tables of the data folder."""
    count: int = questions.IMAGES

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        ids = first_file(self.data_root.folder / self.name, "opera_image_ids.json", "greedy.jsonl")
        if ids is None:
            raise missing_file(self.data_root.folder, self.name, "greedy.jsonl")
        world = _chair_world(self.data_root.folder)
        return [
            Sample(
                id=str(image),
                prompt=questions.PROMPT,
                images=(coco_picture(self.data_root.folder, self.name, f"COCO_val2014_{image:012d}.jpg"),),
                target=world.truth.classes(str(image)),
                cluster=str(image),
            )
            for image in questions.load_image_ids(ids, self.count)
        ]

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    def read(self, sample: Sample, answer: str) -> frozenset[str] | None:
        tables = self.bound.tables if self.bound else _chair_world(self.data_root.folder).tables
        normaliser = self.bound.normaliser if self.bound else object_words.PROFILES[self.profile]
        return object_words.classes_in(normaliser.words(answer), tables)

    @property
    def profile(self) -> str:
        """Official, and lemminflect where NLTK's data are missing, as in `strop score chair`."""
        return self.bound.profile if self.bound else next(iter(object_words.normalisers(self.data_root.folder)))

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        if self.bound:
            return {self.bound.profile: partial(_score_bound, self.bound)}
        # the truth of an annotation folder names what the headline's normaliser reads in the human captions
        folder = self.data_root.folder
        names = object_words.normalisers(folder)
        return {name: partial(_score_caption, profile=name, folder=folder) for name in names}

    def gold(self, sample: Sample) -> str:
        if self.bound:
            return object_words.caption_naming(sample.target, self.bound.tables, self.bound.normaliser.words)
        return object_words.caption_naming(
            sample.target, _chair_world(self.data_root.folder).tables, object_words.PROFILES[self.profile].words
        )

    def details(self, samples: Sequence[Sample]) -> Details:
        if self.bound:
            return Details(metrics=self.metrics, info=self.bound.info)
        world, package = _chair_world(self.data_root.folder), object_words.PROFILES[self.profile].package
        info = {
            "questions": "data folder",
            "truth": world.path.name,
            "objects": world.truth.about,
            "images_of_truth": len(world.truth),
            "captions": len(samples),
            "normaliser": package,
        }
        return Details(metrics=self.metrics, info=info)


@dataclass(frozen=True, kw_only=True, slots=True)
class _ChairWorld:
    path: Path
    truth: ChairTruth
    tables: object_words.ChairTables


def _chair_world(folder: Path) -> _ChairWorld:
    return _chair_world_in(folder, object_words.PROFILES[next(iter(object_words.normalisers(folder)))])


@lru_cache(maxsize=2)
def _chair_world_in(data: Path, normaliser: object_words.Normaliser) -> _ChairWorld:
    """Truth and tables of a data folder, read once: a caption is marked by them."""
    path = truth_in(data / marks.NAME)
    if path is None:
        raise missing_file(data, marks.NAME, "ground_truth_maxlinn.json.gz")
    tables = object_words.load_tables(tables_folder(path, data))
    return _ChairWorld(path=path, truth=open_truth(path, tables, words=normaliser.words), tables=tables)


def _score_caption(sample: Sample, answer: str, profile: str, folder: Path) -> Score:
    return marks.score_caption(object_words.PROFILES[profile].words(answer), sample.target, _chair_world(folder).tables)


def _score_bound(reader: object_words.CaptionReader, sample: Sample, answer: str) -> Score:
    return marks.score_caption(reader.normaliser.words(answer), sample.target, reader.tables)
