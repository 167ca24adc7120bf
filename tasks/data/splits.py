"""The one split of a published benchmark."""

from __future__ import annotations

from harness.errors import UsageError


def refuse_other_split(task: str, split: str) -> None:
    """Raise `UsageError` for any split but "test"."""
    if split != "test":
        raise UsageError(f"{task} has no split '{split}'; it has test")
