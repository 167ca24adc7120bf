"""Thoughts while they are written: a bound of their own, and tags that stay in the text.

A model that thinks needs more tokens than its answer has. With `Sampling.max_thought_tokens` the thought has so many
beside the task's `max_tokens` for the answer; one that is not closed by then is closed by force, as thinking budgets of
servers do, and the answer goes on behind the closing tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import UsageError
from harness.thoughts import ThoughtTags, tags_of

_WINDOW = 24
"""Last tokens in which a tag is looked for: more than any tag is cut into."""


class ThoughtBudget:
    """Bounds the thoughts of some rows, each told of token by token.

    `prompts` are the rows' ids up to where the answer begins: a chat template may have opened the thought. A thought
    that the model opens counts where it begins the answer.
    """

    def __init__(
        self, tokenizer: Any, tags: ThoughtTags, prompts: Sequence[Sequence[int]], *, longest: int, max_tokens: int
    ) -> None:
        self._tokenizer, self._tags = tokenizer, tags
        self._closing: list[int] = tokenizer(tags.closing, add_special_tokens=False).input_ids
        self._longest, self._max_tokens = longest, max_tokens
        self._tokens: list[list[int]] = [[] for _ in prompts]
        self._thinking = [self._opened(prompt) for prompt in prompts]
        self._undecided = [not opened for opened in self._thinking]
        self._opening = [False] * len(prompts)
        self._pending: list[list[int]] = [[] for _ in prompts]
        self._thoughts = [0] * len(prompts)
        self.closed = 0

    @property
    def steps(self) -> int:
        """The most tokens that a row takes, its thought, the closing tag and its answer."""
        return self._longest + len(self._closing) + self._max_tokens

    def write(self, row: int, token: int) -> int:
        """The token that the row goes on with: the model's own or, of a thought that is to be closed, the closing
        tag's next one."""
        forced = bool(self._pending[row])
        if forced:
            token = self._pending[row].pop(0)
        tokens = self._tokens[row]
        tokens.append(token)
        if self._undecided[row]:
            self._decide(row)
        if self._thinking[row]:
            self._thoughts[row] = len(tokens)
            if self._tags.closing in self._text(tokens[-_WINDOW:]) or (forced and not self._pending[row]):
                self._thinking[row] = False
                self._pending[row] = []
            elif len(tokens) >= self._longest and not forced:
                self._pending[row] = list(self._closing)
                self.closed += 1
        return token

    def is_full(self, row: int) -> bool:
        """Whether the row's answer, behind its thought, has all the tokens that it may have."""
        thinks = self._thinking[row] or self._opening[row]
        return not thinks and len(self._tokens[row]) - self._thoughts[row] >= self._max_tokens

    def _opened(self, prompt: Sequence[int]) -> bool:
        return self._text(prompt[-_WINDOW:]).rstrip().endswith(self._tags.opening)

    def _decide(self, row: int) -> None:
        """Whether the answer begins with a thought, as soon as its text says so."""
        text = self._text(self._tokens[row]).lstrip()
        self._thinking[row] = text.startswith(self._tags.opening)
        self._undecided[row] = not self._thinking[row] and self._tags.opening.startswith(text)
        self._opening[row] = self._undecided[row] and bool(text)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False))


def thought_tags(name: str, tokenizer: Any, texts: Sequence[str]) -> ThoughtTags:
    """The tags of the model called `name`, by its vocabulary and `texts`, its chat template and system prompt; raises
    `UsageError` where it has none."""
    tags = tags_of(texts, tokenizer.get_vocab())
    if tags is None:
        raise UsageError(
            f"--max-thought-tokens: {name} has no tag of a thought in its vocabulary, chat template or system prompt; "
            "leave it away, or name the tags by --system"
        )
    return tags


def text_with_tags(tokenizer: Any, tokens: Sequence[int], tags: ThoughtTags | None) -> str:
    """The text of some tokens without special tokens, but for the tags of a thought: those of some models are special,
    and without them a thought reads as the answer."""
    kept = {tokenizer.convert_tokens_to_ids(tag) for tag in (tags.opening, tags.closing)} if tags else set()
    special = kept & set(tokenizer.all_special_ids)
    text, start = "", 0
    for index, token in enumerate(tokens):
        if token in special:
            text += tokenizer.decode(list(tokens[start:index]), skip_special_tokens=True)
            text += tokenizer.decode([token], skip_special_tokens=False)
            start = index + 1
    return text + str(tokenizer.decode(list(tokens[start:]), skip_special_tokens=True))
