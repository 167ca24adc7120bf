"""A tokenizer whose tokens are characters, and special tokens where they are named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import SimpleNamespace


class Characters:
    """`special` are tokens of several characters; ids are code points, and of special tokens those below zero."""

    def __init__(self, special: Sequence[str] = ()) -> None:
        self._special = list(special)

    @property
    def all_special_ids(self) -> list[int]:
        return [-1 - index for index in range(len(self._special))]

    def get_vocab(self) -> dict[str, int]:
        return dict(zip(self._special, self.all_special_ids, strict=True))

    def convert_tokens_to_ids(self, token: str) -> int | None:
        return self.get_vocab().get(token)

    def __call__(self, text: str, add_special_tokens: bool = True) -> SimpleNamespace:
        pattern = "|".join([*map(re.escape, self._special), "."])
        pieces = re.findall(pattern, text, re.DOTALL)
        return SimpleNamespace(input_ids=[self.get_vocab().get(piece, ord(piece[0])) for piece in pieces])

    def decode(self, tokens: Sequence[int], skip_special_tokens: bool = False) -> str:
        return "".join(
            chr(token) if token >= 0 else "" if skip_special_tokens else self._special[-1 - token] for token in tokens
        )
