"""`pictos_reach`: a hand is brought to a thing by moves, each asked for in the picture that the last one left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

import numpy as np

from harness.episodes import answers_in, text_of
from harness.errors import DataError
from harness.types import Happened, Metric, Sample, Score
from tasks.data.pools import ComposedSamples
from tasks.pictos.hand import MOST_MOVES, MOVES, TAKE, Hand, started, walked
from tasks.pictos.world import SPLITS, VERSION, compose, seeds_of

STARTS = 500
"""Episodes of a split, one a scene."""

BLOCK = 20
"""Scenes of the training pool of which the first that has a start is taken; two in three have."""

_WORD = re.compile(rf"\b(?:{'|'.join([*MOVES, TAKE])})\b", re.IGNORECASE)

REACH_METRICS = (
    Metric(name="success", terms={"success": 1}, over={"asked": 1}),
    Metric(name="SPL", terms={"spl": 1}, over={"asked": 1}),
    Metric(name="moves", terms={"moves": 1}, over={"asked": 1}, better="lower", percent=False),
    Metric(name="unread", terms={"unread_moves": 1}, over={"moves": 1}, better="lower"),
)
"""SPL is success weighted by path length, the mean over episodes of S l / max(p, l) (Anderson et al. 2018, arXiv
1807.06757), where S is 1 for an episode that succeeded, p its moves and l the least that it needed, take
among them. `unread` is of moves."""


def read_move(answer: str) -> str | None:
    """The one of the five words that is in an answer, however often; None where there is none, or several."""
    words = {word.lower() for word in _WORD.findall(answer)}
    return words.pop() if len(words) == 1 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class PictosReach:
    """A hand is brought to a thing, move by move: left, right, up, down or take, 12 at most. A random walker succeeds
    in 4 %, the best path without looking that a search found in 17 %.

    One episode a scene; each move is asked for anew, in a new picture, and nothing of the moves before is shown. An
    answer that cannot be read costs a move. Headline is the share of episodes that succeed.
    """

    name: str = "pictos_reach"
    version: int = VERSION
    metrics: tuple[Metric, ...] = REACH_METRICS
    headline: str = "success"
    max_tokens: int = 16

    def samples(self, split: str) -> Sequence[Sample]:
        return _starts(split)

    def after(self, start: Sample, answers: Sequence[str]) -> Happened:
        hand, ended = _hand_of(start), len(answers) >= MOST_MOVES
        for answer in answers:
            hand = _obeyed(hand, answer)
        question = replace(start, id=f"{start.id}/{len(answers)}", images=(hand,), target=None) if answers else start
        return Happened(
            question=None if hand.taken or ended else question,
            succeeded=hand.taken,
            to_go=float(len(_way(hand))),
        )

    def read(self, sample: Sample, answer: str) -> str | None:
        return read_move(answer)

    def score(self, sample: Sample, answer: str) -> Score:
        """Marks an episode; `parsed` are its moves, "-" for one that cannot be read, None where none can."""
        hand, moves = _hand_of(sample), list[str | None]()
        for line in answers_in(answer)[:MOST_MOVES]:
            moves.append(read_move(line))
            hand = _obeyed(hand, line)
            if hand.taken:
                break
        least = len(_way(_hand_of(sample)))
        return Score(
            value=float(hand.taken),
            parsed=" ".join(move or "-" for move in moves) if any(moves) else None,
            counts={
                "asked": 1,
                "success": int(hand.taken),
                "spl": least / max(len(moves), least) if hand.taken else 0.0,
                "moves": len(moves),
                "unread_moves": moves.count(None),
            },
        )

    def gold(self, sample: Sample) -> str:
        return text_of(_way(_hand_of(sample)))

    def pool(self) -> Sequence[Sample]:
        """Places on shortest ways from a start, that itself and the one from which the thing can be taken among them;
        one a scene."""
        return ComposedSamples(size=len(SPLITS["pool"]) // BLOCK, compose=_pool)


def _hand_of(sample: Sample) -> Hand:
    (picture,) = sample.images
    if not isinstance(picture, Hand):
        raise DataError(f"sample {sample.id}: its picture shows no hand, so no episode can start from it")
    return picture


def _obeyed(hand: Hand, answer: str) -> Hand:
    """After that answer; what was taken is held."""
    return hand if hand.taken else hand.moved(read_move(answer) or "")


def _way(hand: Hand) -> list[str]:
    """The moves of the one who knows from here on, of which no way has fewer."""
    moves: list[str] = []
    while not hand.taken:
        moves.append(hand.best)
        hand = hand.moved(moves[-1])
    return moves


def _sample(hand: Hand, walk: int = 0) -> Sample:
    """The question at that place, `walk` moves from the start in its scene."""
    scene = compose(hand.seed).id
    return Sample(
        id=f"{scene}/reach/{walk}" if walk else f"{scene}/reach",
        prompt=hand.prompt,
        images=(hand,),
        target=len(_way(hand)),
        cluster=scene,
        meta={"object": hand.name},
    )


@lru_cache(maxsize=4)
def _starts(split: str) -> list[Sample]:
    return [_sample(hand) for hand in islice(filter(None, map(started, seeds_of(split))), STARTS)]


def _pool(start: int, count: int) -> list[Sample]:
    blocks = (SPLITS["pool"][index * BLOCK : (index + 1) * BLOCK] for index in range(start, start + count))
    return [_on_a_way(next(filter(None, map(started, block)))) for block in blocks]


def _on_a_way(hand: Hand) -> Sample:
    """A place on one of the shortest ways from that start, each way and each place of it as likely as any."""
    rng = np.random.default_rng((hand.seed, 13))
    moves = [str(move) for move in rng.permutation([move for move in _way(hand) if move != TAKE])]
    walk = int(rng.integers(len(moves) + 1))
    return _sample(walked(hand, moves[:walk]), walk)
