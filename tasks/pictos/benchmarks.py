"""The embedded world's benchmarks: POPE, CHAIR and captions of fresh scenes, marked by the benchmarks' own code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from harness.types import Metric, Picture, Sample, Score
from tasks.chair.marks import CHAIR_METRICS, score_mentions
from tasks.data.pools import ComposedSamples
from tasks.data.presence import Presence, most_frequent, presence
from tasks.ic.marks import OBJECT_METRICS
from tasks.pictos.catalogue import CATEGORIES
from tasks.pictos.charts import compose_chart, draw_chart
from tasks.pictos.described import DescribedPicture, scene_of
from tasks.pictos.language import DESCRIBE, is_there, read_names
from tasks.pictos.world import SPLITS, VERSION, Scene, compose, draw, seeds_of
from tasks.pope.build import GROUPS as POPE_GROUPS
from tasks.pope.marks import pope_metrics, score_pope
from tasks.reading.readers import YES_NO_PROFILES

SCENES = 2_000
"""Scenes of a split that the caption benchmarks ask about."""

POPE_SCENES = 500


@dataclass(frozen=True, slots=True)
class ScenePicture:
    """The picture of a scene, drawn when it is called."""

    seed: int

    @property
    def id(self) -> str:
        return f"pictos-{self.seed}"

    def __call__(self) -> Image.Image:
        return _drawn(self.seed)


@dataclass(frozen=True, slots=True)
class ChartPicture:
    """The picture of a chart, drawn when it is called."""

    seed: int

    @property
    def id(self) -> str:
        return f"pictos-chart-{self.seed}"

    def __call__(self) -> Image.Image:
        return draw_chart(compose_chart(self.seed))


@dataclass(frozen=True, kw_only=True, slots=True)
class PictosPope:
    """POPE's protocol on Pictos: six questions a scene, half of them yes, absent objects chosen in three ways.

    Negatives after the authors: random = any absent category; popular = absent, among the most frequent of the split;
    adversarial = absent, most often together with all that is there (theirs are found object by object, see
    `tasks.pope.build`). Scenes with three categories at least.
    """

    name: str = "pictos_pope"
    version: int = VERSION
    metrics: tuple[Metric, ...] = pope_metrics(POPE_GROUPS)
    headline: str = "macro/f1"
    max_tokens: int = 4

    def samples(self, split: str) -> Sequence[Sample]:
        return _pope(split)

    def score(self, sample: Sample, answer: str) -> Score:
        return score_pope(sample.target, answer, "strict")

    def read(self, sample: Sample, answer: str) -> str | None:
        return YES_NO_PROFILES["strict"](answer)

    def gold(self, sample: Sample) -> str:
        return str(sample.target).capitalize()

    def pool(self) -> Sequence[Sample]:
        return ComposedSamples(size=len(SPLITS["pool"]), compose=_pope_pool)


@dataclass(frozen=True, kw_only=True, slots=True)
class PictosChair:
    """CHAIR on Pictos: truth is what is annotated in the scene; a class has singular and plural for synonyms."""

    name: str = "pictos_chair"
    version: int = VERSION
    metrics: tuple[Metric, ...] = CHAIR_METRICS
    headline: str = "CHAIRi"
    frontier: tuple[str, str] = ("CHAIRi", "recall")
    max_tokens: int = 80

    def samples(self, split: str) -> Sequence[Sample]:
        return caption_samples(split, SCENES)

    def score(self, sample: Sample, answer: str) -> Score:
        return score_mentions(list(read_names(answer)), sample.target, len(re.findall(r"\w+|[^\w\s]", answer)))

    def read(self, sample: Sample, answer: str) -> frozenset[str] | None:
        return frozenset(read_names(answer)) if answer.strip() else None

    def gold(self, sample: Sample) -> str:
        return " ".join(f"A {name}." for name in sorted(sample.target))

    def pool(self) -> Sequence[Sample]:
        return ComposedSamples(size=len(SPLITS["pool"]), compose=caption_pool)

    def picture_of(self, text: str, seed: int) -> Picture | None:
        return None if scene_of(text, seed) is None else DescribedPicture(text, seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class PictosCaptions(PictosChair):
    """Captions as sets of objects: precision, recall and F1 over the distinct classes named (the IC set's measure)."""

    name: str = "pictos_captions"
    metrics: tuple[Metric, ...] = OBJECT_METRICS
    headline: str = "f1"
    frontier: tuple[str, str] = ("precision", "recall")


def caption_pool(start: int, count: int) -> list[Sample]:
    """Scenes of the split `pool`, to be described."""
    return caption_samples("pool", count, start)


def caption_samples(split: str, count: int, start: int = 0) -> list[Sample]:
    """Scenes of a split, to be described; the target is the set of categories in the scene."""
    return [
        Sample(
            id=f"pictos-{seed}",
            prompt=DESCRIBE,
            images=(ScenePicture(seed),),
            target=frozenset(compose(seed).counts()),
            cluster=f"pictos-{seed}",
        )
        for seed in seeds_of(split, start + count)[start:]
    ]


@lru_cache(maxsize=4)
def _pope(split: str) -> list[Sample]:
    chosen = [scene for scene in map(compose, seeds_of(split, SCENES)) if len(scene.counts()) >= 3][:POPE_SCENES]
    samples = []
    for scene in chosen:
        rng = np.random.default_rng((scene.seed, 7))
        present = sorted(scene.counts())
        positives = [str(name) for name in rng.permutation(present)[:3]]
        negatives = _negatives(present, split, rng)
        for group in POPE_GROUPS:
            questions = [(name, "yes") for name in positives] + [(name, "no") for name in negatives[group]]
            samples += [_pope_sample(scene, group, name, label) for name, label in questions]
    return samples


def _negatives(present: Sequence[str], split: str, rng: np.random.Generator) -> dict[str, list[str]]:
    """Three categories of each group that are not among those `present`."""
    counted = _presence(split)
    absent = [category.name for category in CATEGORIES if category.name not in present]
    company = {name: sum(counted.together[companion].get(name, 0) for companion in present) for name in absent}
    return {
        "random": [str(name) for name in rng.choice(absent, 3, replace=False)],
        "popular": most_frequent(absent, counted.alone)[:3],
        "adversarial": most_frequent(absent, company)[:3],
    }


@lru_cache(maxsize=4)
def _presence(split: str) -> Presence:
    """What is met how often, and with what, in the scenes of a split."""
    return presence(compose(seed).counts() for seed in seeds_of(split, SCENES))


def _pope_pool(start: int, count: int) -> list[Sample]:
    """A question about each scene of the split `pool`: of a thing that is there, or, every other time, of one that is
    not, each group's in turn."""
    samples = []
    for index, seed in enumerate(SPLITS["pool"][start : start + count], start):
        scene, rng = compose(seed), np.random.default_rng((seed, 7))
        present, group = sorted(scene.counts()), POPE_GROUPS[index // 2 % len(POPE_GROUPS)]
        if index % 2 == 0:
            samples.append(_pope_sample(scene, group, present[rng.integers(len(present))], "yes"))
        else:
            samples.append(_pope_sample(scene, group, _negatives(present, "pool", rng)[group][0], "no"))
    return samples


def _pope_sample(scene: Scene, group: str, name: str, label: str) -> Sample:
    return Sample(
        id=f"{scene.id}/{group}/{name.replace(' ', '-')}",
        prompt=is_there(name),
        images=(ScenePicture(scene.seed),),
        target=label,
        cluster=scene.id,
        meta={"group": group, "object": name},
    )


@lru_cache(maxsize=4_000)
def _drawn(seed: int) -> Image.Image:
    return draw(compose(seed))
