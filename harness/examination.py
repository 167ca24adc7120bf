"""Judges under the lamp: how far a judge of pairs can be believed, measured where the verdict is known.

A judge says of two texts whether they are the same answer. It is asked of pairs whose verdict is known, each kind by
itself, twice over, and with the two exchanged. What comes of it stands beside the judge's figures on a board: a judge
that finds one answer in twenty where there is none gives away as much as a model can gain.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.files import digest_of_json, read_json, write_json

FOLDER = "judges"
"""Where measurements are kept, below the data folder."""

PairVerdicts = Callable[[Sequence[tuple[str, str]], int], Sequence[bool | None]]
"""The verdicts of (left, right) pairs, None without one that can be read; the number says the how manieth time they are
asked, so that nobody's first reply is taken for a second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownPair:
    """Two texts of which it is known whether they are equal; `kind` says why."""

    kind: str
    left: str
    right: str
    equal: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """`count` of `total`, with Wilson's 95 % interval (None of none). `better` is what a good judge has more of: 1 or
    0."""

    name: str
    count: int
    total: int
    better: int
    value: float | None
    low: float | None
    high: float | None


def share_of(name: str, count: int, total: int, better: int = 1) -> Share:
    from harness.stats.binomial import wilson

    if not total:
        return Share(name=name, count=0, total=0, better=better, value=None, low=None, high=None)
    low, high = wilson(count / total, total)
    return Share(name=name, count=count, total=total, better=better, value=count / total, low=low, high=high)


def examine(verdicts: PairVerdicts, pairs: Sequence[KnownPair], repeats: int = 2) -> list[Share]:
    """What a judge makes of pairs whose verdict is known.

    `read`: verdicts that could be read; `consistent`: pairs with one verdict in all `repeats`; `symmetric`: pairs with
    one verdict in both orders; `equal/KIND`: equal pairs that are found equal; `equal though not/KIND`: unequal ones
    that are. A verdict that cannot be read is none of the four, and counts as "not equal" in the last two, as a
    scorer has it.
    """
    texts = [(pair.left, pair.right) for pair in pairs]
    times = [list(verdicts(texts, number)) for number in range(repeats)]
    turned = list(verdicts([(right, left) for left, right in texts], 0))
    every = [verdict for each in (*times, turned) for verdict in each]
    again = [each for each in zip(*times, strict=True) if None not in each]
    both = [each for each in zip(times[0], turned, strict=True) if None not in each]
    shares = [
        share_of("read", sum(verdict is not None for verdict in every), len(every)),
        share_of("consistent", sum(len(set(each)) == 1 for each in again), len(again)),
        share_of("symmetric", sum(first == second for first, second in both), len(both)),
    ]
    by_kind: dict[tuple[bool, str], list[bool | None]] = defaultdict(list)
    for pair, verdict in zip(pairs, times[0], strict=True):
        by_kind[pair.equal, pair.kind].append(verdict)
    for equal in (True, False):
        here = {kind: said for (truth, kind), said in by_kind.items() if truth == equal}
        heading = "equal" if equal else "equal though not"
        total = [verdict for said in here.values() for verdict in said]
        for name, said in {heading: total, **{f"{heading}/{kind}": said for kind, said in here.items()}}.items():
            shares.append(share_of(name, sum(verdict is True for verdict in said), len(said), int(equal)))
    return shares


def examine_stored(
    stored: Iterable[tuple[str, str, bool]], kind_of: Callable[[str, str], tuple[str, bool] | None]
) -> list[Share]:
    """The same of verdicts that somebody else's judge gave: (left, right, whether it said equal), repeats among them.

    `consistent` is over the pairs that it saw more than once; `kind_of` says of a pair why its verdict is known, and
    what it is, None where it is not. Shares by kind are over verdicts.
    """
    said: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for left, right, equal in stored:
        said[left, right].append(equal)
    repeated = [verdicts for verdicts in said.values() if len(verdicts) > 1]
    shares = [share_of("consistent", sum(len(set(verdicts)) == 1 for verdicts in repeated), len(repeated))]
    by_kind: dict[tuple[str, bool], list[bool]] = defaultdict(list)
    for (left, right), verdicts in said.items():
        if (kind := kind_of(left, right)) is not None:
            by_kind[kind] += verdicts
    for (name, equal), verdicts in sorted(by_kind.items(), key=lambda entry: (not entry[0][1], entry[0][0])):
        heading = "equal" if equal else "equal though not"
        shares.append(share_of(f"{heading}/{name}", sum(verdicts), len(verdicts), int(equal)))
    return shares


def keep(data: Path, judge: str, measured: dict[str, Any]) -> Path:
    """Keep what was measured of a judge in the data folder; returns the file."""
    path = _file(data, judge)
    write_json(path, {"judge": judge, **measured})
    return path


def kept(data: Path, judge: str) -> dict[str, Any] | None:
    """What was measured of a judge of that id, None where nothing was."""
    path = _file(data, judge)
    return read_json(path) if path.is_file() else None


def as_plain(shares: Sequence[Share]) -> dict[str, dict[str, Any]]:
    """Name -> the other fields of a share."""
    return {share.name: {name: value for name, value in asdict(share).items() if name != "name"} for share in shares}


def _file(data: Path, judge: str) -> Path:
    name = re.sub(r"[^\w.@-]+", "_", judge)[:80]
    return data.expanduser() / FOLDER / f"{name}.{digest_of_json(judge)[:8]}.json"
