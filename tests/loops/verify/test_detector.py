"""What an answer names is held against what a detector sees in its picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL.Image import Image

from harness.errors import RecipeError
from harness.types import Group
from loops.check_recipe import check_recipe
from loops.judging import open_verifier
from loops.recipe import load_recipe
from loops.verify.detector import ByDetector, Naming, class_words
from strop.running import setting
from tasks.data.root import DataRoot
from tasks.pictos.benchmarks import caption_samples
from tests.loops.verify.conftest import StudyOf
from tests.support.detectors import save_detector
from tests.support.recipes import JUDGE_FREE

(SCENE,) = (sample.blind() for sample in caption_samples("pool", 1))
ANSWERS = ("A cat.", "A cat. A cup.", "Two dogs. A cup.", "A cat and a dog, a plane.", "A plane.", " ")


class Seer:
    """Sees a cat and a dog for sure, and a cup hardly."""

    classes = frozenset({"cat", "dog", "cup"})
    costs, computed = {"verifier_pictures": 1}, {"device": "cpu"}

    def scores(self, pictures: Sequence[Image]) -> list[dict[str, float]]:
        return [{"cat": 0.9, "dog": 0.8, "cup": 0.2} for _ in pictures]


def rewards(aggregate: str, threshold: float = 0.5) -> tuple[ByDetector, list[float | None]]:
    detector: Any = Seer()
    names = Naming(None, class_words(detector.classes, {}))
    verifier = ByDetector(detector=detector, names=names, threshold=threshold, aggregate=aggregate)
    (verdicts,) = verifier.verify([Group(sample=SCENE, answers=ANSWERS)])
    return verifier, [verdict.reward for verdict in verdicts]


def test_named_and_detected_classes_agree_by_f1_or_name_by_name() -> None:
    assert rewards("f1")[1] == [pytest.approx(2 / 3), 0.5, 0.5, 1.0, None, None]
    assert rewards("sum")[1] == [0.5, 0.0, 0.0, 1.0, None, None]
    assert rewards("mean")[1] == [1.0, 0.5, 0.5, 1.0, None, None]
    assert rewards("mean", threshold=0.1)[1] == [1.0, 1.0, 1.0, 1.0, None, None]


def test_it_tells_how_much_it_was_asked_beyond_its_classes() -> None:
    verifier, _ = rewards("f1")
    assert verifier.facts == {"named": 7, "named_beyond_classes": 0, "detected": 2}


def test_a_task_reads_the_names_where_it_can(study_of: StudyOf, tmp_path: Path) -> None:
    study = study_of({"kind": "detector", "model": str(save_detector(tmp_path)), "threshold": 0.01})
    verifier = open_verifier(study, [], 0)
    (verdicts,) = verifier.verify([Group(sample=SCENE, answers=("Two cats. A bus.", "A hot dog.", "Cat dogs."))])
    assert all(verdict.reward is not None for verdict in verdicts)
    assert verifier.facts["named_beyond_classes"] == 2, "the bus, the dogs"
    assert study.level == "L3"


def test_names_are_words_of_the_classes_their_plurals_and_synonyms() -> None:
    words = class_words(frozenset({"person", "knife", "hot dog", "bus"}), {"Lady": "person"})
    named = Naming(None, words)
    assert named(SCENE, "<think>A bus?</think>People, ladies with knives; two hot dogs.") == {
        "person", "knife", "hot dog"
    }  # fmt: skip
    assert named(SCENE, "Two buses.") == {"bus"}
    with pytest.raises(RecipeError, match=r"verify\.synonyms: 'lion' is none of the detector's classes, such as cat"):
        class_words(frozenset({"cat"}), {"simba": "lion"})


def test_a_detector_is_named() -> None:
    recipe = load_recipe(JUDGE_FREE, ["verify.kind=detector"])
    with pytest.raises(RecipeError, match=r"verify\.model: name a detector"):
        check_recipe(recipe, setting(DataRoot(), progress=False), new=False)
