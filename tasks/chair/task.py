"""CHAIR as a task that asks a model for descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from harness.types import Details, Metric, Sample, Score, Scorer
from tasks.chair import marks as chair
from tasks.chair.truth import ChairTruth, tables_folder, truth_in
from tasks.data.folder import coco_picture, first_file, missing_file
from tasks.data.sources import data_folder
from tasks.data.splits import refuse_other_split
from tasks.reading import text


@dataclass(frozen=True, kw_only=True, slots=True)
class Chair:
    """CHAIR: which objects a description names that are not in the photograph, on the 500 of COCO that OPERA drew."""

    name: str = chair.NAME
    version: int = chair.VERSION
    metrics: tuple[Metric, ...] = chair.CHAIR_METRICS
    headline: str = chair.HEADLINE
    frontier: tuple[str, str] = ("CHAIRi", "recall")
    max_tokens: int = 512  # OPERA's protocol

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        ids = first_file(data_folder() / self.name, "opera_image_ids.json", "greedy.jsonl")
        if ids is None:
            raise missing_file(self.name, "greedy.jsonl")
        world = _chair_world()
        return [
            Sample(
                id=str(image),
                prompt=chair.PROMPT,
                images=(coco_picture(self.name, f"COCO_val2014_{image:012d}.jpg"),),
                target=world.truth.classes(str(image)),
                cluster=str(image),
            )
            for image in chair.load_image_ids(ids)
        ]

    def score(self, sample: Sample, answer: str) -> Score:
        return _score_caption(sample, answer, self.profile)

    @property
    def profile(self) -> str:
        """Official, and lemminflect where NLTK's data are missing, as in `strop score chair`."""
        return next(iter(normalisers(data_folder())))

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        # the truth of an annotation folder names what the headline's normaliser reads in the human captions
        return {name: partial(_score_caption, profile=name) for name in normalisers(data_folder())}

    def gold(self, sample: Sample) -> str:
        return chair.caption_naming(sample.target, _chair_world().tables, chair.PROFILES[self.profile].words)

    def details(self, samples: Sequence[Sample]) -> Details:
        world, package = _chair_world(), chair.PROFILES[self.profile].package
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
    tables: chair.ChairTables


def _chair_world() -> _ChairWorld:
    return _chair_world_in(data_folder(), chair.PROFILES[next(iter(normalisers(data_folder())))])


@lru_cache(maxsize=2)
def _chair_world_in(data: Path, normaliser: chair.Normaliser) -> _ChairWorld:
    """Truth and tables of a data folder, read once: a caption is marked by them."""
    path = truth_in(data / chair.NAME)
    if path is None:
        raise missing_file(chair.NAME, "ground_truth_maxlinn.json.gz")
    tables = chair.load_tables(tables_folder(path, data))
    return _ChairWorld(path=path, truth=chair.open_truth(path, tables, words=normaliser.words), tables=tables)


@lru_cache(maxsize=2)
def normalisers(data: Path) -> Mapping[str, chair.Normaliser]:
    """The normalisers that have their data, the one to use first."""
    text.look_in(*(folder / "nltk_data" for folder in (data / chair.NAME, data)))
    return {name: one for name, one in chair.PROFILES.items() if name != "official" or not text.missing_data()}


def _score_caption(sample: Sample, answer: str, profile: str) -> Score:
    return chair.score_caption(chair.PROFILES[profile].words(answer), sample.target, _chair_world().tables)
