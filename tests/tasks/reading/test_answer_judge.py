"""A judge reads what the rule left unread, knows no gold, and is read as strictly as the model was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from harness.engine import evaluate
from harness.errors import UsageError
from harness.files import write_json
from harness.marking import mark_answers
from harness.results import Results, TaskResult, mark, read_results, write_results
from harness.stats import as_plain, estimate
from harness.store import Store
from harness.types import Sample, Score
from leaderboards.paired import obstacle
from strop.app import app
from tasks.mathvista.answers import load_answers
from tasks.mathvista.marks import score_mathvista
from tasks.mathvista.readers import MATHVISTA_PROFILES, Question, Reply
from tasks.mathvista.task import MathVista
from tasks.reading.answer_judge import judge_unread
from tasks.registry import find_task
from tasks.scienceqa.marks import Problem, score_scienceqa
from tests.support.questions import CHOICE, QUESTION
from tests.support.scripted import Scripted, ScriptedJudge
from tests.support.served import Served, prompt_of, served

pytestmark = pytest.mark.slow

OPTIONS = ("iron", "wood", "glass")
NUMBER = Question(question_type="free_form", answer_type="integer", answer="14")
FLOAT = replace(NUMBER, answer_type="float", answer="2.5", precision=1)
LIST = replace(NUMBER, answer_type="list", answer="[1, 2]")
CHOSEN = Question(question_type="multi_choice", answer_type="text", answer="wood", options=OPTIONS)
PROBLEM = Problem(options=OPTIONS, gold="B", cells=("image",))


def _sample(target: Any, name: str = "1") -> Sample:
    return Sample(id=name, prompt="Which is it?", images=(Path("no.png"),), target=target, cluster=name)


def _score(sample: Sample, answer: str) -> Score:
    if isinstance(sample.target, Problem):
        return score_scienceqa(sample.target, answer)
    return score_mathvista(sample.target, Reply(response=answer))


def _strict(*text: tuple[Any, str]) -> tuple[TaskResult, list[Sample]]:
    questions = [(_sample(target, str(n)), answer) for n, (target, answer) in enumerate(text)]
    return _result(questions), [sample for sample, _ in questions]


def _result(questions: Sequence[tuple[Sample, str]]) -> TaskResult:
    rows = tuple(mark(sample, answer, _score(sample, answer)) for sample, answer in questions)
    return TaskResult(
        task="quiz", version=1, profile="strict", split="test", headline="accuracy", metrics=(), rows=rows
    )


def _judged(folder: Path, judge: ScriptedJudge, *text: tuple[Any, str]) -> TaskResult:
    return judge_unread(*_strict(*text), _score, judge, Store(folder / "judge.jsonl"))


@pytest.mark.parametrize(
    ("target", "reply", "read"),
    [
        (PROBLEM, "The answer is (B)", "B"),
        (PROBLEM, "b", "B"),
        (PROBLEM, "A or B", None),
        (PROBLEM, "D", None),
        (PROBLEM, "Unclear", None),
        (PROBLEM, "unclear, maybe (B)", None),
        (PROBLEM, "", None),
        (PROBLEM, None, None),
        (CHOSEN, "B", "wood"),
        (CHOSEN, "wood.", "wood"),
        (CHOSEN, "stone", None),
        (NUMBER, "14", "14"),
        (NUMBER, "The answer is 14.", "14"),
        (NUMBER, "unclear: 3 or 14", None),
        (NUMBER, "fourteen", "14"),
        (NUMBER, "fourteen of them or so", None),
        (FLOAT, "2.50", "2.5"),
        (LIST, "[1, 2]", "[1, 2]"),
        (LIST, "1 and 2", None),
    ],
)
def test_a_reply_is_read_as_strictly_as_an_answer(
    tmp_path: Path, target: Any, reply: str | None, read: str | None
) -> None:
    (row,) = _judged(tmp_path, ScriptedJudge([reply]), (target, "it is hard to say")).rows
    assert (row.parsed, row.value) == (read, float(read is not None))
    assert row.counts.get("by_judge") == (None if read is None else 1)
    assert row.counts["unread"] == int(read is None)
    assert row.answer == "it is hard to say"


def test_only_words_that_the_rule_cannot_read_are_shown(tmp_path: Path) -> None:
    judge = ScriptedJudge(["A", None, "B", "14"])
    texts = ((PROBLEM, "B"), (PROBLEM, " \n"), (PROBLEM, "the metal one"), (NUMBER, "many"), (NUMBER, "13"))
    judged = _judged(tmp_path, judge, *texts)
    assert [sample.id for sample in judge.samples] == ["2", "3", "0", "4"], "two that were not read, two controls"
    assert [row.parsed for row in judged.rows] == ["B", None, "A", None, "13"], "a control changes nothing"
    about = {"prompt": 1, "sees_pictures": False, "asked": 2, "read": 1, "no_reply": 1, "controls": 2, "agreed": 1}
    assert judged.info["judge"] == {"id": "scripted", **about}


def test_controls_are_few_and_from_everywhere(tmp_path: Path) -> None:
    judge = ScriptedJudge(["B"] * 51)
    texts = [(replace(PROBLEM, options=(str(n), "x")), "A" if n else "hm") for n in range(151)]
    judged = _judged(tmp_path, judge, *texts)
    assert [sample.id for sample in judge.samples] == ["0", *(str(n) for n in range(1, 151, 3))]
    assert (judged.info["judge"]["controls"], judged.info["judge"]["agreed"]) == (50, 0)
    assert _judged(tmp_path, ScriptedJudge([]), *texts[1:]).info["judge"]["controls"] == 0, "nothing is unread"


def test_the_same_verdict_is_not_asked_for_twice_and_an_outage_is_asked_again(tmp_path: Path) -> None:
    texts = ((PROBLEM, "the metal one"), (PROBLEM, "the soft one"), (PROBLEM, "the metal one"))
    assert [row.parsed for row in _judged(tmp_path, ScriptedJudge(["A", None]), *texts).rows] == ["A", None, "A"]
    later = ScriptedJudge(["B"])
    assert [row.parsed for row in _judged(tmp_path, later, *texts).rows] == ["A", "B", "A"]
    assert ["the soft one" in sample.prompt for sample in later.samples] == [True]


@given(st.sampled_from(OPTIONS), st.sampled_from("ABC"))
def test_the_question_is_the_same_whatever_the_gold(answer: str, letter: str) -> None:
    questions = []
    for target in (replace(CHOSEN, answer=answer), replace(PROBLEM, gold=letter)):
        judge = ScriptedJudge([None])
        judge_unread(*_strict((target, "hm")), _score, judge, Store(Path("/nowhere/judge.jsonl")))
        questions.append(judge.samples[0])
    assert questions[0].prompt == questions[1].prompt
    assert (
        "The options:\nA. iron\nB. wood\nC. glass\nThe answer, between the lines:\n---\nhm\n---" in questions[0].prompt
    )
    assert {(sample.images, sample.target, len(sample.meta)) for sample in questions} == {((), None, 0)}


def test_a_number_is_asked_for_in_its_own_form(tmp_path: Path) -> None:
    judge = ScriptedJudge([None, None, None])
    _judged(tmp_path, judge, (NUMBER, "x"), (FLOAT, "x"), (LIST, "x"))
    expected = ["the whole number that it gives, in digits,", "with all its decimals,", "a list such as [1, 2.5],"]
    assert [piece in sample.prompt for sample, piece in zip(judge.samples, expected, strict=True)] == [True] * 3
    assert "options" not in judge.samples[0].prompt


def test_figures_of_two_judges_and_of_none_are_never_compared(tmp_path: Path) -> None:
    plain, _ = _strict((PROBLEM, "hm"))
    first, other = (_judged(tmp_path, ScriptedJudge(["A"], id=name), (PROBLEM, "hm")) for name in ("one", "other"))
    assert [result.profile for result in (plain, first, other)] == ["strict", "strict+one/1", "strict+other/1"]
    assert "profile strict+one/1 on one side, strict+other/1" in str(obstacle(first, other))
    assert obstacle(plain, first) is not None


# The command line -----------------------------------------------------------------------------------------------------

SAID = {"1": "a handful", "2": "the smaller of the two", "3": "6"}


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    rows = {
        pid: {**QUESTION, **(CHOICE if pid == "2" else {}), "pid": pid, "response": value}
        for pid, value in SAID.items()
    }
    write_json(tmp_path / "model.json", rows)
    return tmp_path / "model.json"


def _score_mathvista(outputs: Path, server: Served, *more: str) -> Result:
    arguments = ["score", "mathvista", "--partial", "--answers", outputs, "--data", outputs.parent / "data"]
    judge = ["--judge", "j", "--judge-endpoint", server.url]
    return CliRunner().invoke(app, [str(item) for item in [*arguments, *judge, *more]])


def _extracts(request: dict[str, Any]) -> str:
    return "5" if SAID["1"] in prompt_of(request) else "The answer is (A)."


def test_an_endpoint_judges_what_the_rule_left_and_is_named(outputs: Path) -> None:
    with served(_extracts) as server:
        done = _score_mathvista(outputs, server, "--json", "--out", str(outputs.parent / "out"))
        assert len(server.requests) == 3
        again = _score_mathvista(outputs, server, "--profile", "all", "--json")
        assert len(server.requests) == 3
        table = _score_mathvista(outputs, server)
    content = json.loads(done.stdout)
    assert (content["metrics"]["accuracy"]["value"], content["metrics"]["unread"]["value"]) == (2 / 3, 0.0)
    assert content["profile"] == f"strict+{content['info']['judge']['id']}/1"
    assert content["info"]["judge"]["id"].startswith("j@")
    assert read_results(outputs.parent / "out").task("mathvista").profile == content["profile"]
    profiles = [row["profile"] for row in json.loads(again.stdout)]
    assert profiles == [*MATHVISTA_PROFILES, content["profile"]]
    note = (
        "of 2 answers that strict leaves unread the judge reads 2 (0 without reply); of 1 that strict reads, it reads 0"
    )
    assert note in " ".join(table.stdout.split())


def test_a_judge_out_of_reach_leaves_answers_unread(outputs: Path, caplog: pytest.LogCaptureFixture) -> None:
    with served(lambda _: (401, {})) as server:
        content = json.loads(_score_mathvista(outputs, server, "--json").stdout)
    assert content["metrics"]["unread"]["value"] == 2 / 3
    assert content["info"]["judge"]["no_reply"] == 2
    assert not (outputs.parent / "data").exists()
    assert f"judge: endpoint {server.url}, model j: does not answer (401" in caplog.text


def test_a_judge_gets_only_what_strict_leaves(outputs: Path) -> None:
    with served(_extracts) as server:
        done = _score_mathvista(outputs, server, "--profile", "official")
    assert isinstance(done.exception, UsageError)
    assert "--judge is asked about what strict leaves unread" in str(done.exception)
    alone = CliRunner().invoke(
        app, ["score", "mathvista", "--answers", str(outputs), "--partial", "--judge-endpoint", "x"]
    )
    assert "name it by --judge" in str(alone.exception)


def test_stored_answers_are_judged_without_asking_their_model_again(tmp_path: Path) -> None:
    tasks = [find_task(name) for name in ("pictos_scienceqa", "pictos_pope")]
    results = evaluate(Scripted(lambda _: "hard to say"), tasks, split="test", limit=4)
    figures = {result.task: as_plain(estimate(result.rows, result.metrics)) for result in results}
    content = Results(model="m", digest="d", parent=None, tasks=tuple(results), provenance={})
    write_results(tmp_path / "run", content, figures)
    command = ["rescore", str(tmp_path / "run"), "--data", str(tmp_path), "--json", "--judge", "j", "--judge-endpoint"]
    with served(lambda _: "(A)") as server:
        done = CliRunner().invoke(app, [*command, server.url])
        refused = CliRunner().invoke(app, [*command, server.url, "--tasks", "pictos_pope"])
    judged, pope = json.loads(done.stdout)
    assert (judged["task"], judged["metrics"]["unread"]["value"], judged["info"]["judge"]["read"]) == (
        "pictos_scienceqa", 0.0, 4)  # fmt: skip
    assert (pope["task"], pope["profile"]) == ("pictos_pope", "strict")
    assert "a judge reads answers to ScienceQA and MathVista" in str(refused.exception)


def test_the_authors_extractions_as_replies_bring_llava_near_the_official_figure(
    conformance: Path, tmp_path: Path
) -> None:
    answered = load_answers(conformance / "mathvista/results/llava/output_llava_llama_2_13b.json.gz")
    text = list(zip(answered.samples, answered.answers, strict=True))
    assert isinstance(answered.task, MathVista)
    extractions = answered.task.extractions or {}

    def stored(questions: Sequence[Sample]) -> Iterator[tuple[int, list[str]]]:
        yield from ((index, [extractions[sample.id]]) for index, sample in enumerate(questions))

    judge: Any = SimpleNamespace(id="stored", stream=stored)
    plain = _result(text)
    judged = judge_unread(plain, answered.samples, _score, judge, Store(tmp_path / "judge.jsonl"))
    assert [sum(row.value for row in item.rows) for item in (plain, judged)] == [188, 260]
    official = mark_answers(answered.task, answered.samples, answered.answers, profile="official")
    assert sum(row.value for row in official.rows) == 261
