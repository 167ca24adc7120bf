"""MathVista asks its authors' prompts, of the data folder, and every fault of its data is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import DataError, StropError, UsageError
from harness.marking import remark
from tasks.data.root import DataRoot
from tasks.mathvista import questions as mathvista
from tasks.mathvista.task import MathVista
from tests.support.worlds import yes_no


def test_mathvista_asks_the_authors_prompts_with_the_hint_first(data: Path, root: DataRoot) -> None:
    samples = MathVista(data_root=root).samples("test")
    assert len(samples) == 1000
    assert all(sample.prompt.startswith("Hint: ") for sample in samples)
    assert samples[0].images == (data / "mathvista/images/1.jpg",)
    names = {metric.name for metric in MathVista(data_root=root).details(samples).metrics}
    assert {"accuracy", "unread", "grade/college/accuracy", "skills/logical reasoning/unread"} <= names


def test_mathvista_asked_of_a_model_is_read_from_its_responses(data: Path, root: DataRoot) -> None:
    """The authors' rule reads what a language model took out, and here there is none: it would read nothing."""
    task = MathVista(data_root=root)
    samples = task.samples("test")[:20]
    assert [task.score(sample, f"So the answer is {sample.target.answer}.").value for sample in samples] == [1] * 20
    assert (task.profile, list(task.profiles)) == ("strict", ["lmms-eval/rules", "vlmeval/rules", "strict"])
    with pytest.raises(UsageError, match="mathvista has no profile 'official'; it has lmms-eval/rules, vlmeval/rules"):
        remark(yes_no([1], task="mathvista"), task, samples, "official")


def test_a_prompt_that_is_missing_is_named(data: Path, root: DataRoot) -> None:
    (data / "mathvista/query.json").unlink()
    (data / "mathvista/query.json").write_text('{"1": "Hint: ..."}')
    with pytest.raises(DataError, match=r"query\.json: field '2' is missing"):
        MathVista(data_root=root).samples("test")


def test_a_short_testmini_is_refused_by_the_file_to_get(data: Path, root: DataRoot, conformance: Path) -> None:
    whole = json.loads((conformance / "mathvista/testmini.json").read_text())
    (data / "mathvista/testmini.json").unlink()
    (data / "mathvista/testmini.json").write_text(json.dumps(dict(list(whole.items())[:10])))
    with pytest.raises(DataError, match=r"holds 10 questions, .* testmini has 1000 and 540; get the whole"):
        MathVista(data_root=root).samples("test")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"pid": "2"', '"pid": 2.5', r"pid 2: field 'pid' must be an integer or a string, found 2\.5"),
        ('"question_type": "free_form"', '"question_type": "essay"', "'question_type' must be one of multi_choice"),
        ('"answer": "1.2",', "", "pid 1: field 'answer' is missing"),
        ("{", '{"1": {},', "the key '1' is given twice in one object"),
        ('"1": {', '"1" {', "not valid JSON"),
    ],
)
def test_malformed_questions_of_mathvista_are_one_line(data: Path, old: str, new: str, message: str) -> None:
    path = data / "mathvista/testmini.json"
    content = path.read_text(encoding="utf-8")
    path.unlink()
    assert old in content
    path.write_text(content.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(StropError, match=message) as caught:
        mathvista.load_questions(path)
    assert "\n" not in str(caught.value)
