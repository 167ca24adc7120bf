"""Verify by an object detector: what a caption names, beside what is detected in its picture. A proxy for gold."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from harness.errors import RecipeError
from harness.models.card import read_card
from harness.models.weights import model_digest, model_folder, settings_folder
from harness.pictures import open_picture
from harness.thoughts import answer_of
from harness.types import Advance, Group, Sample, Verdict
from loops.kinds import Study, Trial, Verifier, Verifying
from loops.verify.task import Reader, reader_of, refuse_without_pictures, task_input

if TYPE_CHECKING:
    from harness.models.detector import Detector as Detecting
    from loops.plan import Planned, Planner

BATCH = 64
"""Pictures that are open at once."""

_WORDS = re.compile(r"[a-z]+")
_LONGEST_NAME = 3  # words of a class, as "hot dog" or "traffic light"


class Detector(Verifier):
    """An object detector's classes beside those that an answer names."""

    kind: Literal["detector"] = "detector"
    version: ClassVar[int] = 1
    level: ClassVar[str] = "L3"
    filters: ClassVar[bool] = True

    model: str = Field(
        default="", description="a folder or hub id of an object-detection model of transformers; no default"
    )
    threshold: float = Field(default=0.5, gt=0, lt=1, description="a class is there from this score on")
    aggregate: Literal["f1", "sum", "mean"] = Field(
        default="f1",
        description="of named and detected classes; or a half for each that is named and detected and a half off for "
        "each that is not; or the share of named ones that are detected",
    )
    synonyms: dict[str, str] = Field(default_factory=dict, description="of pictures without a task: word -> class")

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,) if self.model else ()

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        return {**self.as_input("model"), "model": model_digest(self._folder(study)), "task": task_input(study)}

    def learnt_from(self, study: Study) -> Sequence[str]:
        return read_card(self._folder(study)).gold_of if self.model else ()

    def refuse(self, study: Study) -> None:
        if not self.model:
            raise RecipeError("verify.model: name a detector, a folder or a hub id such as PekingU/rtdetr_r18vd")
        refuse_without_pictures(study, self.kind)

    def trials(self, study: Study) -> Mapping[str, Trial]:
        def load() -> str:
            detector = self._load(study)
            return f"{self.model} loads, {len(detector.classes)} classes"

        return {"detector": Trial(depends=[self.model, study.options.device], run=load)}

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        folder = study.setting.shipped(self.model) or settings_folder(study.setting.pinned(self.model))
        return planner.detecting(self.model, folder)

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        detector = self._load(study)
        words = class_words(detector.classes, self.synonyms)
        return ByDetector(
            detector=detector,
            names=Naming(reader_of(study), words),
            threshold=self.threshold,
            aggregate=self.aggregate,
        )

    def _folder(self, study: Study) -> Path:
        return study.setting.shipped(self.model) or model_folder(study.setting.pinned(self.model))

    def _load(self, study: Study) -> Detecting:
        from harness.models.detector import load_detector

        return load_detector(self.model, path=self._folder(study), device=study.options.device)


class ByDetector:
    """`names(sample, answer)` are the things that an answer names; of what is none of the detector's classes it has no
    opinion."""

    def __init__(self, *, detector: Detecting, names: Naming, threshold: float = 0.5, aggregate: str = "f1") -> None:
        self.detector, self.names, self.threshold, self.aggregate = detector, names, threshold, aggregate
        self._named = self._unknown = self._detected = 0

    @property
    def facts(self) -> Mapping[str, float]:
        """Names said, those of them that are none of its classes, and classes detected."""
        return {"named": self._named, "named_beyond_classes": self._unknown, "detected": self._detected}

    @property
    def costs(self) -> Mapping[str, float]:
        return self.detector.costs

    @property
    def computed(self) -> Mapping[str, Mapping[str, str]]:
        return {"detector": self.detector.computed}

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        verdicts: list[tuple[Verdict, ...]] = []
        for start in range(0, len(groups), BATCH):
            batch = groups[start : start + BATCH]
            scores = self.detector.scores([open_picture(group.sample.images[0]) for group in batch])
            for group, best in zip(batch, scores, strict=True):
                detected = frozenset(name for name, score in best.items() if score >= self.threshold)
                self._detected += len(detected)
                verdicts.append(tuple(self._verdict(group.sample, answer, detected) for answer in group.answers))
            if advance:
                advance(len(batch))
        return verdicts

    def _verdict(self, sample: Sample, answer: str, detected: frozenset[str]) -> Verdict:
        if not answer.strip():
            return Verdict(reward=None, why="says nothing")
        said = self.names(sample, answer)
        named = said & self.detector.classes
        self._named += len(said)
        self._unknown += len(said - named)
        if not named:
            return Verdict(reward=None, why="names none of its classes")
        why = " ".join(f"{name} {'there' if name in detected else 'not'}" for name in sorted(named))
        if self.aggregate == "sum":
            return Verdict(reward=math.fsum((name in detected) - 0.5 for name in named), why=why)
        if self.aggregate == "mean":
            return Verdict(reward=fmean(name in detected for name in named), why=why)
        return Verdict(reward=2 * len(named & detected) / (len(named) + len(detected)), why=why)


class Naming:
    """What an answer names: by the task's reader where it gives a set of names, else by the words of the classes."""

    def __init__(self, read: Reader | None, words: Mapping[tuple[str, ...], str]) -> None:
        self.read, self.words = read, words

    def __call__(self, sample: Sample, answer: str) -> frozenset[str]:
        reading = self.read(sample, answer) if self.read else None
        if isinstance(reading, frozenset):
            return frozenset(name.lower() for name in reading)
        return named_classes(answer_of(answer).answer, self.words)


def class_words(classes: frozenset[str], synonyms: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """The words, singular and plural, by which classes and synonyms of them are named; raises `RecipeError` for a
    synonym of no class."""
    if strangers := sorted(set(map(str.lower, synonyms.values())) - classes):
        raise RecipeError(
            f"verify.synonyms: '{strangers[0]}' is none of the detector's classes, such as {min(classes)}"
        )
    names = {**{name: name for name in classes}, **{word.lower(): name.lower() for word, name in synonyms.items()}}
    return {tuple(_WORDS.findall(form)): name for word, name in names.items() for form in (word, *_plurals(word))}


def _plurals(name: str) -> tuple[str, ...]:
    """English plurals of a name's last word, as far as they follow a rule, and those of people."""
    irregular = {"person": "people", "man": "men", "woman": "women", "child": "children", "mouse": "mice"}
    first, space, last = name.rpartition(" ")
    forms = [f"{last}s"]
    if last in irregular:
        forms.append(irregular[last])
    if last.endswith(("s", "x", "z", "ch", "sh")):
        forms.append(f"{last}es")
    if last.endswith("y"):
        forms.append(f"{last[:-1]}ies")
    if last.endswith("fe"):
        forms.append(f"{last[:-2]}ves")
    return tuple(f"{first}{space}{form}" for form in forms)


def named_classes(text: str, words: Mapping[tuple[str, ...], str]) -> frozenset[str]:
    """The classes that a text names, the longest name first: a hot dog is no dog.

    Example:
        >>> words = class_words(frozenset({"dog", "hot dog", "knife"}), {"puppy": "dog"})
        >>> sorted(named_classes("Two hot dogs, knives and a puppy.", words))
        ['dog', 'hot dog', 'knife']
        >>> sorted(named_classes("A hot dog.", words))
        ['hot dog']
    """
    spoken = _WORDS.findall(text.lower())
    named, index = set(), 0
    while index < len(spoken):
        for length in range(_LONGEST_NAME, 0, -1):
            if name := words.get(tuple(spoken[index : index + length])):
                named.add(name)
                index += length - 1
                break
        index += 1
    return frozenset(named)
