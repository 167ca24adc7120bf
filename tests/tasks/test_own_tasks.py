"""A task of one's own that is wrong is told with its name, the sample and the reason, before a model is asked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.engine import evaluate
from harness.errors import DataError, PictureError, UsageError
from harness.pictures import open_picture
from harness.profiles import scorer_of
from harness.task_faults import samples_of, try_task
from harness.types import Metric, Sample, Sampling, Score
from tasks.registry import TASKS, TasksByName, find_task, known_tasks, usable_tasks
from tests.support.own_task import EXAMPLE
from tests.support.shell import Strop

tasks = pytest.mark.reported("tasks")

ACCURACY = Metric(name="accuracy", terms={"right": 1}, over={"asked": 1})
GOOD = Score(value=0.0, parsed=None, counts={"right": 0, "asked": 1})


def _sample(id: Any = "one", **changes: Any) -> Sample:
    fields = {"prompt": "?", "images": (partial(Image.new, "RGB", (4, 4)),), "target": "A", "cluster": str(id)}
    return Sample(id=id, **{**fields, **changes})


def _good(sample: Sample, answer: str) -> Score:
    right = int(answer == sample.target)
    return Score(value=right, parsed=answer or None, counts={"right": right, "asked": 1})


@dataclass(frozen=True, kw_only=True)
class Fake:
    """Asks for an A twice; every test breaks one thing of it."""

    name: str = "fake"
    version: int = 1
    metrics: tuple[Metric, ...] = (ACCURACY,)
    headline: str = "accuracy"
    max_tokens: Any = 4
    rows: Any = (_sample(), _sample("two"))
    marks: Callable[[Sample, str], Any] = _good
    right: Any = "A"

    def samples(self, split: str) -> Sequence[Sample]:
        return self.rows() if callable(self.rows) else self.rows  # type: ignore[no-any-return]

    def score(self, sample: Sample, answer: str) -> Score:
        return self.marks(sample, answer)  # type: ignore[no-any-return]

    def gold(self, sample: Sample) -> str:
        return self.right(sample) if callable(self.right) else self.right  # type: ignore[no-any-return]


class Unasked:
    """A model that must not be asked."""

    digest, settings, name = "d" * 64, "s", "unasked"

    def generate(self, samples: Sequence[Sample], sampling: Sampling, advance: Any = None) -> list[list[str]]:
        raise AssertionError("a model was asked")


def _gives(**changes: Any) -> Callable[[Sample, str], Any]:
    return lambda sample, answer: Score(**{"value": 0.0, "parsed": None, "counts": {"right": 0, "asked": 1}, **changes})


def _raises(error: BaseException) -> Callable[..., Any]:
    def raising(*_: Any) -> Any:
        raise error

    return raising


FIRST = "task fake, sample one: "
BROKEN = {
    "a score of nothing": (Fake(marks=lambda *_: None), f"{FIRST}of the answer 'A' score gives None and no Score"),
    "a number for a score": (Fake(marks=lambda *_: 1.0), f"{FIRST}of the answer 'A' score gives 1.0 and no Score"),
    "a scorer that raises": (
        Fake(marks=_raises(KeyError("colour"))), f"{FIRST}score fails on the answer 'A' (KeyError: 'colour')",
    ),
    "a scorer that asserts": (
        Fake(marks=_raises(AssertionError())), f"{FIRST}score fails on the answer 'A' (AssertionError())",
    ),
    "a set that was read": (
        Fake(marks=_gives(parsed={"cat"})),
        f"{FIRST}of the answer 'A' parsed is {{'cat'}}, which JSON does not know (set does not go into JSON); give a "
        "text, a number or a list",
    ),
    "an array that was read": (
        Fake(marks=_gives(parsed=np.zeros(2))),
        f"{FIRST}of the answer 'A' parsed is array([0., 0.]), which JSON does not know",
    ),
    "a NaN that was read": (
        Fake(marks=_gives(parsed=math.nan)), f"{FIRST}of the answer 'A' parsed is nan, which JSON does not know",
    ),
    "a NaN count": (
        Fake(marks=_gives(counts={"right": math.nan, "asked": 1})),
        f"{FIRST}of the answer 'A' the count 'right' is nan, which is no finite number",
    ),
    "an infinite count": (
        Fake(marks=_gives(counts={"right": 1, "asked": -math.inf})),
        f"{FIRST}of the answer 'A' the count 'asked' is -inf, which is no finite number",
    ),
    "a count that is a text": (
        Fake(marks=_gives(counts={"right": "1", "asked": 1})),
        f"{FIRST}of the answer 'A' the count 'right' is '1', which is no finite number",
    ),
    "counts in a list": (
        Fake(marks=_gives(counts=[1])),
        f"{FIRST}of the answer 'A' the counts are [1] and no mapping of names to numbers",
    ),
    "a mark of NaN": (
        Fake(marks=_gives(value=math.nan)), f"{FIRST}of the answer 'A' the mark is nan, which is no finite number",
    ),
    "a gold that is no text": (Fake(right=None), f"{FIRST}gold gives None, which is no text"),
    "a gold that raises": (Fake(right=_raises(IndexError("3"))), f"{FIRST}gold fails (IndexError: 3)"),
    "a headline that is no metric": (
        Fake(headline="acc"), "task fake: the headline 'acc' is none of its metrics (accuracy)",
    ),
    "a headline of what is not counted": (
        Fake(metrics=(Metric(name="accuracy", terms={"rihgt": 1}, over={"asked": 1}),)),
        "task fake: the metric accuracy is of 'rihgt', which no mark counts; count it as 0 where it is none",
    ),
    "a mean of what is no metric": (
        Fake(metrics=(ACCURACY, Metric(name="macro", macro=("accuracy", "f1")))),
        "task fake: the metric macro is a mean of f1, which is none of its metrics",
    ),
    "metrics by their names": (
        Fake(metrics={"accuracy": 1}), "task fake: its metrics are {'accuracy': 1} and no tuple of Metric",
    ),
    "no metrics": (Fake(metrics=None), "task fake: its metrics are None and no tuple of Metric"),
    "a mean of itself": (
        Fake(metrics=(ACCURACY, Metric(name="macro", macro=("macro", "accuracy")))),
        "task fake: the metric macro is a mean of itself",
    ),
    "two means of each other": (
        Fake(metrics=(ACCURACY, Metric(name="a", macro=("b",)), Metric(name="b", macro=("a",)))),
        "task fake: the metric a is a mean of itself",
    ),
    "a weight of NaN": (
        Fake(metrics=(Metric(name="accuracy", terms={"right": math.nan}, over={"asked": 1}),)),
        "task fake: the metric accuracy has a weight that is no finite number",
    ),
    "better than what": (
        Fake(metrics=(Metric(name="accuracy", terms={"right": 1}, over={"asked": 1}, better="up"),)),
        "task fake: the metric accuracy is better 'up'; say higher, lower or neither",
    ),
    "a name of a path": (Fake(name="../fake"), "task ../fake: its name is a file's too, so it holds no / and is no .."),
    "the store's name": (
        Fake(name="answers"), "task answers: its file would be answers.jsonl, which is the store of answers;",
    ),
    "a name too long for a file": (
        Fake(name="é" * 150), f"task {'é' * 150}: its name is a file's too, and longer than 200 bytes; give it a",
    ),
    "two metrics of one name": (Fake(metrics=(ACCURACY, ACCURACY)), "task fake: two metrics are called accuracy"),
    "answers without a token": (
        Fake(max_tokens=0), "task fake: max_tokens is 0; an answer needs a whole number of tokens, one or more",
    ),
    "answers of half a token": (
        Fake(max_tokens=1.5), "task fake: max_tokens is 1.5; an answer needs a whole number of tokens, one or more",
    ),
    "an id twice": (
        Fake(rows=(_sample(), _sample("two"), _sample())), "task fake: samples 1 and 3 of test have one id, one",
    ),
    "an id that is a number": (Fake(rows=(_sample(7),)), "task fake, sample 1 of test: its id is 7, which is no text"),
    "an empty id": (Fake(rows=(_sample(""),)), "task fake, sample 1 of test: its id is empty"),
    "a prompt that is none": (
        Fake(rows=(_sample(prompt=None),)), "task fake, sample 1 of test: its prompt is None, which is no text",
    ),
    "a picture by its name": (
        Fake(rows=(_sample(images=("a.png",)),)),
        "task fake, sample 1 of test: its picture 'a.png' is neither a Path nor a function that draws one",
    ),
    "a picture alone": (
        Fake(rows=(_sample(images=Path("a.png")),)),
        "task fake, sample 1 of test: its images are ",
    ),
    "no samples": (Fake(rows=()), "task fake: it has no samples in the split test"),
    "a group that is a list": (
        Fake(rows=(_sample(meta={"group": ["red"]}),)),
        "task fake, sample 1 of test: its group is ['red'], which is no text",
    ),
    "a dictionary for a sample": (
        Fake(rows=({"id": "one"},)), "task fake, sample 1 of test: is {'id': 'one'} and no Sample",
    ),
    "samples that raise": (
        Fake(rows=_raises(ZeroDivisionError("division by zero"))),
        "task fake: its samples of the split test cannot be had (ZeroDivisionError: division by zero)",
    ),
}  # fmt: skip


@tasks
@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_with_a_task_is_told_before_a_model_is_asked(case: str) -> None:
    task, message = BROKEN[case]
    with pytest.raises(DataError) as caught:
        evaluate(Unasked(), [Fake(name="sound"), task], split="test")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@tasks
def test_an_answer_that_only_a_model_gives_is_named_with_its_sample() -> None:
    def odd(sample: Sample, answer: str) -> Any:
        return _good(sample, answer) if answer in ("A", "") else None

    try_task(Fake(marks=odd), [_sample()], (ACCURACY,))
    with pytest.raises(
        DataError, match=r"^task fake, sample two: of the answer 'maybe' score gives None and no Score$"
    ):
        scorer_of(Fake(marks=odd))(_sample("two"), "maybe")


@tasks
@pytest.mark.parametrize("drawn", [lambda: None, lambda: 1 / 0, lambda: Image.open("no.png")])
def test_a_function_that_draws_no_picture_is_named(drawn: Callable[[], Any]) -> None:
    with pytest.raises(PictureError, match="draws no picture"):
        open_picture(drawn)


@tasks
@pytest.mark.parametrize("size", [(0, 0), (4, 0), (0, 4)])
def test_a_picture_without_pixels_is_none(size: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match=r"a picture of \dx\d pixels: does not open as a picture \(it has no pixels"):
        open_picture(lambda: Image.new("RGB", size))


def test_numbers_of_numpy_are_numbers() -> None:
    marks = _gives(value=np.float32(0.5), counts={"right": np.int64(1), "asked": np.float64(1)}, parsed=np.int64(3))
    assert scorer_of(Fake(marks=marks))(_sample(), "A").value == 0.5
    assert list(samples_of(Fake(), "test")) == list(Fake().rows)


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The task of docs/extending.md, and a file beside it that each test writes."""
    (tmp_path / "colours.py").write_text(EXAMPLE, encoding="utf-8")
    monkeypatch.setenv("STROP_PLUGIN_PATH", str(tmp_path))
    monkeypatch.setenv("STROP_DATA", "")
    return tmp_path


BAD = {
    "an import": ("import nothing_of_this_name", "does not load (ModuleNotFoundError: No module named"),
    "no Python": ("def", "does not load (SyntaxError: "),
    "a division": ("1 / 0", "does not load (ZeroDivisionError: division by zero)"),
    "an assertion": ("assert False, 'why'", "does not load (AssertionError: why)"),
    "an exit": ("raise SystemExit(3)", "does not load (SystemExit: 3)"),
    "an error of its own": ("class Mine(Exception): ...\nraise Mine('no')", "does not load (Mine: no)"),
    "no tasks": ("TASKS = 3", "TASKS must be a dictionary of name -> what makes the task"),
}
UNMADE = {
    "another name": (f"{EXAMPLE}\nTASKS = {{'x': Colours}}", "the task is listed as 'x' and calls itself 'colours'"),
    "no task": ("TASKS = {'x': dict}", "what TASKS or the entry point calls 'x' is no task: it lacks gold"),
    "a property that fails": (
        f"{EXAMPLE}\nclass X(Colours):\n    gold = property(lambda self: 1 / 0)\nTASKS = {{'x': X}}",
        "task 'x' cannot be made (ZeroDivisionError: division by zero)",
    ),
    "a maker that fails": ("TASKS = {'x': lambda: 1 / 0}", "task 'x' cannot be made (ZeroDivisionError: division by"),
    "a taken name": (
        f"{EXAMPLE}\nTASKS = {{'pope': Colours}}",
        "a task 'pope' is there already; give this one another",
    ),
}


@tasks
@pytest.mark.parametrize("case", [*BAD, *UNMADE])
def test_a_broken_file_stops_only_who_asks_for_it(folder: Path, case: str) -> None:
    content, why = {**BAD, **UNMADE}[case]
    (folder / "bad.py").write_text(content)
    assert {*TASKS, "colours"} <= set(known_tasks())
    assert find_task("colours").name == TasksByName()["colours"].name == "colours"
    result, unusable = usable_tasks()
    assert {*TASKS, "colours"} == set(result)
    assert len(unusable) == 1 and unusable[0].startswith(f"{folder}/bad.py: ") and why in unusable[0]
    with pytest.raises(UsageError) as caught:
        find_task("pope" if case == "a taken name" else "x")
    assert f"{folder}/bad.py: " in str(caught.value) and why in str(caught.value)


@tasks
def test_the_commands_list_what_works_and_say_what_does_not(strop: Strop, folder: Path) -> None:
    (folder / "bad.py").write_text("1 / 0")
    ran = strop("tasks", "--plugin-path", folder, "--json")
    assert ran.code == 0
    assert set(json.loads(ran.out)) == {*TASKS, "colours"}
    line = f"{folder}/bad.py: does not load (ZeroDivisionError: division by zero)"
    assert ran.err == f"not usable: {line}\n"
    assert strop("check", "colours", "--plugin-path", folder).code == 0
    everything = strop("check", "--limit", 2, "--plugin-path", folder)
    assert everything.code == 1
    assert [line for line in everything.out.splitlines() if line.startswith("failed")] == [f"failed: {line}"]
    message = strop("eval", "--model", "m", "--tasks", "bad", "--plugin-path", folder, "--out", "o").error()
    assert message == f"no task is called 'bad', and {line}"


@tasks
@pytest.mark.parametrize("command", ["eval", "run", "grid", "check", "tasks", "rescore", "board", "export"])
def test_every_command_that_meets_tasks_takes_their_folder(strop: Strop, command: str) -> None:
    assert "--plugin-path" in strop(command, "--help").out
