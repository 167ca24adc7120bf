"""A sample as a model reads it: its chat template's text, tokenised once and whole, and its pictures as they are shown.

The tokens are those of the processor's own ``apply_chat_template(..., tokenize=True)``, for a question as for an answer
behind it, whoever asks: evaluation, collection or training. A text that is cut first and tokenised in parts has others,
where a tokenizer begins every text with a space (Llama's) or joins what was cut.

A processor is called once for all questions about the same pictures: it turns the head of the prompt, all up to the
last picture and what closes it, into as many tokens as the pictures take; what follows is text. Prompts are cut in
tokens, never in text.

The chat template's own tokens (``<image>``, ``</s>``, ``<|im_end|>``) are markup where the template writes them and
text where a user or an answer does (`harness.models.markup`).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from PIL.Image import Image

from harness.errors import DataError, ModelError
from harness.models.branches import along, padded
from harness.models.frames import Frame, Pictures, frame_of
from harness.models.heads import Head, Heads, Row, Shown, framing_tokens, picture_tokens
from harness.models.loading import model_errors
from harness.models.markup import Markup
from harness.models.options import Thinking
from harness.models.spelling import SpellingTokenizer
from harness.models.template import ChatTemplate
from harness.pictures import open_picture, picture_digest
from harness.types import Sample

RENDERED = 1024
"""Conversations of which the chat template's text is kept."""

_ANSWER = "\ufdd2"
"""Stands where the template writes an answer: a character that Unicode sets aside and no text holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Written:
    """What the chat template makes of a sample: `text` ends with `answer`, which is "" of a question alone."""

    text: str
    answer: str


def prompt_reader(
    config: Any,
    processor: Any,
    pictures: Pictures | None = None,
    *,
    system: str | None = None,
    thinking: Thinking | None = None,
) -> PromptReader:
    """The reader of a model's prompts, by its configuration and processor; `pictures` is how they are shown, and the
    others are those of `PromptReader`."""
    return PromptReader(
        processor,
        frame_of(processor.image_processor, pictures),
        system=system,
        thinking=thinking,
        picture_tokens=picture_tokens(config, processor),
        framing_tokens=framing_tokens(config),
    )


class PromptReader:
    """Turns samples into tokens by a model's processor, and opens their pictures in a frame.

    `system` and `thinking` are those of `harness.models.template.ChatTemplate`; `picture_tokens` (by default the
    processor's own) and `framing_tokens` are those of the functions of these names.
    """

    def __init__(
        self,
        processor: Any,
        frame: Frame,
        *,
        system: str | None = None,
        thinking: Thinking | None = None,
        picture_tokens: Collection[int] | None = None,
        framing_tokens: Collection[int] = (),
    ) -> None:
        self.processor, self.frame = processor, frame
        self.tokenizer = processor.tokenizer
        self.picture_tokens = frozenset([processor.image_token_id] if picture_tokens is None else picture_tokens)
        self.markup = Markup(processor, self.picture_tokens)
        self.placeholder = str(processor.image_token)
        spelled = None if system is None else self.markup.marked(system)
        self.template = ChatTemplate(processor, system=spelled, thinking=thinking)
        self._rendered = lru_cache(maxsize=RENDERED)(self._render)  # many pictures are asked the same
        special = {*self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder, *framing_tokens}
        self._closing = frozenset(special - {self.tokenizer.eos_token_id})
        self._framing = frozenset(framing_tokens)
        self._spelling = SpellingTokenizer(self.tokenizer, self.markup, self.filler)
        self._processor = copy.copy(processor)
        self._processor.tokenizer = self._spelling

    @property
    def filler(self) -> int:
        """What fills rows up to one length. Only a mask tells it from a token that is meant: the tokenizer's own
        padding token may be one (its end or first token), or none."""
        return min(set(range(len(self.picture_tokens) + 1)) - self.picture_tokens)

    @property
    def suffixes(self) -> bool:
        """Whether an answer is no part of the processor's text but a suffix, whose tokens alone are read from left to
        right: the prompt is attended both ways (PaliGemma)."""
        return "suffix" in inspect.signature(type(self.processor).__call__).parameters

    def pictures(self, sample: Sample) -> list[Image]:
        return [self.frame.show(open_picture(picture)) for picture in sample.images]

    # Heads ------------------------------------------------------------------------------------------------------------

    def heads(
        self, samples: Sequence[Sample], *, shared: bool = True, apart: Literal["counts", "each"] | None = "counts"
    ) -> Heads:
        """The heads of samples, as few as there are: those with the same pictures in the same text share one.

        Not `shared`, each sample has one of its own. The processor is called for all heads with the same number of
        pictures, for each head apart, or (None) for all at once.
        """
        keys: dict[Any, int] = {}
        opened: dict[int, list[Image]] = {}
        owners: list[int] = []
        firsts: list[tuple[Sample, list[Image]]] = []
        for number, sample in enumerate(samples):
            if id(sample) not in opened:
                opened[id(sample)] = self.pictures(sample)
            images = opened[id(sample)]
            key = (*self._head_text(sample), picture_digest(images)) if shared and images else number
            if key not in keys:
                keys[key] = len(firsts)
                firsts.append((sample, images))
            owners.append(keys[key])
        groups: dict[int, list[int]] = {}
        for number, (_, images) in enumerate(firsts):
            group = number if apart == "each" else len(images) if apart == "counts" else 0
            groups.setdefault(group, []).append(number)
        heads: dict[int, Head] = {}
        batches = []
        for numbers in groups.values():
            made, pixels = self._heads_of([firsts[number] for number in numbers])
            heads.update(zip(numbers, made, strict=True))
            batches.append(Shown(heads=tuple(numbers), pixels=pixels))
        return Heads(
            heads=tuple(heads[number] for number in range(len(firsts))), owners=tuple(owners), batches=tuple(batches)
        )

    def _heads_of(self, firsts: Sequence[tuple[Sample, list[Image]]]) -> tuple[list[Head], Mapping[str, torch.Tensor]]:
        """(the heads of some samples by one call of the processor, the model's inputs of their pictures)."""
        if not any(images for _, images in firsts):
            return [self._head_of_text(sample) for sample, _ in firsts], {}
        texts, images = [self.question(sample) for sample, _ in firsts], [images for _, images in firsts]
        with model_errors(f"sample {firsts[0][0].id}: the model's processor does not take its pictures"):
            inputs = self._processed(texts, images)
        expanded, beside = self._spelling.texts, along(inputs)
        heads = [
            self._head(sample, expanded[row], row, inputs, beside) if images else self._head_of_text(sample)
            for row, (sample, images) in enumerate(firsts)
        ]
        rows = ("input_ids", "attention_mask", "labels", *beside)
        return heads, {name: values for name, values in inputs.items() if name not in rows}

    def _processed(self, texts: Sequence[str], images: Sequence[Sequence[Image]]) -> Mapping[str, Any]:
        """The processor's tensors of rendered texts and the pictures of each, padded on the left."""
        options: dict[str, Any] = {"padding": True, "padding_side": "left", "return_tensors": "pt"}
        try:
            return dict(self._processor(text=list(texts), images=[list(each) for each in images], **options))
        except ValueError:
            if {len(each) for each in images} != {1}:
                raise
            try:  # a few processors take the pictures of one sample for the pages of one picture
                return dict(self._processor(text=list(texts), images=[each[0] for each in images], **options))
            except ValueError:
                pass
            raise

    def _head_text(self, sample: Sample) -> tuple[str, bool]:
        """(the rendered text up to its last picture and the special tokens behind it, whether a blank or a bracket
        follows: some processors write a space there where none does)."""
        text = self.question(sample)
        end = text.rfind(self.placeholder) + len(self.placeholder)
        end += self.markup.begins(text[end:])
        return text[:end], text[end : end + 1] in (" ", "\n", "<")

    def _head(
        self, sample: Sample, expanded: str, row: int, inputs: Mapping[str, Any], beside: Mapping[str, Any]
    ) -> Head:
        text, _ = self._head_text(sample)
        tail = self.question(sample)[len(text) :]
        length = int(inputs["attention_mask"][row].sum())
        ids = inputs["input_ids"][row, -length:].tolist()
        tokens = self.markup.tokens(expanded)[0]
        first = ids[: len(ids) - len(tokens)]
        before, _, behind = expanded.rpartition(tail)
        if [*first, *tokens] != ids or not before or (behind and not self.suffixes):
            raise ModelError(
                f"sample {sample.id}: the processor writes the question otherwise than the chat template, so that its "
                "tokens cannot be told apart; take another prompt"
            )
        marks = inputs["mm_token_type_ids"][row, -length:].tolist() if "mm_token_type_ids" in inputs else [0] * length
        seen = [place for place, token in enumerate(ids) if token in self.picture_tokens or marks[place]]
        if not seen:
            # the question that is asked at loading tells it beside the model's name
            raise ValueError(
                f"the processor writes '{self.placeholder}' for a picture, but by config.json pictures are token "
                f"{', '.join(map(str, sorted(self.picture_tokens)))}; the two belong to different models"
            )
        start, end = seen[0], seen[-1] + 1
        while end < len(ids) - 1 and ids[end] in self._closing:
            end += 1
        while start and ids[start - 1] in self._framing:
            start -= 1
        between = [] if len(sample.images) == 1 else [
            token for place, token in enumerate(ids[start:end], start)
            if place not in seen and token not in self._closing
        ]  # fmt: skip
        return Head(
            text=text,
            expanded=before,
            behind=behind,
            first=tuple(first),
            ids=tuple(ids[:end]),
            blind=(*ids[:start], *between),
            along={name: values[row : row + 1, -length:][:, :end] for name, values in beside.items()},
            images=len(sample.images),
            pictures=sum(token in self.picture_tokens for token in ids[:end]),
        )

    def _head_of_text(self, sample: Sample) -> Head:
        first = tuple(self.markup.tokens(self.question(sample))[0][:1])
        beside = {"token_type_ids": torch.zeros(1, 1, dtype=torch.long)} if self.suffixes else {}
        return Head(
            text="", expanded="", behind="", first=(), ids=first, blind=first, along=beside, images=0, pictures=0
        )

    # Tokens -----------------------------------------------------------------------------------------------------------

    def prompt(self, sample: Sample) -> list[int]:
        """The tokens of the question, the pictures' included, up to where the answer begins."""
        return list(self.answered(sample, "")[0])

    def answered(self, sample: Sample, answer: str, head: Head | None = None) -> tuple[list[int], list[int]]:
        """(the prompt's tokens, those of the answer behind it, without what the chat template ends it with).

        Both are of one tokenisation. A token that covers the prompt's end and the answer's beginning is the answer's.
        """
        head = head or self.heads([sample]).heads[0]
        prompt = self._tokens(sample, self._written(sample), head)[0]
        if not answer:
            return prompt, []
        if self.suffixes:
            return prompt, self.markup.tokens(self.markup.marked(answer), first=False)[0]
        tokens, _ = self._tokens(sample, self._written(sample, answer), head)
        shared = _shared(prompt, tokens)
        return tokens[:shared], tokens[shared:]

    def answer_ends(self, sample: Sample, answer: str, head: Head | None = None) -> list[int]:
        """Where in the answer's characters each of its tokens in `answered` ends."""
        if self.suffixes:
            return self.markup.tokens(self.markup.marked(answer), first=False)[1]
        head = head or self.heads([sample]).heads[0]
        written = self._written(sample, answer)
        tokens, ends = self._tokens(sample, written, head)
        shared = _shared(self.answered(sample, "", head)[0], tokens)
        before = answer.index(written.answer)  # blanks that the template takes off
        return [before + end for end in ends[shared:]]

    def row(self, head: Head, ids: Sequence[int], answer: Sequence[int] = (), *, pictures: bool = True) -> Row:
        """The row of a prompt with an answer or its beginning behind it; without `pictures`, of all but these."""
        begun = head.ids if pictures else (*head.blind, *ids[len(head.ids) :])
        prompt = tuple(ids) if pictures else begun
        beside = {}
        for name, values in head.along.items():
            behind = len(prompt) - values.shape[1] if pictures else len(prompt)
            if name == "cross_attention_mask":
                if pictures:
                    last = values[:, -1:].expand(-1, behind + len(answer), *values.shape[2:])
                    beside[name] = torch.cat([values, last], 1)
                continue
            suffix = values.new_full((1, len(answer)), int(self.suffixes and name == "token_type_ids"))
            seen = values if pictures else values[:, :0]
            beside[name] = torch.cat([seen, values.new_zeros(1, behind), suffix], 1)
        return Row(ids=(*prompt, *answer), along=beside)

    def batch(self, rows: Sequence[Row], *, side: Literal["left", "right"] = "left") -> dict[str, torch.Tensor]:
        """Rows as a model's `input_ids` and `attention_mask`, and what goes along (of a row without it zeros, as text
        has them), padded on one side."""
        beside = {name: values for row in rows for name, values in row.along.items()}
        tensors = {
            "input_ids": [torch.tensor([row.ids]) for row in rows],
            "attention_mask": [torch.ones(1, len(row.ids), dtype=torch.long) for row in rows],
            **{
                name: [row.along.get(name, values.new_zeros(1, len(row.ids), *values.shape[2:])) for row in rows]
                for name, values in beside.items()
            },
        }
        fillers = {"input_ids": self.filler}
        return {name: padded(values, 1, side=side, filler=fillers.get(name, 0)) for name, values in tensors.items()}

    def end_token(self, stop: Collection[int]) -> int:
        """The token that ends an answer in training: what of `stop` the chat template writes behind one, else the
        tokenizer's end token, else any. Raises `ModelError` where there is none."""
        sample = Sample(id="", prompt="?", images=(), target=None, cluster="")
        behind = "" if self.suffixes else self._around(sample)[1]
        written = [token for token in self.tokenizer(behind, add_special_tokens=False).input_ids if token in stop]
        for token in (*written, self.tokenizer.eos_token_id, *sorted(stop)):
            if token is not None:
                return int(token)
        raise ModelError(
            "the model has no end token, so that no answer could be trained to end; name one in tokenizer_config.json"
        )

    # Text -------------------------------------------------------------------------------------------------------------

    def question(self, sample: Sample) -> str:
        """The chat template's text of the question alone."""
        text = self._turns(sample)
        if (count := text.count(self.placeholder)) != len(sample.images):
            raise ModelError(
                f"sample {sample.id}: the model's chat template writes {count} tokens '{self.placeholder}' for "
                f"{len(sample.images)} pictures; restore the template"
            )
        return text

    def _written(self, sample: Sample, answer: str | None = None) -> _Written:
        """The chat template's text: of the question alone or, with an answer, up to the answer's last character."""
        if answer is None:
            return _Written(text=self.question(sample), answer="")
        whole = self._turns(sample, self.markup.marked(answer))
        before, behind = self._around(sample)
        text = whole.removesuffix(behind) if behind else whole
        answers = {self.markup.marked(kept): kept for kept in (answer.strip(), answer)}
        kept = answers.get(text[len(before) :])
        if not text.startswith(before) or kept is None:
            raise DataError(
                f"sample {sample.id}: the model's chat template does not write an answer as it is, such as "
                f"{answer[:40]!r}; take out what it changes"
            )
        return _Written(text=text, answer=kept)

    def _around(self, sample: Sample) -> tuple[str, str]:
        """What the chat template writes before an answer to the sample and behind it."""
        before, _, behind = self._turns(sample, _ANSWER).partition(_ANSWER)
        return before, behind

    def _turns(self, sample: Sample, answer: str | None = None) -> str:
        return self._rendered(len(sample.images), self.markup.marked(sample.prompt), answer)

    def _render(self, pictures: int, prompt: str, answer: str | None) -> str:
        if self.suffixes and not self.processor.chat_template:
            return self.placeholder * pictures + prompt
        return self.template.written(
            [*({"type": "image"} for _ in range(pictures)), {"type": "text", "text": prompt}], answer
        )

    def _tokens(self, sample: Sample, written: _Written, head: Head) -> tuple[list[int], list[int]]:
        """(tokens, where each ends in the characters of the answer: at or below 0 before it)."""
        text = head.expanded + written.text[len(head.text) :] + head.behind
        tokens, ends, length = self.markup.tokens(text)
        ids = [*head.first, *tokens]
        if tuple(ids[: len(head.ids)]) != head.ids:
            raise ModelError(
                f"sample {sample.id}: its question changes the tokens of the picture before it; take another prompt"
            )
        return ids, [0] * len(head.first) + [end - (length - len(written.answer)) for end in ends]


def _shared(prompt: Sequence[int], tokens: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(prompt, tokens, strict=False)
    return next((index for index, (token, other) in enumerate(pairs) if token != other), min(len(prompt), len(tokens)))
