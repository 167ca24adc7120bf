"""A sample as a model reads it: its chat template's text, tokenised once and whole, and its pictures as they are shown.

The tokens are those of the processor's own ``apply_chat_template(..., tokenize=True)``, for a question as for an answer
behind it, whoever asks: evaluation, collection or training. A text that is cut first and tokenised in parts has others,
where a tokenizer begins every text with a space (Llama's) or joins what was cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL.Image import Image

from harness.errors import DataError
from harness.models.frames import Frame
from harness.pictures import open_picture
from harness.types import Sample


class PromptReader:
    """Turns samples into tokens by a LLaVA processor, and opens their pictures in a frame.

    A list of tokens holds one picture token for each picture until `expanded` puts as many as the picture takes.
    """

    def __init__(self, processor: Any, frame: Frame) -> None:
        self.processor, self.frame = processor, frame
        self.tokenizer = processor.tokenizer
        self.picture_token: int = processor.image_token_id

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
        return self._tokens(sample, self._text(sample))

    def answered(self, sample: Sample, answer: str) -> tuple[list[int], list[int]]:
        """(the prompt's tokens, those of the answer behind it, without what the chat template ends it with).

        Both are of one tokenisation. A token that covers the prompt's end and the answer's beginning is the answer's.
        """
        prompt = self.prompt(sample)
        if not answer:
            return prompt, []
        tokens = self._tokens(sample, self._text(sample, answer))
        shared = _shared(prompt, tokens)
        return tokens[:shared], tokens[shared:]

    def answer_ends(self, sample: Sample, answer: str) -> list[int]:
        """Where in the answer's characters each of its tokens in `answered` ends."""
        text = self._text(sample, answer)
        found = self.tokenizer(text, add_special_tokens=self._adds_special(text), return_offsets_mapping=True)
        shared = _shared(self.prompt(sample), found.input_ids)
        return [end - (len(text) - len(answer)) for _, end in found.offset_mapping[shared:]]

    def cut(self, tokens: Sequence[int]) -> tuple[tuple[int, ...], list[int]]:
        """(all up to the last picture's token, all behind it)."""
        last = max((place for place, token in enumerate(tokens) if token == self.picture_token), default=-1)
        return tuple(tokens[: last + 1]), list(tokens[last + 1 :])

    def expanded(self, tokens: Sequence[int], counts: Iterator[int]) -> list[int]:
        """The tokens with as many in a picture's place as its next count says."""
        return [
            copy for token in tokens for copy in [token] * (next(counts) if token == self.picture_token else 1)
        ]  # fmt: skip

    def _text(self, sample: Sample, answer: str | None = None) -> str:
        """The chat template's text: of the question alone or, with an answer, up to the answer's last character."""
        pictures = [{"type": "image"} for _ in sample.images]
        turns = [{"role": "user", "content": [*pictures, {"type": "text", "text": sample.prompt}]}]
        if answer is None:
            return str(self.processor.apply_chat_template(turns, add_generation_prompt=True))
        turns.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        text = str(self.processor.apply_chat_template(turns))
        return text[: text.rindex(answer) + len(answer)]

    def _tokens(self, sample: Sample, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer(text, add_special_tokens=self._adds_special(text)).input_ids
        if tokens.count(self.picture_token) != len(sample.images):
            raise DataError(
                f"sample {sample.id}: its text holds '{self.processor.image_token}', which stands for a picture; "
                "take it out of the question"
            )
        return tokens

    def _adds_special(self, text: str) -> bool:
        """Whether the tokenizer is to add its own first token: not where the chat template wrote it, as in
        transformers."""
        return not (self.tokenizer.bos_token and text.startswith(self.tokenizer.bos_token))


def _shared(prompt: Sequence[int], tokens: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(prompt, tokens, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(prompt), len(tokens)))
