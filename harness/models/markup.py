"""A chat template's tokens where the template writes them, and their spellings as plain text where somebody else does.

Fast tokenizers cut a text at the spellings of their special tokens before anything else. So in a text that somebody
wrote each of these is replaced by a mark, the template is rendered, the processor puts its picture tokens in, and what
is spelled like a special token then is theirs: it is renamed to what no text holds, in a copy of the tokenizer that
takes every special token's old spelling for text. The whole text is then tokenised at once, as any other.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property, lru_cache
from typing import Any

from tokenizers import AddedToken, Tokenizer

from harness.errors import DataError

_OPEN, _CLOSE, _NAME = "\ufdd0", "\ufdd1", "\ufdd3"
"""Around the number of a token whose spelling is text, and of one that is a token: characters that Unicode sets
aside."""

KEPT = 256
"""Texts of which the tokens are kept: of a large model one may be of tens of thousands of tokens."""


class Markup:
    """The special tokens of a tokenizer, and those by which a processor has pictures, videos and sound."""

    def __init__(self, processor: Any, picture_tokens: Collection[int]) -> None:
        self.tokenizer = processor.tokenizer
        placeholders = {str(getattr(processor, f"{kind}_token", None)) for kind in ("image", "video", "audio")}
        self.spellings = {
            added.content: number
            for number, added in self.tokenizer.added_tokens_decoder.items()
            if added.special or added.content in placeholders or number in picture_tokens
        }
        self._written = {number: content for content, number in self.spellings.items()}
        words = self.tokenizer
        self._structure = {*picture_tokens, words.bos_token_id, words.eos_token_id, words.pad_token_id}
        longest_first = sorted(self.spellings, key=len, reverse=True)
        self._kept = lru_cache(maxsize=KEPT)(self._tokenised)  # many pictures are asked the same
        self._spelled = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def marked(self, text: str) -> str:
        """A text with marks in the place of what is spelled like a special token; one without any is itself."""
        if not self._spelled.search(text):
            return text
        plain = re.sub(f"[{_OPEN}{_CLOSE}{_NAME}]", "", text)
        return self._spelled.sub(lambda match: f"{_OPEN}{self.spellings[match[0]]}{_CLOSE}", plain)

    def begins(self, text: str) -> int:
        """How many characters of special tokens a rendered text begins with."""
        end = 0
        while match := self._spelled.match(text, end):
            end = match.end()
        return end

    def tokens(self, text: str, *, first: bool = True) -> tuple[list[int], list[int], int]:
        """(the tokens of a rendered text, where in its characters each ends, how many characters it has).

        `first` is whether the tokenizer puts its first token (and what else it adds) there, where the text does not
        begin with it. Raises `DataError` for a tokenizer that makes a special token of plain text all the same.
        """
        ids, ends, length = self._kept(text, first)
        return list(ids), list(ends), length

    def _tokenised(self, text: str, first: bool) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        beginning = self.tokenizer.bos_token
        adds = first and not (beginning and text.startswith(beginning))  # as in transformers
        if _OPEN not in text:
            encoded = self.tokenizer(text, add_special_tokens=adds, return_offsets_mapping=True)
            return tuple(encoded.input_ids), tuple(end for _, end in encoded.offset_mapping), len(text)
        pieces = re.split(f"{_OPEN}([0-9]+){_CLOSE}", text)
        plain = "".join(
            self._written[int(piece)] if number % 2 else self._renamed(piece) for number, piece in enumerate(pieces)
        )
        tokenizer, numbers = self._literal
        encoding = tokenizer.encode(plain, add_special_tokens=adds)
        for token, added in zip(encoding.ids, encoding.special_tokens_mask, strict=True):
            if token in self._structure and not added:
                spelling = self.tokenizer.convert_ids_to_tokens(token)
                raise DataError(f"the tokenizer reads '{spelling}' in a text as markup; take it out of the text")
        ids = tuple(numbers.get(token, token) for token in encoding.ids)
        return ids, tuple(end for _, end in encoding.offsets), len(plain)

    def _renamed(self, piece: str) -> str:
        return self._spelled.sub(lambda match: f"{_NAME}{self.spellings[match[0]]}{_NAME}", piece)

    @cached_property
    def _literal(self) -> tuple[Tokenizer, dict[int, int]]:
        """(a copy of the tokenizer to which special tokens are text and their renamed twins are not, twin -> token)."""
        copy = Tokenizer.from_str(self.tokenizer.backend_tokenizer.to_str())
        copy.no_padding()
        copy.no_truncation()
        copy.add_special_tokens(list(self.spellings))
        copy.encode_special_tokens = True
        added = self.tokenizer.added_tokens_decoder
        names = {f"{_NAME}{number}{_NAME}": number for number in self.spellings.values()}
        copy.add_tokens(
            [
                AddedToken(
                    name,
                    normalized=False,
                    special=False,
                    lstrip=added[number].lstrip,
                    rstrip=added[number].rstrip,
                    single_word=False,
                )
                for name, number in names.items()
            ]
        )
        return copy, {copy.encode(name, add_special_tokens=False).ids[0]: number for name, number in names.items()}
