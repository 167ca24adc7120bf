"""The autonomy level of a recipe: who judges. It follows from a recipe's parts and is never what somebody typed.

L0 human labels (the oracle's gold), L2 a rule that somebody wrote for the task, against right answers or of their form,
L3 an external model, L4 the model that is honed, L5 the same where it also makes what it is asked; a control judges
nothing that a method could be credited with. The survey has L3 and L5 (arXiv 2510.02665); the others are this project's
reading of its scale. Each kind of verifier declares its own.

Where no verifier has an opinion, pairs keep the order in which they were made. Two answers of the honed model of which
one was asked for as the worse one (of a noised picture, SeVa; by a misleading prompt, STIC) depend on nobody but that
model and its pictures: L4. A baseline's order (the answer to another picture) is a control.
"""

from __future__ import annotations

from collections.abc import Iterable

CONTROL = "control"

EXTERNAL, SELF_VERIFIED, OWN_QUESTIONS = "L3", "L4", "L5"

UNKNOWN = "pairs of unknown origin"
"""Of a run on pairs that somebody else made: who preferred is not in such files, whoever looks at them again here."""

GIVEN_PAIRS = "pairs:"
"""How a recipe's `source` begins that names such pairs."""

SAW_GOLD = ", encoder trained on this world's gold"
"""Follows a level whose verifier learnt from right answers of the very world that is asked about."""

OWN_WEIGHTS = ", judge of the honed model's own weights"
"""Follows a level whose judge, under whatever name, is the model that is honed."""


def lowest(levels: Iterable[str]) -> str:
    """The level of several who judge together: that of the least autonomous; a control beside others counts for
    nothing."""
    return min((level for level in levels if level != CONTROL), default=CONTROL)
