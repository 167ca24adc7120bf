"""Nobody is called better for saying nothing: where silence may explain a gain, it cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.results import Results, TaskResult, mark
from harness.thoughts import without_thought
from harness.types import Sample, Scorer
from leaderboards.build import assemble, read_entries
from leaderboards.paired import pair_task
from leaderboards.render import Cell
from leaderboards.site.cells import judged
from leaderboards.verdicts import UNTOLD, compare_results
from strop.notes import notes_of
from tasks.chair.marks import CHAIR_METRICS, score_caption
from tasks.pope.marks import pope_metrics, score_pope
from tasks.reading.cells import cell_metrics, cell_score
from tasks.reading.object_words import ChairTables
from tests.support.worlds import captions, write_run, yes_no

VERDICTS = pytest.mark.reported("verdicts")
COUNT = 60
TABLES = ChairTables(synonyms={"cat": ["cat"], "dog": ["dog"], "bus": ["bus"]})


def _results(task: TaskResult) -> Results:
    return Results(model="toy", digest="d" * 64, parent=None, tasks=(task,), provenance={})


def _compared(a: TaskResult, b: TaskResult) -> dict[str, Any]:
    return compare_results([_results(a)], [_results(b)])


def _chair(says: Callable[[int], str]) -> TaskResult:
    """Captions of pictures with a cat and a dog in each."""

    def score(sample: Sample, text: str) -> Any:
        return score_caption(text.lower().replace(".", " ").split(), sample.target, TABLES)

    return _task("chair", "CHAIRs", CHAIR_METRICS, frozenset({"cat", "dog"}), score, says)


def _pope(says: Callable[[int], str], profile: str = "official") -> TaskResult:
    """Questions, half of them about what is there."""
    score = _by(lambda target, text: score_pope(target, text, profile))
    task = _task("pope", "pooled/f1", pope_metrics(["random"]), None, score, says, profile)
    return replace(task, info={"headline_by_profile": {"strict": _strict_f1(says)}} if profile != "strict" else {})


def _strict_f1(says: Callable[[int], str]) -> float:
    counts = [score_pope(("yes", "no")[n % 2], says(n), "strict").counts for n in range(COUNT)]
    right, wrong, missed = (sum(count[name] for count in counts) for name in ("tp", "fp", "fn"))
    return 2 * right / max(2 * right + wrong + missed, 1)


def _by(score: Callable[[str, str], Any]) -> Scorer:
    return lambda sample, text: score(sample.target, text)


def _task(
    name: str, headline: str, metrics: Any, target: Any, score: Scorer, says: Callable[[int], str], profile: str = "x"
) -> TaskResult:
    samples = [
        Sample(id=f"s{n}", prompt="?", images=(), target=target or ("yes", "no")[n % 2], cluster=f"p{n}",
               meta={"group": "random"} if name == "pope" else {})
        for n in range(COUNT)
    ]  # fmt: skip
    rows = tuple(
        mark(sample, text, without_thought(score)(sample, text))
        for sample, text in zip(samples, map(says, range(COUNT)), strict=True)
    )
    return yes_no([1], task=name, headline=headline, metrics=tuple(metrics), rows=rows, profile=profile)


HONEST = _chair(lambda n: "A cat. A bus." if n % 2 else "A cat. A dog.")


@VERDICTS
@pytest.mark.parametrize(
    ("says", "why"),
    [
        (lambda n: "", "B names nothing, so that CHAIRi is 0/0"),
        (lambda n: " \n", "B names nothing, so that CHAIRi is 0/0"),
        (lambda n: "图中有一只猫。", "B names nothing, so that CHAIRi is 0/0"),
        (lambda n: "I'm sorry, I can't help with that.", "B names nothing, so that CHAIRi is 0/0"),
        (lambda n: f"<think>A cat. A bus {n}", "B names nothing, so that CHAIRi is 0/0"),
        (
            lambda n: "" if n % 2 else "A cat. A dog.",
            "30 answers of B are blank or unread, of A 0, and where both answer B is not ahead",
        ),
        (
            lambda n: "" if n in (1, 3, 5, 7, 9, 11, 13, 15) else HONEST.rows[n].answer,
            "8 answers of B are blank or unread, of A 0, and where both answer B is not ahead",
        ),
    ],
)
def test_captions_that_say_nothing_are_not_better(says: Callable[[int], str], why: str) -> None:
    compared = _compared(HONEST, _chair(says))
    assert compared["verdict"] == UNTOLD
    assert compared["sentence"].endswith(f"; {why}).")
    assert compared["sentence"].startswith("Verdict. chair: cannot be told (CHAIRs −")


@VERDICTS
def test_nor_is_the_other_side_worse() -> None:
    compared = _compared(_chair(lambda n: ""), HONEST)
    assert compared["verdict"] == UNTOLD
    assert "; A names nothing, so that CHAIRi is 0/0)" in compared["sentence"]


@VERDICTS
def test_a_gain_that_is_there_where_both_answer_stays_one() -> None:
    compared = _compared(HONEST, _chair(lambda n: "" if n == 1 else "A cat. A dog."))
    assert compared["verdict"] == "better"


@VERDICTS
@pytest.mark.parametrize(
    ("junk", "good"),
    [("!car !bus", "cat dog"), ("!car", "cat dog !cup"), ("!car !car !cup !dog", "cat !bus")],
)
def test_who_names_only_what_is_not_there_is_worse_than_who_sees(junk: str, good: str) -> None:
    a, b = captions(*[junk, "!hat"] * 30), captions(*[good, "cat"] * 30)
    assert _compared(a, b)["verdict"] == "better"
    assert _compared(b, a)["verdict"] == "worse"


@VERDICTS
def test_who_names_nothing_right_has_not_won_by_naming_less() -> None:
    a, b = captions(*["cat dog !car", "!car"] * 30), captions(*["!car", "", ""] * 20)
    compared = _compared(replace(a, headline="CHAIRs"), replace(b, headline="CHAIRs"))
    assert compared["verdict"] == UNTOLD


@VERDICTS
@pytest.mark.parametrize("says", [lambda n: "A cat.", lambda n: "cat", lambda n: ("Cat", "dog")[n % 2]])
def test_who_names_less_is_told_to_recall_less(says: Callable[[int], str]) -> None:
    compared = _compared(_chair(lambda n: "A cat. A dog. A bus."), _chair(says))
    assert "recall −50.0 [−50.0, −50.0]: saying less may explain it)" in compared["sentence"]


@VERDICTS
@pytest.mark.parametrize(
    "says", [lambda n: f"图中有一只猫{n}。", lambda n: "I'm sorry, I can't help with that.", lambda n: f"{n}"]
)
def test_captions_that_name_nothing_are_told_beside_their_perfect_figure(says: Callable[[int], str]) -> None:
    messages = notes_of([_chair(says)])
    assert any(note.startswith("no answer names anything that is looked for") for note in messages)
    assert not any(note.startswith("no answer names") for note in notes_of([HONEST]))


@VERDICTS
def test_the_same_sentence_to_every_picture_is_told() -> None:
    compared = _compared(HONEST, _chair(lambda n: "A cat and a dog."))
    assert "chair: all 60 answers of B are the same text, whatever was shown." in compared["notes"]


MOSTLY_NO = _pope(lambda n: "Yes" if n % 10 == 0 else "No")


@VERDICTS
@pytest.mark.parametrize(
    ("says", "why"),
    [
        (lambda n: "", "60 answers of B are blank or unread, of A 0, and where both answer B is not ahead"),
        (
            lambda n: "" if n % 2 == 0 else "No",
            "30 answers of B are blank or unread, of A 0, and where both answer B is not ahead",
        ),
        (lambda n: "I'm sorry, I can't help with that.", "by strict pooled/f1 is 33.3 for A and 0.0 for B"),
        (lambda n: "图中有一只狗。", "by strict pooled/f1 is 33.3 for A and 0.0 for B"),
        (lambda n: "Maybe", "by strict pooled/f1 is 33.3 for A and 0.0 for B"),
    ],
)
def test_a_rule_that_takes_silence_for_yes_makes_nobody_better(says: Callable[[int], str], why: str) -> None:
    compared = _compared(MOSTLY_NO, _pope(says))
    assert compared["tasks"][0]["metrics"]["pooled/f1"]["value"] > 0.3
    assert (compared["verdict"], compared["tasks"][0]["metrics"]["pooled/f1"]["doubt"]) == (UNTOLD, why)


@VERDICTS
def test_unread_answers_that_a_rule_leaves_out_make_nobody_better() -> None:
    """By lmms-eval's rule an unread answer is in none of TP, FP, FN: who is silent where it is wrong looks precise."""
    wrong = _pope(lambda n: "yes" if n % 3 else "no", "lmms-eval")
    silent = _pope(lambda n: ("yes", "Well.")[n % 2] if n % 3 else ("Well.", "no")[n % 2], "lmms-eval")
    compared = _compared(*(replace(item, info={}) for item in (wrong, silent)))
    assert compared["tasks"][0]["metrics"]["pooled/f1"]["value"] > 0
    assert compared["verdict"] == UNTOLD


@VERDICTS
def test_who_is_right_more_often_though_less_is_read_is_better() -> None:
    """Where what is unread earns nothing, silence wins nothing."""

    def answered(right: Callable[[int], bool | None]) -> TaskResult:
        score = _by(lambda _, text: cell_score(text == "right", text if text != "?" else None, ()))
        return _task(
            "mathvista",
            "accuracy",
            cell_metrics([]),
            None,
            score,
            lambda n: {True: "right", False: "wrong", None: "?"}[right(n)],
        )

    compared = _compared(answered(lambda n: n % 3 == 0), answered(lambda n: True if n % 3 else None))
    assert compared["verdict"] == "better"
    lost = _compared(answered(lambda n: n % 3 == 0), answered(lambda n: None))
    assert lost["verdict"] == "worse"


@VERDICTS
def test_boards_and_the_site_use_the_same_word(tmp_path: Path) -> None:
    silent = _chair(lambda n: "" if n % 2 else "A cat. A dog.")
    pair = pair_task(HONEST, silent, draws=500)
    metric = next(metric for metric in pair.metrics if metric.name == "CHAIRs")
    assert judged(Cell(metric=metric, estimate=None, difference=pair.differences["CHAIRs"])) is None
    honest = pair_task(HONEST, _chair(lambda n: "A cat. A dog."), draws=500)
    assert judged(Cell(metric=metric, estimate=None, difference=honest.differences["CHAIRs"])) is True
    board = assemble(read_entries([write_run(tmp_path / "run", [[HONEST], [silent]])]))
    assert any("what is gained cannot be told. 30 answers of B are blank or unread" in note for note in board.notes)
