"""CHAIRi of two sides where their recall is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import DataError
from harness.results import Marked
from harness.stats.differences import Difference, paired
from harness.stats.resample import ZERO, Floats, interval, number, resamples, stack, two_sided


def chair_at_equal_recall(a: Sequence[Marked], b: Sequence[Marked], *, draws: int = 2000, seed: int = 0) -> Difference:
    """CHAIRi of B minus A at the largest recall that both reach, which saying less cannot buy.

    Each side's captions are cut after their first k mentions, k = 1, 2, ..., which gives a curve of CHAIRi (wrong
    mentions over mentions) against recall (distinct right names over true objects). The side with the lower recall is
    taken whole, with the wrong mentions at its captions' ends; the other is cut where it first gets there, by linear
    interpolation between two cuts. In every draw the matched recall is found anew.

    Rows need `parsed` as a list of ``{"name": str, "right": bool}`` in order of mention (None = nothing was read) and
    ``counts["gt_objects"]``; raises `DataError` where that is not so.
    """
    pair = paired(a, b)
    clusters = sorted({row.cluster for row in pair.a})
    mentions = max((len(_mentions(row)) for rows in (pair.a, pair.b) for row in rows), default=0)
    side_a = _PrefixSums.of(pair.a, clusters, max(mentions, 1))
    side_b = _PrefixSums.of(pair.b, clusters, max(mentions, 1))
    whole = _chair_where_recall_meets(side_a, side_b, np.ones((1, len(clusters))))[0]
    drawn = stack(
        _chair_where_recall_meets(side_a, side_b, weights) for weights in resamples(len(clusters), draws, seed)
    )
    moved = drawn[:, 1] - drawn[:, 0]
    low, high = interval(moved) if len(clusters) >= 2 else (None, None)
    return Difference(
        metric="CHAIRi at equal recall",
        a=number(whole[0]),
        b=number(whole[1]),
        value=number(whole[1] - whole[0]),
        low=low,
        high=high,
        p=None if low is None else two_sided(moved),
        n=len(pair.a),
        only_a=pair.only_a,
        only_b=pair.only_b,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _PrefixSums:
    """Per cluster and k: what the captions' first k mentions hold. Each clusters x k, `objects` clusters."""

    wrong: Floats
    said: Floats
    recalled: Floats
    objects: Floats

    @classmethod
    def of(cls, rows: Sequence[Marked], clusters: Sequence[str], longest: int) -> _PrefixSums:
        place = {name: index for index, name in enumerate(clusters)}
        steps = np.zeros((3, len(clusters), longest))
        objects = np.zeros(len(clusters))
        for row in rows:
            where = place[row.cluster]
            if "gt_objects" not in row.counts:
                raise DataError(f"sample '{row.id}' counts no gt_objects: only caption tasks have a recall to equalise")
            objects[where] += row.counts["gt_objects"]
            seen: set[str] = set()
            for index, (name, right) in enumerate(_mentions(row)):
                steps[0, where, index] += not right
                steps[1, where, index] += 1
                steps[2, where, index] += right and name not in seen
                if right:
                    seen.add(name)
        wrong, said, recalled = steps.cumsum(axis=2)
        return cls(wrong=wrong, said=said, recalled=recalled, objects=objects)

    def curve(self, weights: Floats) -> tuple[Floats, Floats]:
        """(recall, CHAIRi), each draws x k; NaN for 0/0."""
        objects = (weights @ self.objects)[:, None]
        said = weights @ self.said
        recall, chair = np.full(said.shape, np.nan), np.full(said.shape, np.nan)
        np.divide(weights @ self.recalled, objects, out=recall, where=objects != 0)
        np.divide(weights @ self.wrong, said, out=chair, where=said != 0)
        return recall, chair


def _mentions(row: Marked) -> list[tuple[str, bool]]:
    if row.parsed is None:
        return []
    try:
        return [(str(mention["name"]), bool(mention["right"])) for mention in row.parsed]
    except (TypeError, KeyError) as error:
        raise DataError(
            f"sample '{row.id}' holds no mentions in order (parsed={row.parsed!r}): only caption tasks can be compared "
            "at equal recall"
        ) from error


def _chair_where_recall_meets(a: _PrefixSums, b: _PrefixSums, weights: Floats) -> Floats:
    """draws x 2: CHAIRi of a and of b at the smaller of their two full recalls."""
    curves = [a.curve(weights), b.curve(weights)]
    target = np.minimum(curves[0][0][:, -1], curves[1][0][:, -1])
    return np.stack([_read_off(recall, chair, target) for recall, chair in curves], axis=1)


def _read_off(recall: Floats, chair: Floats, target: Floats) -> Floats:
    draws, last = np.arange(len(recall)), recall.shape[1] - 1
    whole = recall[:, -1] <= target + ZERO
    at = np.where(whole, last, np.clip((recall < target[:, None] - ZERO).sum(axis=1), 0, last))
    before = np.maximum(at - 1, 0)
    gap = recall[draws, at] - recall[draws, before]
    share = np.ones(len(recall))
    np.divide(target - recall[draws, before], gap, out=share, where=(gap > ZERO) & ~whole & (at > 0))
    found: Floats = chair[draws, at] - (1 - share) * (chair[draws, at] - chair[draws, before])
    return np.where(np.isnan(target), np.nan, found)
