"""What an encoder's maker says of it, in `strop.json` beside its weights. Imports no model library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import ModelError
from harness.files import read_json

CARD = "strop.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderCard:
    """`gold_of` names the tasks from whose right answers the encoder learnt, on other pictures of their world; `zero`
    is the score at which a sentence about these is as likely true as false, None where nobody set it."""

    zero: float | None = None
    gold_of: tuple[str, ...] = ()


def read_card(folder: Path) -> EncoderCard:
    """The card of an encoder's folder, empty where it has none; raises `ModelError` for one that is malformed."""
    path = folder / CARD
    if not path.is_file():
        return EncoderCard()
    content = read_json(path)
    zero, gold_of = (content.get("zero"), content.get("gold_of", [])) if isinstance(content, dict) else ("", "")
    if isinstance(zero, bool | str | list | dict) or not isinstance(gold_of, list):
        raise ModelError(f'{path}: expected {{"zero": a number, "gold_of": [names of tasks]}}, both may be left out')
    return EncoderCard(zero=None if zero is None else float(zero), gold_of=tuple(map(str, gold_of)))
