"""Collect chains of thought that end in another answer (the incorrect reasoning paths of the survey arXiv 2510.02665).

Several chains are drawn; the end that most of them come to stands for the right one, so that no gold is needed. A chain
that comes to it is held against one that does not. The training row keeps the plain prompt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harness.sentences import split_sentences
from harness.types import Advance, Group, Sample
from loops.collect.asking import AskingCollector, Kept, group_of, kept_answers
from loops.collect.guided import STEPS, with_guide
from loops.verify.task import normalised

if TYPE_CHECKING:
    from harness.models.vlm import Vlm

_ANSWER = re.compile(r".*\banswer\s*(?:is\b:?|:)\s*(?P<end>.+)", re.IGNORECASE | re.DOTALL)


_NO_PAIR: Sequence[Kept] = (("", {}), ("", {}))


def end_of(sample: Sample, chain: str) -> str | None:
    """What a chain comes to, its words alone: what follows its last "answer is" or "answer:", else its last sentence;
    None without a word."""
    marked = _ANSWER.match(chain)
    sentences = split_sentences(marked["end"] if marked else chain)
    end = sentences[0 if marked else -1] if sentences else ""
    return normalised(sample, end)


class WrongChain(AskingCollector):
    """A chain of thought that ends as most do, against one that ends otherwise."""

    kind: Literal["wrong_chain"] = "wrong_chain"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True

    temperature: float = Field(default=1.0, gt=0, description="of all chains")
    chains: int = Field(default=8, ge=2, description="drawn for each picture")
    guide: str = Field(default=STEPS, min_length=1, description="{prompt} in it stands for the plain prompt")

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of two: (the first chain of the commonest end, the first of another), with ends and votes noted. The
        second is empty where all chains agree, and both are where no end is the commonest."""
        guides = [with_guide(sample, self.guide) for sample in samples]
        drawn = kept_answers(model, guides, self, self.sampling(seed=seed, n=self.chains), advance=advance)
        return [group_of(sample, _against(sample, chains)) for sample, chains in zip(samples, drawn, strict=True)]


def _against(sample: Sample, chains: Sequence[Kept]) -> Sequence[Kept]:
    firsts: dict[str, Kept] = {}
    votes = Counter[str]()
    for chain in chains:
        if end := end_of(sample, chain[0]):
            firsts.setdefault(end, chain)
            votes[end] += 1
    commonest = [end for end, count in votes.items() if count == max(votes.values())]
    if len(commonest) > 1:
        return _NO_PAIR
    ends = [*commonest, *(end for end in votes if end not in commonest)][:2]
    both: list[Kept] = [(firsts[end][0], {**firsts[end][1], "end": end, "votes": votes[end]}) for end in ends]
    return [*both, *_NO_PAIR][:2]
