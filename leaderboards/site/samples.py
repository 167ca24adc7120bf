"""The sample browser: what the seed answered beside what a later round answered, with picture, question and gold.

A page loads an index of marks and then the samples that it shows, `PAGE` at a time, so that ten thousand samples open
as fast as ten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from harness.errors import StropError
from harness.profiles import profiles_of
from harness.results import Marked, TaskResult
from harness.types import Sample, Task
from leaderboards.build import task_key
from leaderboards.site.folder import Link, SiteFolder, visible
from leaderboards.site.run import RunPage

PAGE = 20
"""Samples in a file of data, and on a page."""

CHANGED, FIXED, BROKEN, WRONG, DISAGREE, UNREAD = (1 << bit for bit in range(6))
"""Flags of a round's answer: another text than the seed's, a higher mark, a lower mark, less than full
marks, profiles read it differently, no rule could read it. The page filters by these."""

_WORTH_A_LOOK = CHANGED | FIXED | BROKEN | DISAGREE | UNREAD

FILTERS = (
    ("all", 0, "every sample that this page holds"),
    ("changed", CHANGED, "another answer than the seed's"),
    ("fixed", FIXED, "a higher mark than the seed's answer"),
    ("broken", BROKEN, "a lower mark than the seed's answer"),
    ("wrong", WRONG, "less than full marks"),
    ("profiles disagree", DISAGREE, "ways of reading answers that come to different readings"),
    ("unread", UNREAD, "no rule could read the answer"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """A task with its questions by id."""

    task: Task
    samples: Mapping[str, Sample]


FindTask = Callable[[str, int, str], Questions]
"""Task name, version and split -> the questions. Raises a `StropError` where they are not here as they were asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Browser:
    """One task of one run: the answers of its rounds to one set of questions."""

    rounds: Mapping[int, Mapping[str, Marked]]  # by round, then by sample; a folder without rounds is round 0
    questions: Questions | None

    def ids(self) -> list[str]:
        return list(dict.fromkeys(name for rows in self.rounds.values() for name in rows))


def write_samples(
    folder: SiteFolder, page: RunPage, labels: Mapping[Any, str], find_task: FindTask, rest: int
) -> dict[str, Link]:
    """Write the sample browsers of a run; the links to them by task label."""
    rounds_of_task: dict[str, dict[int, TaskResult]] = {}
    for number, results in page.entry.run.rounds.items():
        for task in results.tasks:
            rounds_of_task.setdefault(labels[task_key(task)], {})[number or 0] = task
    return {
        label: _write_browser(folder, page, f"{page.slug}-{number}", label, rounds, find_task, rest)
        for number, (label, rounds) in enumerate(rounds_of_task.items(), start=1)
    }


def _write_browser(
    folder: SiteFolder,
    page: RunPage,
    name: str,
    label: str,
    results: Mapping[int, TaskResult],
    find_task: FindTask,
    rest: int,
) -> Link:
    first, *_ = results.values()
    try:
        questions, missing = find_task(first.task, first.version, first.split), ""
    except StropError as error:
        questions, missing = None, str(error)
    rounds = {number: {row.id: row for row in result.rows} for number, result in results.items()}
    browser = _Browser(rounds=rounds, questions=questions)
    ids = browser.ids()
    strangers = sum(id not in questions.samples for id in ids) if questions else 0
    if strangers:
        missing = f"{strangers:,} of these {len(ids):,} samples are not among the questions of {first.task} at hand"
    readings = _Readings(questions)
    flags = {number: {id: _flags(browser, readings, number, id) for id in ids} for number in rounds}
    kept = _kept(ids, flags, rest)
    for start in range(0, len(kept), PAGE):
        records = [_record(folder, browser, readings, id) for id in kept[start : start + PAGE]]
        folder.data(f"data/{name}/{start // PAGE}.js", "samples", start // PAGE, records)
    index = {
        "folder": f"data/{name}/",
        "page": PAGE,
        "filters": {word: bit for word, bit, _ in FILTERS},
        "flags": {number: [of[id] for id in kept] for number, of in flags.items()},
    }
    folder.data(f"data/{name}/index.js", "index", index)
    href = f"samples-{name}.html"
    folder.page(
        href,
        "samples.html.jinja",
        page=page,
        label=label,
        index=f"data/{name}/index.js",
        rounds=list(rounds),
        filters=FILTERS,
        missing=missing,
        kept=len(kept),
        total=len(ids),
        rest=rest,
    )
    return Link(title=f"{len(kept):,} samples", href=href)


def _kept(ids: Sequence[str], flags: Mapping[int, Mapping[str, int]], rest: int) -> list[str]:
    """Every sample worth a look in any round, and the first `rest` others, in the order that they were asked."""
    kept = []
    for id in ids:
        worth = any(of[id] & _WORTH_A_LOOK for of in flags.values())
        if worth or rest > 0:
            kept.append(id)
            rest -= not worth
    return kept


class _Readings:
    """What each profile of a task reads out of an answer; a text is read once."""

    def __init__(self, questions: Questions | None) -> None:
        self._questions = questions
        self._profiles = dict(profiles_of(questions.task)) if questions else {}
        self._readings: dict[tuple[str, str], dict[str, str]] = {}

    def of(self, row: Marked) -> dict[str, str]:
        """Profile -> reading in words; empty where there is only one way to read."""
        if self._questions is None or len(self._profiles) < 2 or row.id not in self._questions.samples:
            return {}
        if (row.id, row.answer) not in self._readings:
            sample = self._questions.samples[row.id]
            self._readings[row.id, row.answer] = {
                name: _reading(score(sample, row.answer).parsed) for name, score in self._profiles.items()
            }
        return self._readings[row.id, row.answer]

    def differ(self, row: Marked) -> bool:
        return len(set(self.of(row).values())) > 1


def _flags(browser: _Browser, readings: _Readings, number: int, sample: str) -> int:
    row, seed = browser.rounds[number].get(sample), browser.rounds.get(0, {}).get(sample)
    if row is None:
        return 0
    compared = number > 0 and seed is not None
    facts = (
        (CHANGED, compared and seed is not None and row.answer != seed.answer),
        (FIXED, compared and seed is not None and row.value > seed.value),
        (BROKEN, compared and seed is not None and row.value < seed.value),
        (WRONG, row.value < 1),
        (DISAGREE, readings.differ(row)),
        (UNREAD, row.parsed is None),
    )
    return sum(flag for flag, true in facts if true)


def _record(folder: SiteFolder, browser: _Browser, readings: _Readings, id: str) -> dict[str, Any]:
    """A sample as its page shows it; all text made visible, none of it markup."""
    sample = browser.questions.samples.get(id) if browser.questions else None
    gold = browser.questions.task.gold(sample) if browser.questions and sample else None
    pictures = [folder.picture(picture) for picture in sample.images] if sample else []
    return {
        "id": visible(id),
        "prompt": visible(sample.prompt) if sample else None,
        "gold": visible(gold) if gold is not None else None,
        "pictures": [astuple(picture) if picture else None for picture in pictures],
        "answers": {number: _answer(row, readings) for number, rows in browser.rounds.items() if (row := rows.get(id))},
    }


def _answer(row: Marked, readings: _Readings) -> dict[str, Any]:
    named = mentions(row.parsed)
    return {
        "parts": [(visible(text), kind) for text, kind in parts(row.answer, named)],
        "mark": round(row.value, 3),
        "named": [(visible(name), int(right)) for name, right in named],
        "read": None if row.parsed is None or named else visible(_reading(row.parsed)),
        "unread": row.parsed is None,
        "profiles": {name: visible(text) for name, text in readings.of(row).items()} if readings.differ(row) else {},
    }


def _reading(parsed: Any) -> str:
    if parsed is None:
        return "unread"
    if objects := mentions(parsed):
        return ", ".join(name for name, _ in objects)
    return parsed if isinstance(parsed, str) else json.dumps(parsed, ensure_ascii=False, default=str)


def mentions(parsed: Any) -> list[tuple[str, bool]]:
    """The objects that an answer names and whether they are there; empty for a reading of another kind."""
    if not isinstance(parsed, list) or not all(
        isinstance(mention, dict) and {"name", "right"} <= mention.keys() for mention in parsed
    ):
        return []
    return [(str(mention["name"]), bool(mention["right"])) for mention in parsed]


def parts(answer: str, named: Sequence[tuple[str, bool]]) -> list[tuple[str, str]]:
    """The answer cut where its objects are named: (text, "right", "wrong" or ""), which join to the answer.

    Objects are looked for by their names and plain plurals; one that the answer calls by another word is not found in
    the text, and appears only in the list of objects beside it.
    """
    kinds = dict(sorted(named, key=lambda mention: -len(mention[0])))  # a hot dog before a dog
    forms = [re.sub(r"(fe?|y)$", r"(?:\1|ves|ies)", re.escape(name)) + "(?:s|es)?" for name in kinds]
    places = re.finditer("|".join(rf"\b({form})\b" for form in forms), answer, re.IGNORECASE) if forms else ()
    cut: list[tuple[str, str]] = []
    start = 0
    for match in places:
        right = list(kinds.values())[(match.lastindex or 1) - 1]
        cut += [(answer[start : match.start()], ""), (match[0], "right" if right else "wrong")]
        start = match.end()
    cut.append((answer[start:], ""))
    return [piece for piece in cut if piece[0]]
