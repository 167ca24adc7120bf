"""Captions of which it is known whether they say what is there and nothing else: what IC's judge is measured on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from harness.judge import Judge
from harness.store import Store
from harness.types import Advance, Sample
from tasks.ic.judge import Opinion, judge_captions

_OBJECTS = ("cat", "dog", "bus", "cup", "chair", "bicycle", "book", "clock", "umbrella", "bottle", "bench", "kite")


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownCaption:
    """A caption and the objects of a picture, one of each; `equal` where it names them and nothing else."""

    kind: str
    caption: str
    objects: tuple[str, ...]
    equal: bool


def known_captions(count: int, seed: int = 0) -> list[KnownCaption]:
    """`count` captions of each kind, the same for the same seed: all objects, one more, one less, one for another."""
    generator = random.Random(seed)
    cases = []
    for _ in range(count):
        *objects, stranger = generator.sample(_OBJECTS, 4)
        kinds = {
            "all": objects,
            "one more": [*objects, stranger],
            "one left out": objects[:-1],
            "one for another": [*objects[:-1], stranger],
        }
        cases += [
            KnownCaption(kind=kind, caption=_said(names), objects=tuple(objects), equal=kind == "all")
            for kind, names in kinds.items()
        ]
    return cases


def verdicts_of_captions(
    judge: Judge, cases: Sequence[KnownCaption], store: Store, advance: Advance | None = None
) -> list[bool | None]:
    """Whether the judge gives each caption full precision and recall; None without a reply that can be read. Raises the
    errors of `harness.judge.ask_judge`."""
    samples = [
        Sample(id=f"known-{number}", prompt="", images=(), target=dict.fromkeys(case.objects, 1), cluster=str(number))
        for number, case in enumerate(cases)
    ]
    opinions = judge_captions(judge, samples, [case.caption for case in cases], None, store, advance)
    whole = Opinion(precision=1.0, recall=1.0)
    return [None if opinion is None else opinion == whole for opinion in opinions]


def _said(names: Sequence[str]) -> str:
    return f"The picture shows a {', a '.join(names[:-1])} and a {names[-1]}."
