"""In how many pictures objects are, alone and together: what tempting absent objects are chosen by."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Presence:
    """In how many pictures each object is (`alone`), and with which others in how many (`together`)."""

    alone: Mapping[str, int]
    together: Mapping[str, Mapping[str, int]]


def presence(pictures: Iterable[Collection[str]]) -> Presence:
    """Count pictures by the objects in them; an object counts once a picture.

    Example:
        >>> found = presence([{"fork", "knife"}, {"fork"}])
        >>> found.alone["fork"], found.together["fork"]["knife"], found.together["fork"]["spoon"]
        (2, 1, 0)
    """
    alone: Counter[str] = Counter()
    together: dict[str, Counter[str]] = defaultdict(Counter)
    for picture in pictures:
        present = set(picture)
        alone.update(present)
        for name in present:
            together[name].update(present - {name})
    return Presence(alone=alone, together=dict(together))


def most_frequent(names: Iterable[str], counts: Mapping[str, int]) -> list[str]:
    """The names by falling count, those of equal count by the alphabet."""
    return sorted(names, key=lambda name: (-counts.get(name, 0), name))
