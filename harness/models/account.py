"""What a served model's answers took, kept beside them, so that commands that resume one another share one budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.disks import reading, writing
from harness.errors import UsageError
from harness.lines import checked_line, drop_half_line, set_aside, whole_lines

ACCOUNT = "account.jsonl"
"""The file's name, beside the answers: a line an answer, with the tokens that the server counted."""

MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """Of a million tokens that are read, and of a million that are generated, in any currency."""

    prompt: float
    generated: float


class Account:
    """The tokens of all answers in a file; without a path, in memory. `budget` is a sum in the currency of `price`, or
    without a price a number of tokens, None without end.

    The half of a line of a process that was killed is dropped, and a damaged line is set aside (`harness.lines`): what
    it counted is not in the account. Raises `harness.errors.DataError` where the file cannot be read.
    """

    def __init__(self, path: Path | None = None, *, price: Price | None = None, budget: float | None = None) -> None:
        self.path, self.price, self.budget = path, price, budget
        self.answers = self.prompt = self.generated = 0
        if path is not None and path.is_file():
            self._read(path)

    def _read(self, path: Path) -> None:
        with reading(path):
            drop_half_line(path)
            with path.open("rb") as stream:
                lines = list(whole_lines(stream, ()))
        for line in lines:
            if not line.reason:
                self._count(line.entry)
        if damaged := [line for line in lines if line.reason]:
            set_aside(path, damaged)

    def add(self, tokens: Mapping[str, int]) -> None:
        """Count an answer's tokens ("prompt", "generated"); raises `UsageError` where a budget is to be held and the
        server tells none."""
        if self.budget is not None and not tokens:
            raise UsageError("--budget: the server does not tell what its answers take (usage); leave --budget away")
        self._count(tokens)
        if self.path is not None:
            with writing(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("ab") as stream:
                    stream.write(checked_line(tokens))

    def _count(self, tokens: Mapping[str, Any]) -> None:
        self.answers += 1
        self.prompt += int(tokens.get("prompt", 0))
        self.generated += int(tokens.get("generated", 0))

    @property
    def cost(self) -> float | None:
        """The price of all answers, None without prices."""
        if self.price is None:
            return None
        return (self.prompt * self.price.prompt + self.generated * self.price.generated) / MILLION

    @property
    def is_used_up(self) -> bool:
        """Whether no more may be asked."""
        spent = self.prompt + self.generated if self.cost is None else self.cost
        return self.budget is not None and spent >= self.budget

    @property
    def words(self) -> str:
        """What was spent, for people."""
        tokens = f"{self.prompt:,} prompt and {self.generated:,} generated tokens"
        return tokens if self.cost is None else f"{self.cost:.4g} ({tokens})"
