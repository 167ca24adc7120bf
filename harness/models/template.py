"""A conversation as a model's chat template writes it: a system turn where there is one, the question, the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from harness.errors import ModelError
from harness.models.options import Thinking
from harness.wording import first_line

Content = Sequence[Mapping[str, str]]
"""Parts of a turn: pictures and texts."""

_QUESTION = [{"role": "user", "content": [{"type": "text", "text": "?"}]}]


class ChatTemplate:
    """The chat template of a processor, with what is the same in every conversation.

    `system` is the text of a system turn before every question. `thinking` is given to the template as
    `enable_thinking`; of None it decides by itself. Raises `ModelError` for a template that makes nothing of them.
    """

    def __init__(self, processor: Any, *, system: str | None = None, thinking: Thinking | None = None) -> None:
        self._processor = processor
        self._options = {} if thinking is None else {"enable_thinking": thinking == "on"}
        self._first: list[dict[str, Any]] = []
        if thinking is not None:
            self._refuse_unknown_thinking(thinking)
        if system is not None:
            self._first = [self._system_turn(system)]

    def written(self, question: Content, answer: str | None = None) -> str:
        """The text of a question up to where the answer begins or, with an answer, of the whole conversation."""
        turns = [*self._first, {"role": "user", "content": list(question)}]
        if answer is None:
            return self._render(turns, add_generation_prompt=True)
        return self._render([*turns, {"role": "assistant", "content": [{"type": "text", "text": answer}]}])

    def _render(self, turns: Sequence[Mapping[str, Any]], **options: Any) -> str:
        return str(self._processor.apply_chat_template(list(turns), **self._options, **options))

    def _system_turn(self, text: str) -> dict[str, Any]:
        """The turn in the form that the template takes: parts, or text as older templates have it."""
        reasons = []
        for content in ([{"type": "text", "text": text}], text):
            rendered, refusal = self._after(content, "system")
            if not refusal and (text.strip() not in rendered or "'text':" in rendered.replace(text.strip(), "")):
                refusal = "it leaves it out"
            if not refusal and rendered == self._after(content, "assistant")[0]:
                refusal = "it writes it as an answer"
            if not refusal:
                return {"role": "system", "content": content}
            reasons.append(refusal)
        raise ModelError(
            f"system prompt {text[:40]!r}: the model's chat template has no place for it ({reasons[0]}); leave it "
            "away, or put it into the task's prompts"
        )

    def _after(self, content: Any, role: str) -> tuple[str, str]:
        """(the text of a question after one turn, why the template refuses to write it)."""
        try:
            return self._render([{"role": role, "content": content}, *_QUESTION], add_generation_prompt=True), ""
        except (TemplateError, TypeError, ValueError) as error:  # what a template's author raises, and its slips
            return "", first_line(error)

    def _refuse_unknown_thinking(self, thinking: Thinking) -> None:
        texts = {
            str(self._processor.apply_chat_template(_QUESTION, add_generation_prompt=True, enable_thinking=enabled))
            for enabled in (True, False)
        }
        if len(texts) == 1:
            raise ModelError(
                f"thinking {thinking}: the model's chat template does not know enable_thinking; leave it away, or ask "
                "for a thought in a system prompt"
            )
