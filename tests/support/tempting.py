"""IC sets chosen from the embedded world: what temptation costs the shipped models' captions, and what scene size does.

``python -m tests.support.tempting FOLDER`` (annotations and greedy captions are kept there) prints a JSON object a
line, each figure as [value, low, high] with a 95 % interval over scenes, how often each was chosen taken as given.
`SETS` sets (seeds 0, 1, ...) of `SIZE` eligible scenes of the split test are chosen in three ways: `tempting` is the
rule of `tasks.ic.build`, `balanced` the same without temptation, `random` any. A way's figures are those of all its
sets as one; `set_0` is precision in the first, `sets` its range. `gap` is a way's precision less the tempting one's:
`by_size` goes when its scenes are weighted to be of each size (number of categories) as often as the tempting ones,
`at_equal_size` stays. `more` and `less` are the more and the less tempting scenes of each size. `people` say all that
there is to say.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from harness.files import write_json
from harness.stats.resample import Floats, interval, resamples
from harness.store import Store, ask
from harness.types import Sampling
from strop.models import load_model
from tasks.data.annotations import read_instances
from tasks.data.presence import presence
from tasks.ic.build import TOP, choose, is_eligible, temptation
from tasks.ic.marks import score_ic
from tasks.pictos import coco
from tasks.pictos.benchmarks import SCENES, PictosCaptions
from tasks.pictos.language import caption
from tasks.pictos.world import compose, seeds_of
from tasks.reading.object_words import PROFILES
from tests.support.annotated import pictos_tables

SIZE, SETS, DRAWS, MODELS = 150, 20, 4_000, ("pictos-seed", "pictos-peer")
COUNTED = ("recalled", "distinct_named", "gt_objects", "counts_said", "captions")


def chosen(pictures: Mapping[str, frozenset[str]]) -> dict[str, Floats]:
    """Way of choosing -> sets x eligible pictures (in their order), 1 where a picture is in a set."""
    eligible, ways = [image for image, objects in pictures.items() if is_eligible(objects)], {}
    for way, top in {"tempting": TOP, "balanced": 1.0}.items():
        ways[way] = [choose(pictures, SIZE, np.random.default_rng(seed), top=top) for seed in range(SETS)]
    ways["random"] = [list(np.random.default_rng(seed).choice(eligible, SIZE, replace=False)) for seed in range(SETS)]
    counted, sizes = presence(pictures.values()), np.array([len(pictures[image]) for image in eligible])
    tempted = np.array([math.fsum(temptation(pictures[image], counted).values()) for image in eligible])
    middle = {size: np.median(tempted[sizes == size]) for size in set(sizes)}
    more = {image for image, own, size in zip(eligible, tempted, sizes, strict=True) if own > middle[size]}
    ways |= {"more": [sorted(more)], "less": [sorted(set(eligible) - more)]}
    return {way: np.array([np.isin(eligible, ids) for ids in sets], dtype=np.float64) for way, sets in ways.items()}


def at_equal_size(weights: Floats, like: Floats, sizes: Floats) -> Floats:
    """Weights of scenes (draws x scenes), those of each size scaled to sum to what the weights `like` sum to there."""
    here = (sizes[:, None] == np.unique(sizes)).astype(np.float64)
    now, expected = weights @ here, like @ here
    return weights * (np.divide(expected, now, out=np.zeros_like(now), where=now > 0) @ here.T)


def figures(weights: Floats, counts: Floats) -> dict[str, Floats]:
    """Each figure of weighted scenes (draws x scenes) whose captions have these counts (scenes x `COUNTED`)."""
    right, named, real, numbers, captions = (weights @ counts).T
    shares = {"precision": right / named, "recall": right / real, "f1": 2 * right / (named + real)}
    return shares | {"objects": real / captions, "counts_said": numbers / captions}


def main(folder: Path) -> None:
    scenes = {str(seed): compose(seed) for seed in seeds_of("test", SCENES)}
    write_json(folder / "coco/instances_test.json", coco.instances(list(scenes.values())))
    annotated, words = read_instances(folder / "coco"), PROFILES["lemminflect"].words
    ways, tables = chosen({image: value.objects for image, value in annotated.items()}), pictos_tables(words)
    samples = zip(scenes, PictosCaptions().samples("test"), strict=True)
    questions = {image: item for image, item in samples if is_eligible(item.target)}
    speakers, sampling = {"people": [caption(scenes[image]) for image in questions]}, Sampling(max_tokens=80)
    for model in map(load_model, MODELS):
        answers = ask(model, list(questions.values()), sampling, Store(folder / "answers.jsonl"))
        speakers[f"{model.name}@{model.digest[:12]}"] = [texts[0] for texts in answers]
    drawn = np.vstack(
        [np.ones((1, len(questions))), *resamples(len(questions), DRAWS, 0)]
    )  # first the scenes as they are
    tempting, sizes = (
        drawn * ways["tempting"].mean(axis=0),
        np.array([len(sample.target) for sample in questions.values()]),
    )
    truths = [annotated[image].counts for image in questions]
    for speaker, texts in speakers.items():
        marks = [score_ic(words(text), truth, tables).counts for text, truth in zip(texts, truths, strict=True)]
        counts = np.array([[mark.get(name, 0) for name in COUNTED] for mark in marks])
        base = figures(tempting, counts)["precision"]
        for way, sets in ways.items():
            result, each = figures(drawn * sets.mean(axis=0), counts), figures(sets, counts)["precision"]
            level = figures(at_equal_size(drawn * sets.mean(axis=0), tempting, sizes), counts)["precision"]
            result |= {"set_0": figures(drawn * sets[0], counts)["precision"], "gap": result["precision"] - base}
            result |= {"by_size": result["precision"] - level, "at_equal_size": level - base}
            shown = {name: [entry[0], *interval(entry[1:])] for name, entry in result.items()}
            messages = {"captions": speaker, "way": way, **shown, "sets": [each.min(), each.max()]}
            sys.stdout.write(json.dumps(messages) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
