"""A processor's tokenizer to which what people spell like a special token is text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import BatchEncoding

from harness.models.markup import Markup


class SpellingTokenizer:
    """A tokenizer as a processor calls it, to which what a user spells like a special token is text; `texts` are those
    of its last call. All else is the tokenizer's own."""

    def __init__(self, tokenizer: Any, markup: Markup, filler: int) -> None:
        self._tokenizer, self._markup, self._filler = tokenizer, markup, filler
        self.texts: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        **_: Any,
    ) -> BatchEncoding:
        if isinstance(text, str):
            return self._tokenizer(text, add_special_tokens=add_special_tokens, return_tensors=return_tensors)
        self.texts = list(text)
        encodings = [self._markup.tokens(each, first=add_special_tokens) for each in self.texts]
        rows = [ids for ids, _, _ in encodings]
        longest = max(map(len, rows), default=0)
        ends = [[0] * (longest - len(row)) + places for row, places, _ in encodings]
        encoded = {
            "input_ids": [[self._filler] * (longest - len(row)) + row for row in rows],
            "attention_mask": [[0] * (longest - len(row)) + [1] * len(row) for row in rows],
        }
        if return_token_type_ids:
            encoded["token_type_ids"] = [[0] * longest for _ in rows]
        return _Encoding(encoded, ends, return_tensors)


class _Encoding(BatchEncoding):  # type: ignore[misc]
    """Rows of tokens that know where in their text each of them ends."""

    def __init__(self, encoded: Mapping[str, Any], ends: Sequence[Sequence[int]], tensor_type: str | None) -> None:
        super().__init__(dict(encoded), tensor_type=tensor_type)
        self._ends = ends

    def char_to_token(self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0) -> int:
        """The token that a character of a row's text belongs to."""
        row, place = (0, batch_or_char_index) if char_index is None else (batch_or_char_index, char_index)
        return min(bisect_right(self._ends[row], place), len(self._ends[row]) - 1)
