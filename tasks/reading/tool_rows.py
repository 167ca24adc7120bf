"""Rows that other harnesses write of a run: where the model's answer is in them, and what says which question it is to.

- VLMEvalKit (vlmeval/inference.py): the columns of its own table of questions, `index` first, and `prediction`, the
  model's answer; `answer` is gold. `index` counts the rows of that table and is nobody's id.
- lm-eval (loggers/evaluation_tracker.py): `doc_id`, `doc` with the data set's own fields, `target`, `arguments`, and a
  row for each filter of the task, with the answers as said in `resps` and as filtered in `filtered_resps`.
- lmms-eval (its own file of that name): the same in earlier versions; later without `doc`, whose id is left in the
  objects that metrics are made of, with the prompt as `input`, and with `resps` only where it is not `filtered_resps`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.errors import DataError

ANSWER_FIELDS = ("text", "response", "caption")
"""The fields under which the tasks' own authors keep an answer; a tool's row has it under each of them."""

VLMEVALKIT, LM_EVAL = "VLMEvalKit", "lm-eval"

_OF_QUESTION = ("question_id", "pid", "image_id", "id", "category", "query")
_UNFILTERED = ("none", None)


def with_answers(rows: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any, str]]:
    """(where, row, tool) of each row; a tool's row has the answer under `ANSWER_FIELDS` and its question's own fields.

    `tool` is "" for rows of no tool, which are left as they are. Of the rows of several filters only one filter's are
    given, since they are one answer. Raises `DataError` where a row holds log-probabilities and no answer.
    """
    kept: Any = None
    for where, row in rows:
        tool = tool_of(row)
        if tool == LM_EVAL:
            kept = kept or (row.get("filter"),)
            if row.get("filter") != kept[0]:
                continue
            yield where, _of_lm_eval(where, row), tool
        elif tool == VLMEVALKIT:
            yield where, {**row, **dict.fromkeys(ANSWER_FIELDS, row["prediction"])}, tool
        else:
            yield where, row, tool


def tool_of(row: Any) -> str:
    if not isinstance(row, dict):
        return ""
    if "doc_id" in row and ("filtered_resps" in row or "resps" in row):
        return LM_EVAL
    return VLMEVALKIT if "index" in row and "prediction" in row else ""


def _of_lm_eval(where: str, row: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"doc_id": row["doc_id"]}
    for value in row.values():
        if isinstance(value, dict):  # what a metric is made of
            fields.update({name: value[name] for name in _OF_QUESTION if name in value})
    if isinstance(row.get("doc"), dict):
        fields.update(row["doc"])
    if isinstance(row.get("input"), str):
        fields.setdefault("prompt", row["input"])
    if "question_id" in fields:
        fields.setdefault("pid", fields["question_id"])
    return {**fields, **dict.fromkeys(ANSWER_FIELDS, _answer(where, row))}


def _answer(where: str, row: Mapping[str, Any]) -> str:
    """What the model said first. What a named filter takes out of it is left: reading is what the profiles do."""
    raw, filtered = row.get("resps"), row.get("filtered_resps")
    value = raw if raw is not None and (filtered is None or row.get("filter") not in _UNFILTERED) else filtered
    while isinstance(value, list):
        if _is_likelihood(value):
            raise DataError(
                f"{where}: log-probabilities of options and no answer in words; name the samples of a task that "
                "generates"
            )
        value = value[0] if value else ""
    return "" if value is None else str(value)


def _is_likelihood(value: list[Any]) -> bool:
    """Whether these are a log-probability and whether the option is what the model would have said itself."""
    if len(value) != 2 or str(value[1]) not in ("True", "False"):
        return False
    try:
        float(value[0])
    except (TypeError, ValueError):
        return False
    return True
