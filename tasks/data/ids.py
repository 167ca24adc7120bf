"""The ids of a set of samples: their order, and the digest that names the set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def ids_digest(ids: Iterable[str]) -> str:
    """SHA-256 in hex of the ids in ascending order, a line each: what names a set, whoever made it."""
    return hashlib.sha256("".join(f"{image}\n" for image in ascending(ids)).encode("utf-8")).hexdigest()


def ascending(ids: Iterable[str]) -> list[str]:
    """Ids as their numbers ascend; those that are no numbers by length and then by the alphabet."""
    return sorted(ids, key=lambda image: (len(image), image))
