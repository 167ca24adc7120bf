"""A sample as a model reads it: its chat template's text, tokenised once and whole, and its pictures as they are shown.

The tokens are those of the processor's own ``apply_chat_template(..., tokenize=True)``, for a question as for an answer
behind it, whoever asks: evaluation, collection or training. A text that is cut first and tokenised in parts has others,
where a tokenizer begins every text with a space (Llama's) or joins what was cut.

The chat template's own tokens (``<image>``, ``</s>``, ``<|im_end|>``) are markup where the template writes them and
text where a user or an answer does (`harness.models.markup`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from harness.errors import DataError, ModelError
from harness.models.frames import Frame
from harness.models.markup import Markup
from harness.models.options import Thinking
from harness.models.template import ChatTemplate
from harness.pictures import open_picture
from harness.types import Sample

_PLACE = "\ufdd2"
"""Stands where the template writes an answer: a character that Unicode sets aside and no text holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Written:
    """What the chat template makes of a sample: `text` ends with `answer`, which is "" of a question alone."""

    text: str
    answer: str


class PromptReader:
    """Turns samples into tokens by a LLaVA processor, and opens their pictures in a frame.

    A list of tokens holds one picture token for each picture until `expanded` puts as many as the picture takes.
    """

    def __init__(
        self, processor: Any, frame: Frame, *, system: str | None = None, thinking: Thinking | None = None
    ) -> None:
        self.processor, self.frame = processor, frame
        self.tokenizer = processor.tokenizer
        self.picture_token: int = processor.image_token_id
        self.markup = Markup(processor)
        spelled = None if system is None else self.markup.marked(system)
        self.template = ChatTemplate(processor, system=spelled, thinking=thinking)

    @property
    def filler(self) -> int:
        """What fills rows up to one length. Only a mask tells it from a token that is meant: the tokenizer's own
        padding token may be one (its end or first token), or none."""
        return 0 if self.picture_token else 1

    def pictures(self, sample: Sample) -> list[Image]:
        return [self.frame.show(open_picture(picture)) for picture in sample.images]

    def pixels(self, pictures: Sequence[Image]) -> tuple[Mapping[str, Any], list[int]]:
        """The model's inputs of some pictures (tensors), and how many tokens each takes; nothing of none."""
        if not pictures:
            return {}, []
        inputs = self.processor.image_processor(list(pictures), return_tensors="pt")
        texts = [self.processor.replace_image_token(inputs, index) for index in range(len(pictures))]
        return inputs, [len(text) // len(self.processor.image_token) for text in texts]

    def prompt(self, sample: Sample) -> list[int]:
        """The tokens of the question, up to where the answer begins."""
        return self._tokens(sample, self._written(sample))[0]

    def answered(self, sample: Sample, answer: str) -> tuple[list[int], list[int]]:
        """(the prompt's tokens, those of the answer behind it, without what the chat template ends it with).

        Both are of one tokenisation. A token that covers the prompt's end and the answer's beginning is the answer's.
        """
        prompt = self.prompt(sample)
        if not answer:
            return prompt, []
        tokens, _ = self._tokens(sample, self._written(sample, answer))
        shared = _shared(prompt, tokens)
        return tokens[:shared], tokens[shared:]

    def answer_ends(self, sample: Sample, answer: str) -> list[int]:
        """Where in the answer's characters each of its tokens in `answered` ends."""
        written = self._written(sample, answer)
        tokens, ends = self._tokens(sample, written)
        shared = _shared(self.prompt(sample), tokens)
        before = answer.index(written.answer)  # blanks that the template takes off
        return [before + end for end in ends[shared:]]

    def end_token(self, stop: Collection[int]) -> int:
        """The token that ends an answer in training: what of `stop` the chat template writes behind one, else the
        tokenizer's end token, else any. Raises `ModelError` where there is none."""
        sample = Sample(id="", prompt="?", images=(), target=None, cluster="")
        behind = self._around(sample)[1]
        written = [token for token in self.tokenizer(behind, add_special_tokens=False).input_ids if token in stop]
        for token in (*written, self.tokenizer.eos_token_id, *sorted(stop)):
            if token is not None:
                return int(token)
        raise ModelError(
            "the model has no end token, so that no answer could be trained to end; name one in tokenizer_config.json"
        )

    def cut(self, tokens: Sequence[int]) -> tuple[tuple[int, ...], list[int]]:
        """(all up to the last picture's token, all behind it)."""
        last = max((index for index, token in enumerate(tokens) if token == self.picture_token), default=-1)
        return tuple(tokens[: last + 1]), list(tokens[last + 1 :])

    def expanded(self, tokens: Sequence[int], counts: Iterator[int]) -> list[int]:
        """The tokens with as many in a picture's place as its next count says."""
        return [
            copy for token in tokens for copy in [token] * (next(counts) if token == self.picture_token else 1)
        ]  # fmt: skip

    def _written(self, sample: Sample, answer: str | None = None) -> _Written:
        """The chat template's text: of the question alone or, with an answer, up to the answer's last character."""
        if answer is None:
            return _Written(text=self._turns(sample), answer="")
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
        before, _, behind = self._turns(sample, _PLACE).partition(_PLACE)
        return before, behind

    def _turns(self, sample: Sample, answer: str | None = None) -> str:
        pictures = [{"type": "image"} for _ in sample.images]
        prompt = self.markup.marked(sample.prompt)
        return self.template.written([*pictures, {"type": "text", "text": prompt}], answer)

    def _tokens(self, sample: Sample, written: _Written) -> tuple[list[int], list[int]]:
        """(tokens, where each ends in the characters of the answer: at or below 0 before it)."""
        tokens, ends, length = self.markup.tokens(written.text)
        if tokens.count(self.picture_token) != len(sample.images):
            raise ModelError(
                f"sample {sample.id}: the model's chat template writes {tokens.count(self.picture_token)} tokens "
                f"'{self.processor.image_token}' for {len(sample.images)} pictures; restore the template"
            )
        return tokens, [end - (length - len(written.answer)) for end in ends]


def _shared(prompt: Sequence[int], tokens: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(prompt, tokens, strict=False)
    return next((index for index, (token, other) in enumerate(pairs) if token != other), min(len(prompt), len(tokens)))
