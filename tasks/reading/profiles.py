"""The scorers of a task whose profiles are readers: one score function, called with each reader's name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from harness.types import Sample, Score, Scorer


def scorers_by_reader(readers: Iterable[str], score: Callable[[Any, str, str], Score]) -> Mapping[str, Scorer]:
    """Reader's name -> scorer that calls `score(target, answer, reader)`."""
    return {name: partial(_score_by, score, name) for name in readers}


def _score_by(score: Callable[[Any, str, str], Score], profile: str, sample: Sample, answer: str) -> Score:
    return score(sample.target, answer, profile)
