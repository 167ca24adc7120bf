"""A measurement of `strop bench`."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """The runs of a measurement, none where it was skipped; `about` says on what it was made, or why it was not.
    `details` are what else was found, for JSON."""

    name: str
    unit: str
    about: str
    runs: tuple[float, ...] = ()
    details: dict[str, Any] | None = None

    @property
    def value(self) -> float | None:
        return median(self.runs) if self.runs else None


def short(number: float) -> str:
    """A figure in three digits, or whole."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
