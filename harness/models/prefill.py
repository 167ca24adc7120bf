"""Rows of answers with their prompts read: behind what their questions share, or each whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from harness.models.branches import WHOLE, Branching, Lanes, Prefix, Rows, in_order, padded
from harness.models.heads import Heads, Shown
from harness.models.mixing import Mix
from harness.models.prompts import PromptReader


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One answer to be decoded: its sample, the head of its prompt, all of the prompt's tokens, those of the answer's
    beginning, and what it is mixed and drawn by; `twin` is its second pass, where that is shown a picture."""

    sample: int
    draw: int
    head: int
    ids: list[int]
    lead: list[int]
    mix: Mix | None
    seed: int
    twin: AnswerRow | None = None


class Count(Protocol):
    """Counts forward passes over so many tokens, of which so many are pictures' and the twins'."""

    def __call__(self, tokens: int, *, passes: int = 1, pictures: int = 0, twins: int = 0) -> None: ...


@dataclass(frozen=True, slots=True)
class Prefill:
    """Reads the prompts of rows as `prefix` says."""

    branching: Branching
    reader: PromptReader
    prefix: Prefix
    count: Count

    def read(self, rows: Sequence[AnswerRow], heads: Heads, *, keep: int, more: int) -> tuple[torch.Tensor, Lanes]:
        """(the logits of the rows' last `keep` tokens, the rows as lanes that go on for up to `more` tokens); the lanes
        behind them are the twins of rows that are mixed."""
        twins = {len(rows) + lane: row.twin for lane, row in enumerate(rows) if row.twin}
        entries = {**dict(enumerate(rows)), **twins}
        batches: list[tuple[torch.Tensor, Rows, list[int]]] = []
        for shown in heads.batches:
            lanes = [lane for lane, row in entries.items() if row.head in shown.heads]
            read = self._whole if self.prefix in WHOLE else self._behind_prefix
            batches += read(entries, lanes, heads, shown, keep=keep, more=more)
        self.count(0, passes=0, twins=self._tokens(twins.values(), heads, {row.head for row in rows}))
        unseeing = [lane for lane, row in enumerate(rows) if row.mix and not row.twin]
        if unseeing:
            blind = [
                self.reader.row(heads.heads[row.head], row.ids, row.lead, pictures=False)
                for row in (rows[lane] for lane in unseeing)
            ]
            logits, read_rows = self.branching.prefill(self.branching.accepted(self.reader.batch(blind)), keep)
            tokens = sum(len(row.ids) for row in blind)
            self.count(tokens, twins=tokens)
            batches.append((logits, read_rows, [len(rows) + lane for lane in unseeing]))
        lanes = [lane for _, _, numbers in batches for lane in numbers]
        logits = in_order([padded([logits for logits, _, _ in batches], 1)], lanes)
        return logits, Lanes(self.branching, [(read_rows, numbers) for _, read_rows, numbers in batches])

    def _tokens(self, twins: Collection[AnswerRow], heads: Heads, shared: Collection[int]) -> int:
        """What was read for twins alone: a head that a row has too is none of theirs."""
        tokens = sum(len(twin.ids) + len(twin.lead) for twin in twins)
        if self.prefix in WHOLE:
            return tokens
        own = {twin.head for twin in twins} - set(shared)
        behind = tokens - sum(len(heads.heads[twin.head].ids) for twin in twins)
        return behind + sum(len(heads.heads[number].ids) for number in own)

    def _behind_prefix(
        self, rows: Mapping[int, AnswerRow], lanes: list[int], heads: Heads, shown: Shown, *, keep: int, more: int
    ) -> list[tuple[torch.Tensor, Rows, list[int]]]:
        """The rows of these lanes, each behind a branch of its head, which is read once."""
        seen = [heads.heads[number] for number in shown.heads]
        inputs = self.reader.batch([self.reader.row(head, head.ids) for head in seen])
        _, prefixes = self.branching.prefill(self.branching.accepted({**inputs, **shown.pixels}))
        self.count(sum(len(head.ids) for head in seen), pictures=sum(head.pictures for head in seen))
        tails = {lane: [*rows[lane].ids[len(heads.heads[rows[lane].head].ids) :], *rows[lane].lead] for lane in lanes}
        longest = max(map(len, tails.values()))
        groups = [lanes]
        if self.branching.tidy(prefixes, longest + more):
            lengths = sorted({len(tail) for tail in tails.values()})
            groups = [[lane for lane in lanes if len(tails[lane]) == length] for length in lengths]
        batches = []
        for group in groups:
            owners = torch.tensor([shown.heads.index(rows[lane].head) for lane in group], device=self.branching.device)
            branches = prefixes.taken(owners) if group is groups[-1] else prefixes.branched(owners)
            longest = max(len(tails[lane]) for lane in group)
            padding = [longest - len(tails[lane]) for lane in group]
            ids = torch.tensor(
                [[self.reader.filler] * gap + tails[lane] for gap, lane in zip(padding, group, strict=True)],
                device=self.branching.device,
            )
            real = torch.tensor([[0] * gap + [1] * (longest - gap) for gap in padding], device=self.branching.device)
            logits, read_rows = self.branching.extend(branches, ids, real if any(padding) else None, keep)
            self.count(sum(len(tails[lane]) for lane in group))
            batches.append((logits, read_rows, group))
        return batches

    def _whole(
        self, rows: Mapping[int, AnswerRow], lanes: list[int], heads: Heads, shown: Shown, *, keep: int, more: int
    ) -> list[tuple[torch.Tensor, Rows, list[int]]]:
        """The rows of these lanes, each with all of its prompt read by itself."""
        order = sorted(lanes, key=lambda lane: shown.heads.index(rows[lane].head))
        whole = [self.reader.row(heads.heads[rows[lane].head], rows[lane].ids, rows[lane].lead) for lane in order]
        seen = [heads.heads[rows[lane].head] for lane in order]
        inputs = self.branching.accepted(self.reader.batch(whole))
        if self.prefix == "whole prompts":  # each row has a head, and pictures, of its own
            inputs |= self.branching.accepted(shown.pixels)
        elif shown.pixels:
            count = seen[0].images  # as many in each of them
            firsts = [count * shown.heads.index(rows[lane].head) for lane in order]
            images = [first + image for first in firsts for image in range(count)]
            inputs |= self.branching.features(shown.pixels, images)
        logits, read_rows = self.branching.prefill(inputs, keep)
        self.count(sum(len(row.ids) for row in whole), pictures=sum(head.pictures for head in seen))
        return [(logits, read_rows, order)]
