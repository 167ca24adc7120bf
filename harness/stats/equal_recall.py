"""CHAIRi of two sides where their recall is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import DataError
from harness.results import Marked
from harness.stats.differences import Difference, PooledDifference, over_seeds, paired, plain_difference
from harness.stats.resample import ZERO, Floats, cluster_names, resamples

NAME = "CHAIRi at equal recall"


def chair_at_equal_recall(a: Sequence[Marked], b: Sequence[Marked], *, draws: int = 2000, seed: int = 0) -> Difference:
    """CHAIRi of B minus A at the largest recall that both reach, which saying less cannot buy.

    Each side's captions are cut after their first k mentions, k = 1, 2, ..., which gives a curve of CHAIRi (wrong
    mentions over mentions) against recall (distinct right names over true objects). The side with the lower recall is
    taken whole, with the wrong mentions at its captions' ends; the other is cut where it first gets there, by linear
    interpolation between two cuts. In every draw the matched recall is found anew.

    Rows need `parsed` as a list of ``{"name": str, "right": bool}`` in order of mention (None = nothing was read) and
    ``counts["gt_objects"]``; raises `DataError` where that is not so.
    """
    return plain_difference(pooled_chair_at_equal_recall([(a, b)], draws=draws, seed=seed))


def pooled_chair_at_equal_recall(
    pairs: Sequence[tuple[Sequence[Marked], Sequence[Marked]]], *, draws: int = 2000, seed: int = 0
) -> PooledDifference:
    """The mean over training seeds of `chair_at_equal_recall`, resampled as by `pooled_difference`."""
    matched = [paired(a, b) for a, b in pairs]
    clusters = cluster_names(row for one in matched for row in one.a)
    sides = [(_PrefixSums.of(one.a, clusters), _PrefixSums.of(one.b, clusters)) for one in matched]

    def chair(weights: Floats) -> Floats:
        """seeds x draws x 2 sides."""
        return np.stack([_chair_where_recall_meets(a, b, weights) for a, b in sides])

    def moved(weights: Floats) -> Floats:
        return np.diff(chair(weights), axis=2)

    whole = chair(np.ones((1, len(clusters)))).transpose(0, 2, 1)
    rows = [sum(len(one.a) for one in matched)]
    apart = {a.cluster for one in matched for a, b in zip(one.a, one.b, strict=True) if a.parsed != b.parsed}
    drawn = resamples(len(clusters), draws, seed)
    found = over_seeds([NAME], whole, moved, [len(clusters)], [len(apart)], rows, drawn, seed=seed)[0]
    return replace(
        found,
        only_a=tuple(sorted({name for one in matched for name in one.only_a})),
        only_b=tuple(sorted({name for one in matched for name in one.only_b})),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _PrefixSums:
    """Per cluster and k: what the captions' first k mentions hold. Each clusters x k, `objects` clusters."""

    wrong: Floats
    said: Floats
    recalled: Floats
    objects: Floats

    @classmethod
    def of(cls, rows: Sequence[Marked], clusters: Sequence[str]) -> _PrefixSums:
        longest = max([1, *(len(_mentions(row)) for row in rows)])
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
