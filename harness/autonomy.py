"""The autonomy level of a recipe: who judges. It follows from what the recipe does and is never what somebody typed.

L0 human labels (the oracle's gold), L3 an external model; a control judges nothing that a method could be credited
with. L3 and L5 are the survey's (arXiv 2510.02665); no recipe here reaches L1, L2, L4 or L5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTROL = "control"

UNKNOWN = "pairs of unknown origin"
"""Of a run on pairs that somebody else made: who preferred is not in such files, whoever looks at them again here."""

GIVEN_PAIRS = "pairs:"
"""How a recipe's `source` begins that names such pairs."""

LEVELS: Mapping[str, str] = {
    "oracle": "L0",
    "clip": "L3",
    "none": CONTROL,
    "random": CONTROL,
    "shorter": CONTROL,
}
"""By the verifier's kind."""

SAW_GOLD = ", encoder trained on this world's gold"
"""Follows a level whose encoder learnt from right answers of the very world that is asked about."""


def derive_level(recipe: Mapping[str, Any]) -> str | None:
    """The level of a recipe's fields; None for a verifier that is not known here. Pairs ordered by coin are a control
    whoever chose them."""
    select, verify = recipe.get("select"), recipe.get("verify")
    if isinstance(select, Mapping) and select.get("disagreement") == "coin":
        return CONTROL
    kind = verify.get("kind") if isinstance(verify, Mapping) else None
    if str(recipe.get("source", "")).startswith(GIVEN_PAIRS) and kind not in ("random", "shorter"):
        return UNKNOWN
    return LEVELS.get(kind) if isinstance(kind, str) else None


def level_of(recipe: Mapping[str, Any]) -> str:
    """The level of a run's recipe as filed: derived, with what the run added to it; as written for a judge that is not
    known here."""
    written, derived = str(recipe.get("level") or ""), derive_level(recipe)
    return derived if derived is not None and written.partition(",")[0] != derived else written


def can_be_typed(level: Any) -> bool:
    """Whether a recipe file may hold this level, which is then passed over: one that some recipe here has."""
    return str(level).partition(",")[0] in (*LEVELS.values(), UNKNOWN)
