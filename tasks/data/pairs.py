"""Pairs of answers that somebody else made: a picture, a question, the answer to prefer and the one to avoid.

Read are the layouts in which preference data of this field are published:

- RLAIF-V: `image`, `question`, `chosen`, `rejected`; RLHF-V: the last three as JSON in the field `text`.
- STIC, and TRL's conversations: `image` or `images`; `chosen` and `rejected` as lists of messages, with the question in
  them, or as `prompt` or `conversations`.
- POVID: `conversations` with the answer to prefer, `rejected_conversations` with the other.
- LLaVA-RLHF: `conversations` with the question, `output_1`, `output_2`, and `preference`, 1 or 2.

Messages are `role` and `content`, or `from` and `value`; `<image>` before or behind a question is its picture's place.
A pair is one question and one answer. Who preferred is not in such files, and nobody's level follows from them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from harness.errors import DataError, MissingError
from harness.files import digest_of_bytes, digest_of_file, digest_of_json
from harness.pictures import decode_picture
from harness.types import Picture, Sample
from tasks.data.containers import rows_of
from tasks.data.pools import OwnPool, hub_picture, load_table
from tasks.data.rows import Row, as_row

LAYOUT = "rows of an image, a question, an answer chosen and one rejected"

_QUESTIONS = ("prompt", "question", "query", "instruction")
_ASKING, _ANSWERING = ("user", "human"), ("assistant", "gpt", "llava", "model", "bot")
_MARKER = re.compile(r"^\s*(?:<image>\s*)+|(?:\s*<image>)+\s*$")


@dataclass(frozen=True, kw_only=True)
class PairPool(OwnPool):
    """Samples with two answers to each, `answers[id]`: the one to prefer, the one to avoid."""

    answers: Mapping[str, tuple[str, str]]
    things: str = "pairs"

    @cached_property
    def identity(self) -> str:
        pairs = sorted([sample.id, sample.prompt, *self.answers[sample.id]] for sample in self.samples)
        return f"pairs {digest_of_json(pairs)}"


def pair_pool(source: str, path: Path) -> PairPool:
    """The pairs of a file, or of the Parquet files of a folder in the hub's layout; equal ones are taken once.

    Raises `DataError` that names file and row where a pair cannot be read, and `MissingError` for a missing picture.
    """
    samples: dict[str, Sample] = {}
    answers: dict[str, tuple[str, str]] = {}
    for row, pictures in _rows(path):
        prompt, chosen, rejected = _pair(row)
        digests = [digest for _, digest in pictures]
        id = digest_of_bytes(*(text.encode() for text in (*digests, prompt, chosen, rejected)))[:16]
        samples[id] = Sample(
            id=id,
            prompt=prompt,
            images=tuple(picture for picture, _ in pictures),
            target=None,
            cluster=digests[0],
            meta={"picture": row.location},
        )
        answers[id] = (chosen, rejected)
    if not samples:
        raise DataError(f"source {source}: no pairs in it")
    return PairPool(source=source, samples=tuple(samples.values()), answers=answers)


# Rows and pictures ----------------------------------------------------------------------------------------------------


_Pictures = list[tuple[Picture, str]]
"""Pictures, each with the digest of its file."""


def _rows(path: Path) -> Iterator[tuple[Row, _Pictures]]:
    """Each row and its pictures."""
    if path.is_dir() or path.suffix == ".parquet":
        table, column = load_table(path)
        for index, content in enumerate(table.remove_columns(column) if column else table):
            row = Row(f"{path}: row {index}", content, LAYOUT)
            if column is None:
                yield row, [_picture(row, path, stored) for stored in _stored(row)]
            else:
                yield row, [hub_picture(str(path), table, index, column, table[index][column] or {})]
        return
    for location, content in rows_of(path, LAYOUT):
        row = as_row(location, content, LAYOUT)
        yield row, [_picture(row, path, stored) for stored in _stored(row)]


def _stored(row: Row) -> Sequence[Any]:
    for name in ("image", "images"):
        value = row.content.get(name)
        stored = value if isinstance(value, list) else [] if value in (None, "") else [value]
        if stored:
            return stored
    raise DataError(f"{row.location}: holds no picture; a pair is about one, in image or images")


def _picture(row: Row, source: Path, stored: Any) -> tuple[Picture, str]:
    """A stored picture, and the digest of its file."""
    if isinstance(stored, Mapping) and isinstance(content := stored.get("bytes"), bytes):
        return partial(decode_picture, content, row.location), hashlib.sha256(content).hexdigest()
    name = stored.get("path") if isinstance(stored, Mapping) else stored
    if not isinstance(name, str) or not name:
        raise row.wrong("image" if "image" in row.content else "images", "a path or the bytes of a picture")
    folder = source if source.is_dir() else source.parent
    for path in (folder / Path(name).expanduser(), folder / "images" / name):
        if path.is_file():
            return path, digest_of_file(path)
    raise MissingError(f"{row.location}: no such picture as {name}, neither in {folder} nor in images there")


# Question and answers -------------------------------------------------------------------------------------------------


def _pair(row: Row) -> tuple[str, str, str]:
    """(question, answer to prefer, answer to avoid)."""
    content = row.content
    if "chosen" not in content and isinstance(content.get("text"), str):
        row = _inside(row)
        content = row.content
    if "output_1" in content and "output_2" in content:
        preferred = row.integer("preference")
        if preferred not in (1, 2):
            raise row.wrong("preference", "1 or 2")
        chosen, rejected = f"output_{preferred}", f"output_{3 - preferred}"
    elif "rejected_conversations" in content:
        chosen, rejected = "conversations", "rejected_conversations"
    else:
        chosen, rejected = "chosen", "rejected"
    (question, better), (also_asked, worse) = _said(row, chosen), _said(row, rejected)
    questions = dict.fromkeys(text for text in (_question(row), question, also_asked) if text)
    if len(questions) != 1:
        listing = "; ".join(f"{text!r:.40}" for text in questions)
        raise DataError(
            f"{row.location}: {f'two questions, {listing}' if questions else 'no question'}; a pair is one question "
            f"and two answers to it, the question in {', '.join(_QUESTIONS)} or among the messages"
        )
    return next(iter(questions)), better, worse


def _inside(row: Row) -> Row:
    """The row that is written as JSON in the field `text`."""
    try:
        return as_row(f"{row.location}: text", json.loads(row.text("text")), LAYOUT)
    except json.JSONDecodeError as error:
        raise row.wrong("text", "JSON of question, chosen and rejected where the row has no such fields") from error


def _said(row: Row, name: str) -> tuple[str, str]:
    """(the question before an answer, "" where it is not there; the answer)."""
    turns = _turns(row, name)
    if not turns or turns[-1][0] != "assistant" or len(turns) > 2 or (len(turns) == 2 and turns[0][0] != "user"):
        raise row.wrong(name, "an answer, or messages of one question and one answer")
    if not turns[-1][1].strip():
        raise row.wrong(name, "an answer that is not blank")
    return (_bare(turns[0][1]) if len(turns) == 2 else ""), turns[-1][1]


def _question(row: Row) -> str:
    """The question that stands by itself, "" where there is none."""
    for name in (*_QUESTIONS, "conversations"):
        value = row.content.get(name)
        if isinstance(value, str):
            return _bare(value)
        if value is not None:
            questions = [text for role, text in _turns(row, name) if role == "user"]
            if len(questions) != 1:
                raise row.wrong(name, "one question")
            return _bare(questions[0])
    return ""


def _turns(row: Row, name: str) -> list[tuple[str, str]]:
    """(role, text) of the messages in a field; a text by itself is an answer."""
    value = row.content[name] if name in row.content else row.text(name)
    if isinstance(value, str):
        return [("assistant", value)]
    messages = [value] if isinstance(value, dict) else value
    if not isinstance(messages, list):
        raise row.wrong(name, "a text or a list of messages")
    return [_turn(row, name, message) for message in messages]


def _turn(row: Row, name: str, message: Any) -> tuple[str, str]:
    fields = message if isinstance(message, dict) else {}
    role, text = fields.get("role", fields.get("from")), fields.get("content", fields.get("value"))
    if isinstance(text, list):  # parts, of which pictures are given apart
        parts = [block["text"] for block in text if isinstance(block, dict) and block.get("text") is not None]
        text = "".join(parts) if all(isinstance(block, str) for block in parts) else None
    roles = {**dict.fromkeys(_ASKING, "user"), **dict.fromkeys(_ANSWERING, "assistant")}
    if role not in roles or not isinstance(text, str):
        raise row.wrong(name, "messages of role user or assistant (from human or gpt) and a text each")
    return roles[role], text


def _bare(question: str) -> str:
    """A question without the marks of where its picture is."""
    return _MARKER.sub("", question).strip()
