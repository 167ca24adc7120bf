"""What every selector can leave out of its rows once it has them: rows that repeat others, what one picture has more
than its share of, and pairs by which one side is longer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, TypeVar

from pydantic import Field

from harness.files import digest_of_bytes
from loops.groups import Pair, Row, texts_of
from loops.kinds import Selector

R = TypeVar("R", bound=Row)


class Thinned(Selector):
    """A selector whose rows can be thinned out, whatever it selects by."""

    deduplicate: Literal["none", "picture", "text"] = Field(
        default="none",
        description="what of equal answers stays: all of them, as TRL trains on every row of a file; the first to one "
        "question about one picture; or the first of one text whatever was asked of which picture",
    )
    per_picture: int | None = Field(
        default=None,
        ge=1,
        description="rows about a picture at most, whatever was asked of it: those that the verifier is surest of",
    )


class ThinnedPairs(Thinned):
    """One whose rows are pairs."""

    balance: bool = Field(
        default=False,
        description="leave pairs out until chosen and rejected answers have as many words on average",
    )


def thinned(weighed: Sequence[tuple[float, R]], recipe: Thinned) -> tuple[list[tuple[float, R]], dict[str, int]]:
    """The rows that stay, each with how sure the verifier is of it, in their order; and how many went as `repeated`,
    how many as `crowded`, beyond what a picture may have. Pictures are told apart by `Sample.cluster`; of rows that are
    equally sure the first stay."""
    unlike = {_likeness(row, recipe.deduplicate, place): place for place, (_, row) in reversed([*enumerate(weighed)])}
    places = sorted(unlike.values())
    of_picture = defaultdict[str, list[int]](list)
    for place in sorted(places, key=lambda place: -weighed[place][0]):
        of_picture[weighed[place][1].sample.cluster].append(place)
    kept = sorted(place for its in of_picture.values() for place in its[: recipe.per_picture])
    return [weighed[place] for place in kept], {
        "repeated": len(weighed) - len(places), "crowded": len(places) - len(kept)
    }  # fmt: skip


def _likeness(row: Row, deduplicate: str, index: int) -> object:
    """What rows of which one stays have alike."""
    if deduplicate == "none":
        return index
    asked = (row.sample.cluster, row.sample.prompt) if deduplicate == "picture" else ()
    return (*asked, texts_of(row))


def share_of(keep: float, count: int) -> int:
    """A share of so many things as people count it, one at least: 0.29 of 100 is 28.999999999999996 in floats."""
    return max(1, int(round(keep * count, 6)))


def surest(weighed: Sequence[tuple[float, R]], most: int) -> list[tuple[float, R]]:
    """At most so many rows, those that the verifier is surest of, in their order; of equal ones the digests of the
    samples' ids tell which."""
    places = sorted(range(len(weighed)), key=lambda place: (-weighed[place][0], tie(weighed[place][1].sample.id)))
    return [weighed[place] for place in sorted(places[:most])]


def tie(sample: str) -> str:
    """What orders samples that rewards do not, by their id: alike in every run, and by nothing that they are about."""
    return digest_of_bytes(sample.encode())


def balanced(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs without those that make one side longer on average, as far as that goes without the other being so: the
    longest gaps first, of equal ones by digests of id and text."""
    total = sum(map(words_ahead, pairs))
    sign = 1 if total > 0 else -1
    longer = sorted(
        (pair for pair in pairs if sign * words_ahead(pair) > 0),
        key=lambda pair: (-sign * words_ahead(pair), digest_of_bytes(pair.sample.id.encode(), pair.chosen.encode())),
    )
    left_out: set[int] = set()
    for pair in longer:
        if sign * words_ahead(pair) <= sign * total:
            total -= words_ahead(pair)
            left_out.add(id(pair))
    return [pair for pair in pairs if id(pair) not in left_out]


def words_ahead(pair: Pair) -> int:
    """By how many words the chosen answer is longer."""
    return len(pair.chosen.split()) - len(pair.rejected.split())
