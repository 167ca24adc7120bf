"""PHYSICS's figures equal those of the published evaluations, and what was lost in them is no wrong answer."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.files import write_jsonl
from harness.marking import Answered
from harness.profiles import profiles_of
from harness.results import mark
from harness.types import Score
from strop.notes import notes_of
from strop.scoring import score_answered
from tasks.physics.answers import load_answers, open_answers
from tasks.physics.marks import score_verdicts
from tasks.physics.questions import load_problems
from tasks.physics.rule import boxes_of, judge_pairs
from tests.support.pages import read_page
from tests.support.physics_page import rows_of

MODELS = ("gpt-4o", "internvl2.5-38b-awq", "llama-3.3-70b-awq")
COUNTS = {
    "n": "asked", "timeout": "lost", "no_response": "no_response", "no_box": "unread", "boxes": "boxes",
    "any_box_right": "any_box_right", "full_marks": "full_marks",
    "full_marks_answers_missing": "full_marks_answers_missing",
    "full_marks_answers_missing_plain": "full_marks_answers_missing_plain", "all_answers_low": "all_answers",
    "all_answers_high": "all_answers_high", "exact_low": "exact",
}  # fmt: skip
MEANS = {"accuracy": "accuracy", "recall_low": "recall", "sympy_first_accuracy": "sympy_first"}


@pytest.fixture(scope="module")
def outputs(conformance: Path) -> dict[str, tuple[Answered, dict[str, Score]]]:
    """Model -> its answers, and the mark of each by the stored verdicts."""
    marked = {}
    for model in MODELS:
        answered = load_answers(conformance / "physics/outputs" / model, conformance / "physics/problems.jsonl.gz")
        score = profiles_of(answered.task)["official"]
        pairs = zip(answered.samples, answered.answers, strict=True)
        marked[model] = answered, {sample.id: score(sample, answer) for sample, answer in pairs}
    return marked


def _nonzero(counts: Mapping[str, float]) -> dict[str, float]:
    return {name: count for name, count in counts.items() if count}


def _holds(expected: Mapping[str, Any], scores: list[Score]) -> None:
    """The figures of an entry of expected.json are those of the marks; whatever it names is looked at."""
    total: Counter[str] = Counter()
    for score in scores:
        total.update(score.counts)
    seen = set()
    for name, count in COUNTS.items():
        if name in expected:
            seen.add(name)
            assert total[count] == expected[name], name
    for name, count in MEANS.items():
        if name in expected:
            seen.add(name)
            assert total[count] / expected["n"] == pytest.approx(expected[name], abs=1e-9), name
    if "verdicts" in expected:
        seen |= {"verdicts", "right_boxes", "scored", "accuracy_without_timeouts"}
        kinds = {name.removeprefix("verdict/"): count for name, count in total.items() if name.startswith("verdict/")}
        assert _nonzero(kinds) == _nonzero(expected["verdicts"])
        right = _nonzero({kind: count for kind, count in kinds.items() if kind.endswith("true")})
        assert right == _nonzero(expected["right_boxes"])
        assert total["asked"] - total["lost"] - total["no_response"] == expected["scored"]
        without = total["accuracy"] / (expected["n"] - expected["timeout"])
        assert without == pytest.approx(expected["accuracy_without_timeouts"], abs=1e-9)
    if "without_timeouts" in expected:
        seen.add("without_timeouts")
        others = [score for score in scores if not score.counts.get("lost")]
        _holds(expected["without_timeouts"], others)
    assert seen == expected.keys()


@pytest.mark.parametrize("model", MODELS)
def test_every_figure_of_a_published_evaluation_follows_from_its_verdicts(
    outputs: dict[str, tuple[Answered, dict[str, Score]]], expected: dict[str, Any], model: str
) -> None:
    answered, scores = outputs[model]
    figures = expected[f"physics/{model}"]["recomputed"]

    def of(cell: str) -> list[Score]:
        return [scores[sample.id] for sample in answered.samples if cell in sample.target.cells]

    _holds(figures["total"], list(scores.values()))
    for subject, entry in figures["subjects"].items():
        _holds(entry, of(f"subject/{subject}"))
    for split, entry in figures["split"].items():
        _holds(entry, of(f"split/{split}"))
    for name, cell in {"with_figure": "figures", "without_figure": "text-only"}.items():
        if name in figures:
            _holds(figures[name], of(cell))
    cut = {identifier for identifier, score in scores.items() if score.counts.get("boxes_cut")}
    assert cut == set(figures["ids_boxes_cut_by_the_reader"])
    assert len(cut) == figures["boxes_cut_by_the_reader"]
    if "ids_no_box" in figures:
        assert {name for name, score in scores.items() if score.counts["unread"]} == set(figures["ids_no_box"])
    assert set(answered.info["evaluation"]["lost"]) == set(figures.get("ids_lost_to_timeouts", []))


@pytest.mark.parametrize("model", MODELS)
def test_stored_accuracies_come_out_to_the_last_digit(
    outputs: dict[str, tuple[Answered, dict[str, Score]]], expected: dict[str, Any], model: str
) -> None:
    stored = expected[f"physics/{model}"]["published"]["accuracy_csv"]
    evaluation = outputs[model][0].info["evaluation"]
    for subject, published in stored.items():
        ours = evaluation["subjects"][subject]
        wanted = published if isinstance(published, dict) else {"accuracy": published}
        assert {name: ours[name] for name in wanted} == wanted
        assert ours["unlike_stored"] == 0


def test_what_was_measured_of_the_verdicts_follows_from_them(
    outputs: dict[str, tuple[Answered, dict[str, Score]]], expected: dict[str, Any]
) -> None:
    """All columns but math-verify's, which are another judge's. `sympy_only` asks SymPy again where GPT-4o's yes ended
    the walk, which no verdict tells: it lies between SymPy's own matches and everybody's."""
    columns = {
        "sympy_first_match": "sympy_first", "recall_low": "recall", "all_answers_low": "all_answers",
        "all_answers_high": "all_answers_high", "exact_low": "exact", "no_box_share": "unread",
    }  # fmt: skip
    for model, (answered, scores) in outputs.items():
        measured = dict(expected["physics/measured"]["recomputed"][model])
        assert measured.pop("n") == len(scores)
        for column, count in columns.items():
            total = sum(score.counts.get(count, 0) for score in scores.values())
            assert total / len(scores) == pytest.approx(measured[column], abs=1e-9), column
        stored = answered.info["evaluation"]["all"]
        assert stored["accuracy"] == pytest.approx(measured.pop("official"), abs=1e-12)
        assert stored["accuracy_without_lost"] == pytest.approx(measured.pop("official_without_timeouts"), abs=1e-12)
        assert measured["sympy_first_match"] <= measured.pop("sympy_only") <= stored["accuracy"]
        others = {column for column in measured if not column.startswith("math_verify")}
        assert others == columns.keys()


def test_internvls_heaps_of_words_are_degenerate_and_nobody_elses_text_is(
    outputs: dict[str, tuple[Answered, dict[str, Score]]],
) -> None:
    counts = [sum(score.counts["degenerate"] for score in outputs[model][1].values()) for model in MODELS]
    assert counts == [0, 910, 0]


def test_the_problems_are_those_that_the_readme_counts(conformance: Path, expected: dict[str, Any]) -> None:
    figures = expected["physics/questions"]["recomputed"]
    samples = load_problems(conformance / "physics/problems.jsonl.gz")
    assert len(samples) == figures["n"]
    of = {subject: [s for s in samples.values() if s.target.subject == subject] for subject in figures["subjects"]}
    assert {subject: len(each) for subject, each in of.items()} == figures["subjects"]
    for cell, name in {"figures": "with_figure", "split/val": "val", "hard": "hard"}.items():
        here = {subject: sum(cell in sample.target.cells for sample in each) for subject, each in of.items()}
        assert here == figures[name]
    for split in ("val", "test"):
        assert figures[f"without_figure_{split}"] == sum(
            {"text-only", f"split/{split}"} <= set(sample.target.cells) for sample in samples.values()
        )
    walks = [sample.target.walk for sample in samples.values()]
    assert sum(map(len, walks)) == figures["required_answers"]
    assert sum(len(sample.target.answers) for sample in samples.values()) == figures["distinct_required_answers"]
    assert Counter(str(len(walk)) for walk in walks) == figures["answers_per_problem"]
    assert sum("\\text" in answer for walk in walks for answer in walk) == figures["answers_with_\\text"]
    repeating = [sample for sample in samples.values() if sample.target.answers != sample.target.walk]
    assert len(repeating) == figures["problems_repeating_an_answer"]
    assert sum(len(sample.images) for sample in samples.values()) == figures["figures"]
    assert sum(len(sample.images) > 1 for sample in samples.values()) == figures["problems_with_several_figures"]
    twice = [[sample.cluster, sample.id] for sample in samples.values() if sample.cluster != sample.id]
    assert twice == figures["same_question_twice"]


# What occurs elsewhere in the authors' files --------------------------------------------------------------------------

PROBLEMS = [
    {"id": "optics/1", "questions": "How far?", "final_answers": ["5 \\text{ m}", "n = 2"], "graphs": None},
    {"id": "optics/2", "questions": "How fast?", "final_answers": ["c"], "graphs": []},
    {"id": "optics/3", "questions": "How heavy?", "final_answers": ["m_1"], "graphs": None},
]


def _verdict(box: str, answer: str, **said: Any) -> dict[str, Any]:
    shown = {"input_expressions": {"expr1": box, "expr2": answer}, "sympy_result": None, "llm_result": False}
    return {**shown, "final_result": said.get("sympy_result") or said.get("llm_result", False), **said}


RIGHT = {
    "id": "optics/1",
    "solution": "So \\boxed{5 m} and \\boxed{2}",
    "final_answers": ["5 m", "2"],
    "equivalency_results": [
        _verdict("5 m", "5 \\text{ m}", llm_result=True),
        _verdict("2", "5 \\text{ m}"),
        _verdict("2", "n = 2", sympy_result=True),
    ],
    "accuracy": 1.0,
}
SILENT = {"id": "optics/2", "solution": None, "final_answers": [], "equivalency_results": [], "accuracy": 0}
LOST = {**SILENT, "id": "timeout_error"}


def _load(folder: Path, *rows: Mapping[str, Any], **files: list[dict[str, Any]]) -> Answered:
    write_jsonl(folder / "PHYSICS/optics_dataset.jsonl", PROBLEMS)
    write_jsonl(folder / "model/optics_dataset_textonly/final_evaluation.jsonl", rows)
    for name, content in files.items():
        write_jsonl(folder / f"model/optics_dataset_textonly/{name}.jsonl", content)
    return load_answers(folder / "model", folder / "PHYSICS", size=None)


def test_a_missing_response_counts_nothing_and_a_lost_row_is_lost(tmp_path: Path) -> None:
    answered = _load(tmp_path, RIGHT, SILENT, LOST)
    score = profiles_of(answered.task)["official"]
    marks = {sample.id: score(sample, text) for sample, text in zip(answered.samples, answered.answers, strict=True)}
    assert marks["optics/1"].parsed == [[1], [2]]
    assert {name: (mark.value, mark.counts["unread"], mark.counts.get("lost", 0)) for name, mark in marks.items()} == {
        "optics/1": (1.0, 0, 0), "optics/2": (0.0, 1, 0), "optics/3": (0.0, 0, 1)
    }  # fmt: skip
    by_rule = profiles_of(answered.task)["rule"](answered.samples[2], "")  # its text was lost too
    assert (by_rule.counts["lost"], by_rule.counts["unread"]) == (1, 0)
    stored = answered.info["evaluation"]["all"]
    assert [stored[name] for name in ("rows", "lost", "no_response", "no_box")] == [3, 1, 1, 0]
    assert (stored["accuracy"], stored["accuracy_without_lost"]) == (1 / 3, 1 / 2)
    evaluation = score_answered({"official": answered})
    assert evaluation.estimates[0]["scored/exact"].value == 1 / 2
    assert evaluation.estimates[0]["exact"].value == 1 / 3
    assert (
        "1 of 3 rows were lost in the stored evaluation, which is no wrong answer: its accuracy is 33.33 with them as "
        "0 and 50.00 without"
    ) in notes_of(evaluation.results.tasks)


def test_a_lost_row_is_read_where_its_response_is_there(tmp_path: Path) -> None:
    texts = ("\\boxed{5 m}", None, "\\boxed{m_1}")
    responses = [{"id": row["id"], "llm_answers": text} for row, text in zip(PROBLEMS, texts, strict=True)]
    answered = _load(tmp_path, RIGHT, SILENT, LOST, response=responses)
    assert answered.answers == (RIGHT["solution"], "", "\\boxed{m_1}")
    score = profiles_of(answered.task)["rule"]
    assert score(answered.samples[2], answered.answers[2]).value == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda row: row["equivalency_results"].pop(),
            r"no walk over its boxes and the required answers of",
        ),
        (lambda row: row.update(id="optics/9"), r"id optics/9 is no question of"),
        (lambda row: row.update(solution=3), r"field 'solution' must be a string, found 3"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    row = json.loads(json.dumps(RIGHT))
    change(row)
    with pytest.raises(DataError, match=message):
        _load(tmp_path, row, SILENT, {**SILENT, "id": "optics/3"})


def test_rows_lost_and_rows_missing_must_be_as_many(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"of optics 1 row was lost and 2 problems have no verdict \(optics/2, op"):
        _load(tmp_path, RIGHT, LOST)


def test_what_was_never_evaluated_is_not_replayed(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "physics/optics_dataset.jsonl", PROBLEMS)
    write_jsonl(tmp_path / "mine.jsonl", [{"id": "optics/1", "response": "\\boxed{5 \\text{ m}}"}])
    with pytest.raises(DataError, match=r"holds 3 problems, 0 of them with a figure, but PHYSICS has 1297 and 298"):
        open_answers(tmp_path / "mine.jsonl", data=tmp_path, profile="official")
    answered = load_answers(tmp_path / "mine.jsonl", tmp_path / "physics", partial=True, size=None)
    assert list(profiles_of(answered.task)) == ["rule"]
    assert answered.info["unanswered"] == ["optics/2", "optics/3"]


def test_gzipped_files_by_subject_are_one_model_and_two_models_are_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "optics_dataset.jsonl", PROBLEMS[:1])
    (tmp_path / "model").mkdir()
    (tmp_path / "model/optics.response.jsonl.gz").write_bytes(gzip.compress(json.dumps(RIGHT).encode()))
    answered = load_answers(tmp_path / "model", tmp_path, size=None)
    assert dataclasses.asdict(answered)["answers"] == (RIGHT["solution"],)
    write_jsonl(tmp_path / "model/other/optics_dataset/response.jsonl", [RIGHT])
    with pytest.raises(DataError, match="name the folder of one model"):
        load_answers(tmp_path / "model", tmp_path, size=None)


def test_the_page_shows_the_models_as_their_evaluations_have_them(
    outputs: dict[str, tuple[Answered, dict[str, Score]]],
) -> None:
    order = ("gpt-4o", "llama-3.3-70b-awq", "internvl2.5-38b-awq")
    rows = {
        model: [mark(sample, "", scores[sample.id]) for sample in answered.samples]
        for model, (answered, scores) in outputs.items()
    }
    shared = frozenset(row.id for row in rows["llama-3.3-70b-awq"])
    lost = frozenset(outputs["llama-3.3-70b-awq"][0].info["evaluation"]["lost"])
    page = read_page("docs/physics.md")
    for heading, ids in {"official": shared, "official, not lost": shared - lost}.items():
        for name, figures in rows_of({model: rows[model] for model in order}, ids).items():
            assert f"| {name} | {heading} | {' | '.join(figures)} |" in page


def test_the_page_shows_the_models_as_the_rule_has_them(
    outputs: dict[str, tuple[Answered, dict[str, Score]]],
) -> None:
    """Whole boxes alone: the columns of the page are the low readings, in which a box has no parts."""
    order = ("gpt-4o", "llama-3.3-70b-awq", "internvl2.5-38b-awq")
    shared = frozenset(sample.id for sample in outputs["llama-3.3-70b-awq"][0].samples)
    boxes = {
        model: [
            (sample, text, [(box, ()) for box, _ in boxes_of(text)])
            for sample, text in zip(answered.samples, answered.answers, strict=True)
            if sample.id in shared
        ]
        for model, (answered, _) in outputs.items()
    }
    comparisons = judge_pairs(
        (box, answer)
        for each in boxes.values()
        for sample, _, its in each
        for box, _ in its
        for answer in sample.target.answers
    )
    equal = {pair: bool(comparison.equal) for pair, comparison in comparisons.items()}
    assert len(equal) > 5_000
    rows = {
        model: [mark(sample, "", score_verdicts(sample.target, text, its, equal)) for sample, text, its in boxes[model]]
        for model in order
    }
    page = read_page("docs/physics.md")
    for name, figures in rows_of(rows, shared).items():
        assert f"| {name} | rule | {' | '.join(figures)} |" in page
