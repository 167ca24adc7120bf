"""What is not so in a family, in the words in which it is refused."""

from __future__ import annotations

from collections.abc import Mapping

LIMITS: Mapping[str, Mapping[str, str]] = {}
"""Family -> column of the table in docs/models.md -> a part of the message."""

WITHOUT_ENCODER = frozenset({"gemma4_unified", "phi4_multimodal"})
"""Families in which nothing can be frozen as the encoder of pictures."""
