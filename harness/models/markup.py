"""A chat template's tokens where the template writes them, and their spellings as plain text where somebody else does.

Fast tokenizers cut a text at the spellings of their special tokens before anything else. So a text that somebody wrote
is marked where it holds one, the template is rendered, and what is not marked is the template's: it is renamed to what
no text holds, in a copy of the tokenizer that takes every special token's old spelling for text. The whole text is then
tokenised at once, as any other.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from tokenizers import AddedToken, Tokenizer

from harness.errors import DataError

_OPEN, _CLOSE, _NAME = "\ufdd0", "\ufdd1", "\ufdd3"
"""Around what is text, and around the number of a token that is none: characters that Unicode sets aside."""


class Markup:
    """The special tokens of a processor: those of its tokenizer, and the one that stands for a picture."""

    def __init__(self, processor: Any) -> None:
        self.tokenizer = processor.tokenizer
        self.spellings = {
            added.content: number
            for number, added in self.tokenizer.added_tokens_decoder.items()
            if added.special or added.content == processor.image_token
        }
        words = self.tokenizer
        self._structure = {processor.image_token_id, words.bos_token_id, words.eos_token_id, words.pad_token_id}
        longest_first = sorted(self.spellings, key=len, reverse=True)
        self._spelled = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def marked(self, text: str) -> str:
        """A text with marks around what is spelled like a special token; one without any is itself."""
        if not self._spelled.search(text):
            return text
        return self._spelled.sub(rf"{_OPEN}\g<0>{_CLOSE}", re.sub(f"[{_OPEN}{_CLOSE}{_NAME}]", "", text))

    def tokens(self, text: str) -> tuple[list[int], list[int], int]:
        """(the tokens of a rendered text, where in its characters each ends, how many characters it has).

        Raises `DataError` for a tokenizer that makes a special token of plain text all the same.
        """
        first = self.tokenizer.bos_token
        adds = not (first and text.startswith(first))  # as in transformers: not where the template wrote it
        if _OPEN not in text:
            encoded = self.tokenizer(text, add_special_tokens=adds, return_offsets_mapping=True)
            return encoded.input_ids, [end for _, end in encoded.offset_mapping], len(text)
        pieces = re.split(f"{_OPEN}({self._spelled.pattern}){_CLOSE}", text)
        renamed = [piece if number % 2 else self._renamed(piece) for number, piece in enumerate(pieces)]
        plain = re.sub(f"[{_OPEN}{_CLOSE}]", "", "".join(renamed))
        tokenizer, numbers = self._literal
        encoding = tokenizer.encode(plain, add_special_tokens=adds)
        for token, added in zip(encoding.ids, encoding.special_tokens_mask, strict=True):
            if token in self._structure and not added:
                spelling = self.tokenizer.convert_ids_to_tokens(token)
                raise DataError(f"the tokenizer reads '{spelling}' in a text as markup; take it out of the text")
        return [numbers.get(token, token) for token in encoding.ids], [end for _, end in encoding.offsets], len(plain)

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
