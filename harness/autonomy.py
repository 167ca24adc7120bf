"""The autonomy level of a recipe: who judges. It follows from a recipe's parts and is never what somebody typed.

L0 human labels (the oracle's gold), L3 an external model; a control judges nothing that a method could be credited
with. The levels are the survey's (arXiv 2510.02665). Each kind of verifier declares its own.
"""

from __future__ import annotations

CONTROL = "control"

UNKNOWN = "pairs of unknown origin"
"""Of a run on pairs that somebody else made: who preferred is not in such files, whoever looks at them again here."""

GIVEN_PAIRS = "pairs:"
"""How a recipe's `source` begins that names such pairs."""

SAW_GOLD = ", encoder trained on this world's gold"
"""Follows a level whose verifier learnt from right answers of the very world that is asked about."""
