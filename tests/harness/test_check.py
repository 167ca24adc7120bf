"""`strop check`: a task that breaks a promise is named with the sample and the reason; one that keeps all passes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from harness.check import CLAIMS, check
from harness.errors import DataError, MissingError, StropError
from harness.types import Metric, Picture, Sample, Score, Task
from strop.app import app
from tasks.data.root import DataRoot
from tasks.registry import TASKS, find_task

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A data folder that the command may replace by another for its process."""
    monkeypatch.setenv("STROP_DATA", str(tmp_path / "data"))


def _white() -> Image.Image:
    return Image.new("RGB", (2, 2), "white")


UNREAD = Metric(name="unread", terms={"unread": 1}, over={"unread": 1})


@dataclass(frozen=True, kw_only=True)
class Fake:
    """Asks for a letter, two samples of it; every test breaks one thing of it."""

    name: str = "fake"
    version: int = 1
    metrics: tuple[Metric, ...] = (UNREAD,)
    headline: str = "unread"
    max_tokens: int = 1
    ids: tuple[str, ...] = ("one", "two")
    picture: Picture = _white
    prompt: Any = "?"
    right: str = "A"
    silence: Score = Score(value=0.0, parsed=None, counts={"unread": 1})  # noqa: RUF009
    without_data: bool = False
    data_root: DataRoot = field(default_factory=DataRoot)

    def samples(self, split: str) -> Sequence[Sample]:
        if self.without_data:
            raise MissingError(f"{self.data_root.folder / 'fake.json'}: no such file")
        return [Sample(id=id, prompt=self.prompt, images=(self.picture,), target="A", cluster=id) for id in self.ids]

    def score(self, sample: Sample, answer: str) -> Score:
        if not answer:
            return self.silence
        if answer == "!":
            raise DataError("the gold answer of a letter is a letter")
        parsed = answer if answer.isalpha() else None
        return Score(value=1.0 if answer == sample.target else 0.5, parsed=parsed, counts={"unread": 0})

    def gold(self, sample: Sample) -> str:
        return self.right


def _silence(value: float, parsed: str | None, unread: int) -> Score:
    return Score(value=value, parsed=parsed, counts={"unread": unread})


def _counted(unread: float) -> Score:
    return Score(value=0.0, parsed=None, counts={"unread": unread})


BROKEN: dict[str, tuple[Fake, str, list[str | None], str]] = {
    "an id twice": (Fake(ids=("one", "two", "one")), "ids", ["one"], "samples 1 and 3 have this id"),
    "a missing picture": (Fake(picture=Path("absent.png")), "pictures", ["one"], "absent.png: no such picture"),
    "a gold that is half right": (Fake(right="B"), "gold", ["one", "two"], "the right answer 'B' earns 0.5 and not 1"),
    "a gold that is unread": (Fake(right="1"), "gold", ["one", "two"], "the right answer '1' is counted as unread"),
    "a scorer that refuses": (Fake(right="!"), "marks", ["one", "two"], "the gold answer of a letter is a letter"),
    "a paid silence": (Fake(silence=_silence(0.25, None, 1)), "silence", ["one", "two"], "an empty answer earns 0.25"),
    "a read silence": (Fake(silence=_silence(0, "B", 0)), "silence", ["one", "two"], "an empty answer is read as 'B'"),
    "a headline that is none": (
        Fake(headline="f1"),
        "task",
        [None],
        "the headline 'f1' is none of its metrics (unread)",
    ),
    "an answer without a token": (
        Fake(max_tokens=0),
        "task",
        [None],
        "max_tokens is 0; an answer needs a whole number of tokens, one or more",
    ),
    "a metric that no mark counts": (
        Fake(metrics=(UNREAD, Metric(name="wrong", terms={"wrnog": 1}, over={"unread": 1}))),
        "task",
        [None],
        "the metric wrong is of 'wrnog', which no mark counts; count it as 0 where it is none",
    ),
    "a prompt that is no text": (
        Fake(prompt=7),
        "samples",
        ["number 1", "number 2"],
        "its prompt is 7, which is no text",
    ),
    "a count that is no number": (
        Fake(silence=_counted(math.nan)),
        "marks",
        ["one", "two"],
        "task fake, sample {}: of the answer '' the count 'unread' is nan, which is no finite number",
    ),
    "an uncounted silence": (
        Fake(silence=_silence(0, None, 0)),
        "silence",
        ["one", "two"],
        "an empty answer is not among the counted unread",
    ),
}


def test_a_task_that_keeps_its_promises_passes_and_a_picture_is_opened_once() -> None:
    advanced: list[int] = []
    report = check(Fake(), Fake().samples("test"), advanced.append)
    assert report.failures == ()
    assert report.counts == {"task": 1, "samples": 2, "ids": 2, "pictures": 1, "marks": 2, "gold": 2, "silence": 2}
    assert list(report.counts) == list(CLAIMS)
    assert sum(advanced) == 2


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_promise_is_named_with_claim_sample_and_reason(case: str) -> None:
    task, claim, samples, reason = BROKEN[case]
    report = check(task, task.samples("test"))
    assert [(bad.task, bad.claim, bad.reason) for bad in report.failures] == [
        ("fake", claim, reason.format(sample)) for sample in samples
    ]
    assert [bad.sample for bad in report.failures] == samples


def test_every_claim_has_a_task_that_breaks_it() -> None:
    assert {claim for _, claim, _, _ in BROKEN.values()} == set(CLAIMS)


def test_no_sample_proves_nothing() -> None:
    (bad,) = check(Fake(), []).failures
    assert (bad.sample, bad.reason) == (None, "there is no sample")


# The command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes these the only tasks there are."""

    def registered(*tasks: Fake) -> None:
        makers: dict[str, Callable[[], Task]] = {task.name: partial(copy, task) for task in tasks}
        monkeypatch.setattr("tasks.registry.TASKS", makers)

    return registered


def _run(*words: object) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, words)])


def test_all_registered_tasks_keep_their_promises() -> None:
    content = json.loads(_run("--limit", 20, "--json").stdout)
    assert set(content["tasks"]) | set(content["not_checked"]) == set(TASKS)
    for name, entry in content["tasks"].items():
        assert entry["failures"] == []
        assert entry["checked"]["gold"] == len(find_task(name).samples("test")[:20])


def test_each_failing_claim_is_a_line_and_the_exit_code_tells(register: Callable[..., None]) -> None:
    register(Fake(), Fake(name="other", right="B", picture=Path("absent.png")))
    ended = _run()
    assert ended.exit_code == 1
    assert [line for line in ended.stdout.splitlines() if line.startswith("failed")] == [
        "failed: other, pictures, sample one: absent.png: no such picture",
        "failed: other, gold, sample one: the right answer 'B' earns 0.5 and not 1 (and 1 more)",
    ]
    cells = [" ".join(_cells(line)) for line in ended.stdout.splitlines() if "of" in line and "\u2502" in line]
    assert cells == [
        "fake 1 of 1 2 of 2 2 of 2 1 of 1 2 of 2 2 of 2 2 of 2",
        "other 1 of 1 2 of 2 2 of 2 0 of 1 2 of 2 0 of 2 2 of 2",
    ]
    assert _run("fake").exit_code == 0
    for words in (("fake", "other"), ("fake,other",)):
        assert set(json.loads(_run(*words, "--json").stdout)["tasks"]) == {"fake", "other"}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("\u2502").split("\u2502")]


def test_json_holds_every_failure(register: Callable[..., None]) -> None:
    register(Fake(right="B"))
    ended = _run("--json", "--limit", 1)
    assert ended.exit_code == 1
    assert json.loads(ended.stdout) == {
        "split": "test",
        "tasks": {
            "fake": {
                "checked": {"task": 1, "samples": 1, "ids": 1, "pictures": 1, "marks": 1, "gold": 1, "silence": 1},
                "failures": [{"claim": "gold", "sample": "one", "reason": "the right answer 'B' earns 0.5 and not 1"}],
            }
        },
        "not_checked": {},
    }


def test_a_task_without_its_data_is_left_out_unless_it_is_named(register: Callable[..., None], tmp_path: Path) -> None:
    register(Fake(), Fake(name="other", without_data=True))
    ended = _run("--data", tmp_path / "elsewhere")
    assert ended.exit_code == 0
    assert f"data missing: other: {tmp_path / 'elsewhere' / 'fake.json'}: no such file" in ended.stdout
    assert isinstance(_run("other").exception, MissingError)


def test_an_unknown_task_is_named(register: Callable[..., None]) -> None:
    register(Fake())
    error = _run("fak").exception
    assert isinstance(error, StropError)
    assert "did you mean 'fake'" in str(error)
