"""What a server's reply to a chat completion says: its text, why it has none, its tokens, an error in its place.

Servers differ in how they say it. No client is imported here: a reply is what one gave, of whatever form.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

BLANK: Mapping[str, str] = MappingProxyType(
    {
        "reasoning": "held a thought that the server took out of the answer (reasoning_content), and nothing else: "
        "allow longer answers by --max-tokens, or start the server without its reasoning parser, or with another",
        "refusal": "were refused by the model or filtered by the server (refusal, content_filter)",
        "tool_calls": "were calls of tools: start the server without them",
    }
)
"""Why an answer was blank -> what to say of such answers."""

_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds after which a server wants to be asked again: of RFC 9110's header in its two forms, a number or a date,
    and of the one in milliseconds beside it."""
    for name, share in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            seconds = float(text) / share
        except ValueError:
            try:
                seconds = parsedate_to_datetime(text).timestamp() - time.time()
            except (ValueError, TypeError):
                continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def text_of(content: Any) -> str:
    """The text of a message: as it is or, of a list of parts, that of its texts and of no thoughts."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(block["text"] for block in content if block["type"] in ("text", "output_text"))


def tokens_of(usage: Any) -> dict[str, int]:
    """What a server says that an answer took, where it does."""
    counts = {"prompt": getattr(usage, "prompt_tokens", None), "generated": getattr(usage, "completion_tokens", None)}
    return {name: count for name, count in counts.items() if isinstance(count, int)}


def log_probability_of(choice: Any, text: str) -> float | None:
    """The sum over the tokens that make up the text, which one that ends the answer may follow; None where the server
    tells none, or where its tokens are not the text."""
    total, written = 0.0, b""
    for token in (getattr(choice.logprobs, "content", None) or ()) if text else ():
        total += float(token.logprob)
        written += token.token.encode() if token.bytes is None else bytes(token.bytes)
        if written.decode("utf-8", "replace").strip() == text:
            return total
    return None


def why_blank(choice: Any) -> str:
    """A key of `BLANK` for a choice without a text; empty where nothing in it tells."""
    message = choice.message
    beside = message.model_extra or {}
    if message.refusal or choice.finish_reason == "content_filter":
        return "refusal"
    if message.tool_calls or message.function_call:
        return "tool_calls"
    return "reasoning" if message.content or any(beside.get(name) for name in _THOUGHTS) else ""


def error_in(reply: Any) -> str:
    """What a server says went wrong in a body that came with the status of an answer; empty where it says nothing."""
    beside = reply.model_extra or {}
    error = beside.get("error") or (beside.get("message") if getattr(reply, "object", "") == "error" else None)
    error = error or beside.get("detail")
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("code")
    return str(error) if error else ""
