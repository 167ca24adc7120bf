"""Judges under the lamp: how far a judge can be believed, measured where the verdict is known.

A judge says yes or no of a case: that two texts are the same answer, what an answer settles on, that a caption says
what is there. It is asked of cases whose verdict is known, each kind by itself, twice over, and turned: the two texts
exchanged, the options in another order. What comes of it stands beside the judge's figures: a judge that finds one
answer in twenty where there is none gives away as much as a model can gain.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from harness.files import digest_of_json, read_json, write_json
from harness.types import Picture

FOLDER = "judges"
"""Where measurements are kept, below the data folder."""


class KnownCase(Protocol):
    """Something whose verdict is known: `equal` is whether a good judge says yes, `kind` why."""

    @property
    def kind(self) -> str: ...

    @property
    def equal(self) -> bool: ...


Headings = tuple[str, str]
"""What shares of cases are called to which a good judge says yes, and of the others to which a judge does."""

EQUAL: Headings = ("equal", "equal though not")
TRUE: Headings = ("true", "true though not")
BETTER: Headings = ("better", "better though alike")

_CHIEF = ("read", "consistent", "symmetric", *(name for pair in zip(EQUAL, TRUE, BETTER, strict=True) for name in pair))

Case = TypeVar("Case", bound=KnownCase)

Verdicts = Callable[[Sequence[Case], int], Sequence[bool | None]]
"""The verdicts of cases, None without one that can be read; the number says the how manieth time they are asked, so
that nobody's first reply is taken for a second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownPair:
    """Two texts of which it is known whether they are equal; `kind` says why."""

    kind: str
    left: str
    right: str
    equal: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownTexts:
    """One or two texts about pictures, in answer to a question. Of one, `right` is 0 where all of it is true, else
    None; of two it is the place of the better one, None where they say the same."""

    kind: str
    question: str
    pictures: tuple[Picture, ...]
    texts: tuple[str, ...]
    right: int | None

    @property
    def equal(self) -> bool:
        return self.right is not None

    def reversed(self) -> KnownTexts:
        """The same with its texts in the other order."""
        right = None if self.right is None else len(self.texts) - 1 - self.right
        return replace(self, texts=self.texts[::-1], right=right)

    def reversed_where_one_is_better(self) -> KnownTexts | None:
        """Of two that say the same a preference in both orders is for both, and tells nothing of symmetry."""
        return self.reversed() if self.equal else None


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


def exchanged(pair: KnownPair) -> KnownPair:
    """The pair in the other order."""
    return replace(pair, left=pair.right, right=pair.left)


def examine(
    verdicts: Verdicts[Case],
    cases: Sequence[Case],
    repeats: int = 2,
    turn: Callable[[Case], Case | None] | None = None,
    headings: Headings = EQUAL,
) -> list[Share]:
    """What a judge makes of cases whose verdict is known.

    `read`: verdicts that could be read; `consistent`: cases with one verdict in all `repeats`; `symmetric`: cases with
    one verdict also when turned (but those that `turn` makes None); `equal/KIND`: cases that are equal and are found
    so; `equal though not/KIND`: unequal ones that are, both under `headings`. A verdict that cannot be read is none of
    the four, and counts as "not equal" in the last two, as a scorer has it.
    """
    times = [list(verdicts(cases, number)) for number in range(repeats)]
    others = [] if turn is None else [(number, other) for number, case in enumerate(cases) if (other := turn(case))]
    turned = list(verdicts([other for _, other in others], 0)) if others else []
    every = [verdict for each in (*times, turned) for verdict in each]
    again = [each for each in zip(*times, strict=True) if None not in each]
    shares = [
        share_of("read", sum(verdict is not None for verdict in every), len(every)),
        share_of("consistent", sum(len(set(each)) == 1 for each in again), len(again)),
    ]
    if turn is not None:
        pairs = [(times[0][number], verdict) for (number, _), verdict in zip(others, turned, strict=True)]
        both = [pair for pair in pairs if None not in pair]
        shares.append(share_of("symmetric", sum(first == second for first, second in both), len(both)))
    by_kind: dict[tuple[bool, str], list[bool | None]] = defaultdict(list)
    for case, verdict in zip(cases, times[0], strict=True):
        by_kind[case.equal, case.kind].append(verdict)
    for equal in (True, False):
        of_kind = {kind: group for (truth, kind), group in by_kind.items() if truth == equal}
        heading = headings[0] if equal else headings[1]
        total = [verdict for group in of_kind.values() for verdict in group]
        for name, group in {heading: total, **{f"{heading}/{kind}": group for kind, group in of_kind.items()}}.items():
            shares.append(share_of(name, sum(verdict is True for verdict in group), len(group), int(equal)))
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
        heading = EQUAL[0] if equal else EQUAL[1]
        shares.append(share_of(f"{heading}/{name}", sum(verdicts), len(verdicts), int(equal)))
    return shares


def keep(data: Path, judge: str, form: str, measured: dict[str, Any]) -> Path:
    """Keep what was measured of a judge, asked in a form, in the data folder; returns the file."""
    path = _file(data, judge, form)
    write_json(path, {"judge": judge, "form": form, **measured})
    return path


def kept(data: Path, judge: str, form: str) -> dict[str, Any] | None:
    """What was measured of a judge of that id in that form, None where nothing was."""
    path = _file(data, judge, form)
    return read_json(path) if path.is_file() else None


def as_plain(shares: Sequence[Share]) -> dict[str, dict[str, Any]]:
    """Name -> the other fields of a share."""
    return {share.name: {name: value for name, value in asdict(share).items() if name != "name"} for share in shares}


def words_of(shares: Mapping[str, Mapping[str, Any]]) -> str:
    """The chief figures of `as_plain`, in points: "consistent 98.1 %, ..., equal though not 0.0 %"."""
    values = {name: shares[name]["value"] for name in _CHIEF if name in shares}
    return ", ".join(f"{name} {100 * value:.1f} %" for name, value in values.items() if value is not None)


def _file(data: Path, judge: str, form: str) -> Path:
    name = re.sub(r"[^\w.@-]+", "_", judge)[:80]
    return data.expanduser() / FOLDER / f"{name}.{form}.{digest_of_json(judge)[:8]}.json"
