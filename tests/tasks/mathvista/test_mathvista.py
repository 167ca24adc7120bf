"""MathVista's figures equal those of the published outputs, and nobody's guess is a mark of the model."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from harness.errors import DataError, UsageError
from harness.marking import Answered, mark_answers
from harness.results import Marked
from harness.stats import estimate
from strop.commands.score import score_app
from tasks.mathvista.answers import load_answers
from tasks.mathvista.marks import mathvista_metrics, score_mathvista
from tasks.mathvista.questions import Size
from tasks.mathvista.readers import (
    MATHVISTA_PROFILES,
    Question,
    Reply,
    edit_distance,
    read_official,
    read_official_old_integers,
    read_strict,
)
from tasks.mathvista.task import MathVista
from tests.support.questions import CHOICE, METADATA, QUESTION

RUNS = (
    "bard/bard",
    "chatgpt/chatgpt",
    "chatgpt/chatgpt_2shot_code",
    "gpt4/gpt4_2shot_solution_use_ocr",
    "claude/claude",
    "llava/llava_llama_2_13b",
    "llavar/llavar",
    "instruct_blip2/instruct_blip2_vicuna_13b",
)
RULES = {"integer_old": "official/integer_old", "integer_new": "official"}


def _marked(answered: Answered, profile: str) -> Sequence[Marked]:
    return mark_answers(answered.task, answered.samples, answered.answers, profile=profile).rows


def _totals(rows: Sequence[Marked]) -> Counter[str]:
    total: Counter[str] = Counter()
    for row in rows:
        total.update({name: int(count) for name, count in row.counts.items()})
    return total


def _cells(scores: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The cells of a published score file by our names, and the whole under its own, "average"."""
    return {
        f"{key}/{value}": cell for key, values in scores.items() if key != "average" for value, cell in values.items()
    } | {"average": scores["average"]}


@pytest.fixture(scope="module")
def outputs(conformance: Path, expected: dict[str, Any]) -> dict[str, Answered]:
    return {run: load_answers(conformance / expected[f"mathvista/{run}"]["outputs"]) for run in RUNS}


def test_the_runs_are_all_those_with_expected_figures(expected: dict[str, Any]) -> None:
    assert {f"mathvista/{run}" for run in RUNS} | {"mathvista/questions"} == {
        entry for entry in expected if entry.startswith("mathvista/")
    }


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("run", RUNS)
def test_published_outputs_score_what_they_score_under_both_integer_rules(
    outputs: dict[str, Answered], expected: dict[str, Any], run: str, rule: str
) -> None:
    figures = expected[f"mathvista/{run}"]["recomputed"][rule]
    rows = _marked(outputs[run], RULES[rule])
    total = _totals(rows)
    missing = expected[f"mathvista/{run}"]["missing_extraction"]
    assert (total["asked"], total["right"]) == (figures["n"], figures["correct"])
    # An answer without an extraction is unread as well, and not among the unreadable ones of that file.
    assert total["question_type/free_form/unread"] == total["unread"] == figures["unreadable_free_form"] + missing
    result = estimate(rows, mathvista_metrics(), draws=1)
    assert result["accuracy"].value == pytest.approx(figures["accuracy"], abs=1e-9)


@pytest.mark.parametrize("run", RUNS)
def test_every_published_cell_follows_from_its_outputs_but_for_those_that_are_named(
    conformance: Path, outputs: dict[str, Answered], expected: dict[str, Any], run: str
) -> None:
    entry = expected[f"mathvista/{run}"]
    published = _cells(json.loads((conformance / entry["scores"]).read_text()))
    rule = entry["profile"].removeprefix("official/")
    for item, profile in RULES.items():
        rows = _marked(outputs[run], profile)
        total = _totals(rows)
        ours = {name: (total[f"{name}/right"], total[f"{name}/asked"]) for name in outputs[run].info["cells"]}
        theirs = {name: (cell["correct"], cell["total"]) for name, cell in published.items() if name != "average"}
        assert ours.keys() == theirs.keys()
        assert len(ours) == entry["cells"]["of"] == 74
        assert sum(ours[name] == theirs[name] for name in ours) == entry["cells"][f"equal_to_published_with_{item}"]
        if item == rule:
            unequal = {name for name in ours if ours[name] != theirs[name]}
            assert unequal == {f"{cell['key']}/{cell['value']}" for cell in entry["cells"]["not_equal"]}
            for cell in entry["cells"]["not_equal"]:
                name = f"{cell['key']}/{cell['value']}"
                assert [list(ours[name]), list(theirs[name])] == [cell["recomputed"], cell["published"]]
            figures = estimate(rows, mathvista_metrics(outputs[run].info["cells"]), draws=1)
            for name in ours.keys() - unequal:
                assert f"{100 * (figures[f'{name}/accuracy'].value or 0):.2f}" == published[name]["accuracy"]
                assert figures[f"{name}/accuracy"].n == published[name]["total"]
            whole = published["average"]
            assert (total["right"], total["asked"]) == (whole["correct"], whole["total"])
            assert total["right"] == entry["published"]["correct"]
            assert round(figures["accuracy"].value or 0, 3) == entry["published"]["accuracy"]
            assert f"{100 * (figures['accuracy'].value or 0):.1f}" == f"{float(whole['accuracy']):.1f}"


def test_chatgpts_unequal_cell_comes_of_one_question_annotated_later(outputs: dict[str, Answered]) -> None:
    cell = "skills/geometry reasoning"
    of = {run: {s.id for s in outputs[run].samples if cell in s.target.cells} for run in RUNS[:2]}
    assert of["chatgpt/chatgpt"] - of["bard/bard"] == {"4"}
    unread = [row for row in _marked(outputs["chatgpt/chatgpt"], "official") if row.id in ("2", "4")]
    assert [(row.value, row.parsed, row.counts["unread"]) for row in unread] == [(0.0, None, 1)] * 2


def test_what_was_invented_for_blank_responses_is_no_mark_of_the_model(
    outputs: dict[str, Answered], expected: dict[str, Any]
) -> None:
    run = "instruct_blip2/instruct_blip2_vicuna_13b"
    figures = expected[f"mathvista/{run}"]["empty_response"]
    blank = {row.id for row in _marked(outputs[run], "strict") if not row.answer.strip()}
    assert len(blank) == figures["rows"] == outputs[run].info["extracted_from_blank"] == figures["with_an_extraction"]
    official = [row for row in _marked(outputs[run], "official/integer_old") if row.id in blank]
    assert sum(row.value for row in official) == figures["counted_correct"]
    strict = [row for row in _marked(outputs[run], "strict") if row.id in blank]
    assert all((row.value, row.parsed, row.counts["unread"]) == (0.0, None, 1) for row in strict)


@pytest.mark.parametrize("run", RUNS)
def test_annotated_again_later_the_questions_kept_their_answers(
    conformance: Path, expected: dict[str, Any], run: str
) -> None:
    testmini = conformance / "mathvista/testmini.json"
    entry = expected[f"mathvista/{run}"]
    # `load_answers` refuses another gold answer, and marks by the output file's own annotation.
    answered = load_answers(conformance / entry["outputs"], testmini)
    later = json.loads(testmini.read_text())
    rows = json.loads(gzip.decompress((conformance / entry["outputs"]).read_bytes()))
    differs = {
        name: sum(rows[pid][name] != later[pid][name] for pid in rows) for name in ("metadata", "question", "answer")
    }
    assert differs == entry["differs_from_testmini"]
    assert len(answered.samples) == 1000


def test_the_questions_are_those_that_the_readme_counts(conformance: Path, expected: dict[str, Any]) -> None:
    figures = expected["mathvista/questions"]["recomputed"]
    testmini = conformance / "mathvista/testmini.json"
    questions = json.loads(testmini.read_text())
    assert len(questions) == figures["testmini"]
    for key in ("question_type", "answer_type"):
        assert Counter(row[key] for row in questions.values()) == figures[key]
    assert len(json.loads((conformance / "mathvista/query.json").read_text())) == figures["query_json"]
    pictures = list((conformance / "mathvista/images").glob("*.png"))
    assert len(pictures) == figures["images"]
    assert sorted({questions[path.stem]["metadata"]["source"] for path in pictures}) == figures["image_source"]


@pytest.mark.parametrize(
    ("profile", "wrong"),
    [
        # Lists are left to a language model there, and options called "(b)" are taken for letters of others.
        ("official", {"168", "225", "506", "849"}),
        ("official/integer_old", {"168", "225", "506", "849"}),
        ("strict", set()),
    ],
)
def test_the_gold_answers_of_testmini_get_full_marks(
    conformance: Path, tmp_path: Path, profile: str, wrong: set[str]
) -> None:
    testmini = conformance / "mathvista/testmini.json"
    questions = json.loads(testmini.read_text())
    lines = [json.dumps({"pid": pid, "response": row["answer"]}) for pid, row in questions.items()]
    (tmp_path / "gold.jsonl").write_text("\n".join(lines))
    rows = _marked(load_answers(tmp_path / "gold.jsonl", testmini), profile)
    assert {row.id for row in rows if row.value != 1.0} == wrong


def test_the_command_prints_the_published_figure(conformance: Path, expected: dict[str, Any]) -> None:
    entry = expected["mathvista/instruct_blip2/instruct_blip2_vicuna_13b"]
    arguments = ["mathvista", "--answers", str(conformance / entry["outputs"]), "--profile"]
    done = CliRunner().invoke(score_app, [*arguments, "official/integer_old", "--json"])
    assert done.exit_code == 0
    printed = json.loads(done.stdout)
    accuracy = printed["metrics"]["accuracy"]
    assert (accuracy["value"], accuracy["n"]) == (pytest.approx(entry["published"]["accuracy"], abs=1e-9), 1000)
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    table = CliRunner().invoke(score_app, [*arguments, "all"]).stdout
    assert "343 blank responses have an extraction" in table
    assert "answers are not read alike by all profiles" in table


def test_a_smaller_file_is_refused_by_the_file_to_get_or_marked_in_part(
    conformance: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    rows = json.loads(gzip.decompress((conformance / expected["mathvista/bard/bard"]["outputs"]).read_bytes()))
    (tmp_path / "some.json").write_text(json.dumps({pid: rows[pid] for pid in list(rows)[:50]}))
    with pytest.raises(DataError, match=r"some\.json holds 50 questions, \d+ of them with options, but testmini has 1"):
        load_answers(tmp_path / "some.json")
    with pytest.raises(DataError, match=r"no answer to 950 questions"):
        load_answers(tmp_path / "some.json", conformance / "mathvista/testmini.json")
    answered = load_answers(tmp_path / "some.json", conformance / "mathvista/testmini.json", partial=True)
    assert (len(answered.samples), len(answered.info["unanswered"])) == (50, 950)
    assert len(load_answers(tmp_path / "some.json", partial=True).samples) == 50


YES_NO = Question(question_type="multi_choice", answer_type="text", answer="No", options=("Yes", "No"))
ANGLES = dataclasses.replace(YES_NO, answer="140°", options=("140°", "130°", "the angle cannot be known"))
INTEGER = Question(question_type="free_form", answer_type="integer", answer="5")
FLOAT = dataclasses.replace(INTEGER, answer_type="float", answer="1.2", precision=1)
LIST = dataclasses.replace(INTEGER, answer_type="list", answer="[1, 2]")

# (question, stored extraction or None, response): as the profiles are listed, the two official ones first, strict last
TABLE = [
    (YES_NO, "B", "", ("No", "No", "No", None, None)),
    (YES_NO, "(b) No", "Yes", ("No", "No", "Yes", "Yes", "Yes")),
    (YES_NO, "Nope", "I see none", ("No", "No", None, "No", None)),
    (YES_NO, "", "", ("No", "No", "No", None, None)),
    (YES_NO, None, "", ("No", "No", "No", None, None)),
    (YES_NO, None, "No", ("No", "No", "No", "No", "No")),
    (YES_NO, None, "no.", (None, None, None, "No", "No")),
    (YES_NO, None, 'The answer is "B".', ("No", "No", None, None, "No")),
    (YES_NO, None, "B", (None, None, None, "No", "No")),
    (YES_NO, None, "So the answer is **(B) No**.", (None, None, None, "No", "No")),
    (YES_NO, None, "(A) Yes (B) No", (None, None, None, None, None)),
    (ANGLES, "141", "\\boxed{140^\\circ}", ("140°", "140°", None, None, "140°")),
    (ANGLES, None, "答案:B", (None, None, None, "130°", "130°")),
    (ANGLES, None, "It has 140°.\n\nA", (None, None, None, "140°", "140°")),
    (INTEGER, "5", "It is 7.", ("5", "5", None, None, "7")),
    (INTEGER, "5.0", "5.0", ("5", None, None, None, "5")),
    (INTEGER, "5.9", "5.9", ("5", None, None, None, "5.9")),
    (INTEGER, "N/A", "I cannot know.", (None, None, None, None, None)),
    (INTEGER, "1e999", "1" * 400, (None, None, None, "1" * 400, None)),
    (INTEGER, None, "5", ("5", "5", "5", "5", "5")),
    (INTEGER, None, "5.0", (None, None, None, None, "5")),
    (INTEGER, None, "", (None, None, None, None, None)),
    (INTEGER, None, "The answer is 5 of the 7.", (None, None, None, None, "5")),
    (INTEGER, None, "The answer to the question is **25**.\nThere are 3.", (None, None, None, None, "25")),
    (INTEGER, None, "So \\boxed{5} and not 6", (None, None, None, None, "5")),
    (INTEGER, None, "12 - 7 = 5", (None, None, None, None, "5")),
    (INTEGER, None, "8-3", (None, None, None, None, None)),
    (INTEGER, None, "it is -5", (None, None, None, None, "-5")),
    (INTEGER, None, "about 368,740 cm^2", (None, None, None, None, "368740")),
    (INTEGER, None, "1, 2 and 3", (None, None, None, None, "3")),
    (FLOAT, "1.23", "1.16 m", ("1.2", "1.2", None, None, "1.2")),
    (FLOAT, "-0.01", "-0.01", ("-0.0", "-0.0", "-0.0", "-0.01", "0.0")),
    (FLOAT, None, "1.2", ("1.2", "1.2", "1.2", "1.2", "1.2")),
    (FLOAT, None, "\\frac{6}{5}", (None, None, None, None, "1.2")),
    (FLOAT, None, "1/0", (None, None, None, None, None)),
    (LIST, "[1, 2]", "they are [1,2.0].", ("[1, 2]", "[1, 2]", None, None, "[1, 2]")),
    (LIST, None, "1 and 2", (None, None, None, None, None)),
]


@pytest.mark.parametrize(("question", "extraction", "response", "read"), TABLE)
def test_every_profile_reads_as_its_rule_says(
    question: Question, extraction: str | None, response: str, read: tuple[str | None, ...]
) -> None:
    reply = Reply(response=response, extraction=extraction)
    assert tuple(reader(reply, question) for reader in MATHVISTA_PROFILES.values()) == read


def test_the_official_rule_gives_a_blank_the_shortest_option_and_ours_gives_it_nothing() -> None:
    blank = Reply(response="", extraction="")
    right = dataclasses.replace(ANGLES, answer="140°")
    assert score_mathvista(right, blank, "official").value == 1.0
    ours = score_mathvista(right, blank, "strict")
    assert (ours.value, ours.parsed, ours.counts["unread"]) == (0.0, None, 1)


@pytest.mark.parametrize(
    ("first", "other", "distance"), [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)]
)
def test_the_edit_distance_counts_insertions_deletions_and_replacements(first: str, other: str, distance: int) -> None:
    assert edit_distance(first, other) == edit_distance(other, first) == distance


TEXTS = st.text() | st.text(alphabet="0123456789.,-/eE[]^{} \\boxedanswer is:(ABC)\n")
QUESTIONS = st.sampled_from([YES_NO, ANGLES, INTEGER, FLOAT, LIST])


@pytest.mark.parametrize("profile", MATHVISTA_PROFILES)
@given(question=QUESTIONS, response=TEXTS, extraction=st.none() | TEXTS)
def test_reading_raises_on_no_text_and_names_only_options_that_exist(
    profile: str, question: Question, response: str, extraction: str | None
) -> None:
    read = MATHVISTA_PROFILES[profile](Reply(response=response, extraction=extraction), question)
    assert read is None or not question.options or read in question.options


@given(options=st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=8, unique=True), count=st.integers(0, 7))
def test_the_gold_letter_earns_full_marks_under_every_profile(options: list[str], count: int) -> None:
    count %= len(options)
    question = dataclasses.replace(YES_NO, options=tuple(options), answer=options[count])
    letter = "ABCDEFGH"[count]
    for extraction in (letter, f"({letter})", f"({letter.lower()})"):
        for reader in (read_official, read_official_old_integers):
            assert reader(Reply(response="", extraction=extraction), question) == options[count]
    for response in (letter, f"({letter})", f"The answer is {letter}."):
        assert read_strict(Reply(response=response), question) == options[count]


@given(number=st.integers(-(10**12), 10**12), words=st.sampled_from(["{}", "It is {}.", "The answer is {}", "${}$"]))
def test_a_number_said_is_the_number_read(number: int, words: str) -> None:
    for shown in (str(number), f"{number:,}"):
        question = dataclasses.replace(INTEGER, answer=str(number))
        assert score_mathvista(question, Reply(response=words.format(shown)), "strict").value == 1.0


def test_a_profile_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"'gpt4'; it has official, official/integer_old, lmms-eval/rules, vlmeval"):
        score_mathvista(INTEGER, Reply(response="5"), "gpt4")


ROWS = {"1": {**QUESTION, "response": "5"}, "2": {**CHOICE, "response": "B", "extraction": "A"}}


def _files(folder: Path, outputs: Any = ROWS, questions: Any = None, **options: Any) -> Answered:
    for name, value in {"outputs": outputs, "testmini": questions}.items():
        (folder / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))
    testmini = None if questions is None else folder / "testmini.json"
    return load_answers(folder / "outputs.json", testmini, **{"size": None, **options})


def test_a_question_is_counted_in_each_of_its_skills(tmp_path: Path) -> None:
    files = _files(tmp_path)
    rows = _marked(files, "strict")
    total = _totals(rows)
    assert (total["right"], total["asked"]) == (1, 2)
    for skill in METADATA["skills"]:
        assert (total[f"skills/{skill}/right"], total[f"skills/{skill}/asked"]) == (1, 2)
    assert (total["question_type/multi_choice/right"], total["question_type/multi_choice/asked"]) == (0, 1)
    assert [row.cluster for row in rows] == ["images/1.jpg"] * 2


def test_all_layouts_of_outputs_are_the_same_samples(tmp_path: Path) -> None:
    def samples(answered: Answered) -> tuple[object, ...]:
        assert isinstance(answered.task, MathVista)
        return answered.samples, answered.answers, answered.task.extractions

    whole = _files(tmp_path)
    lines = "\n".join(json.dumps(row) for row in ROWS.values())
    assert samples(_files(tmp_path, lines)) == samples(whole)
    bare = {pid: {name: row[name] for name in ("response", "extraction") if name in row} for pid, row in ROWS.items()}
    apart = _files(tmp_path, bare, {"1": QUESTION, "2": CHOICE})
    assert samples(apart) == samples(whole)


def test_a_program_answers_by_what_it_printed(tmp_path: Path) -> None:
    files = _files(tmp_path, {"1": {**QUESTION, "response": "print(2 + 3)", "execution": "5"}})
    assert files.answers == ("5",)


def test_a_table_whose_column_of_programs_is_blank_is_read_by_its_responses(tmp_path: Path) -> None:
    rows = [{"pid": pid, "response": row["response"], "execution": ""} for pid, row in ROWS.items()]
    files = _files(tmp_path, rows, ASKED | {"2": CHOICE})
    assert (files.answers, files.info["blank_executions"]) == (("5", "B"), 0)
    without = [{**row, "execution": None} for row in rows]
    assert _files(tmp_path, without, ASKED | {"2": CHOICE}).answers == ("5", "B")


@pytest.mark.parametrize("left_out", [("metadata", "choices"), ("image",)], ids=["VLMEvalKit", "lmms-eval"])
def test_a_row_with_a_part_of_its_question_is_marked_by_testmini(tmp_path: Path, left_out: tuple[str, ...]) -> None:
    whole = {**CHOICE, "response": "A", "precision": 1.0}
    row = {name: value for name, value in whole.items() if name not in left_out}
    files = _files(tmp_path, {"2": row}, {"2": CHOICE})
    assert _totals(_marked(files, "strict"))["right"] == 1
    with pytest.raises(DataError, match="is missing"):
        _files(tmp_path, {"2": row})


def test_a_tables_precision_is_a_whole_number_though_it_says_1_0(tmp_path: Path) -> None:
    row = {**QUESTION, "answer_type": "float", "answer": "5.0", "precision": 1.0, "response": "5.04"}
    assert _totals(_marked(_files(tmp_path, {"1": row}), "strict"))["right"] == 1


def test_a_hostile_query_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="query is"):
        _files(tmp_path, {"1": {**QUESTION, "query": "n_0 " * 400 + "zzz", "question": "word " * 400, "response": "5"}})


def test_an_outage_is_no_answer_and_no_mark(tmp_path: Path) -> None:
    outage = {**ROWS, "1": {**QUESTION, "error": "the service did not reply"}}
    with pytest.raises(DataError, match=r"no answer to 1 question: 1; complete the file"):
        _files(tmp_path, outage)
    files = _files(tmp_path, outage, partial=True)
    assert ([sample.id for sample in files.samples], files.info["unanswered"]) == (["2"], ["1"])


def test_a_split_of_another_size_is_refused(tmp_path: Path) -> None:
    assert len(_files(tmp_path, size=Size(questions=2, multi_choice=1)).samples) == 2
    with pytest.raises(DataError, match=r"holds 2 questions, 1 of them with options, but testmini has 2 and 2; get"):
        _files(tmp_path, size=Size(questions=2, multi_choice=2))


def _one(**fields: Any) -> dict[str, Any]:
    return {"1": {**QUESTION, "response": "5", **fields}}


MALFORMED = [
    ("{", r"outputs\.json:1: not valid JSON"),
    ("", r"outputs\.json is empty"),
    ({"1": []}, r"outputs\.json: pid 1: expected an object, found list; the file to name is the file of outputs"),
    (
        {"acc": 0.5},
        r"pid acc: expected an object, found float; the file to name is the file of outputs, output_<model>",
    ),
    (
        {"average": {"accuracy": "1.0"}},
        r"pid average: field 'response' is missing; found accuracy; the file to name is",
    ),
    ({"1": {"response": "5"}}, r"outputs\.json: pid 1: the row has no question in it; name testmini\.json"),
    (_one(pid="2"), r"outputs\.json: pid 1: field 'pid' must be the row's own key, 1, found \"2\""),
    (_one(response=5), r"pid 1: field 'response' must be a string, found 5"),
    (_one(response=None), r"pid 1: field 'response' must be a string, found null"),
    (_one(extraction=5), r"pid 1: field 'extraction' must be a string, found 5"),
    (_one(question_type="essay"), r"pid 1: field 'question_type' must be one of multi_choice, free_form"),
    (_one(answer_type="float"), r"pid 1: field 'precision' must be an integer, found null"),
    (_one(question_type="multi_choice"), r"pid 1: field 'choices' must be a list of strings, found null"),
    (_one(question_type="multi_choice", choices=["1"]), r"pid 1: field 'answer' must be one of the choices"),
    (_one(metadata={}), r"pid 1: metadata: field 'language' is missing"),
    ('{"pid": 1, "response": "5"}\n' * 2, r"outputs\.json:2: pid 1 was already given at .*outputs\.json:1"),
    ('{"1": {}, "1": {}}', r"outputs\.json: the key '1' is given twice"),
]


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_a_malformed_file_is_refused_by_file_and_place(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _files(tmp_path, content)


def test_answers_to_other_questions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"1 of 2 rows names another question .*: pid 1: answer is '5' where .* is '6'\)"
    ):
        _files(tmp_path, ROWS, {"1": {**QUESTION, "answer": "6"}, "2": CHOICE})
    with pytest.raises(DataError, match=r"pid 2 is no question of .*testmini\.json; another set's answers"):
        _files(tmp_path, ROWS, {"1": QUESTION})


ASKED = {"1": QUESTION, "2": {**CHOICE, "question": "Which one?", "image": "images/2.jpg"}}


@pytest.mark.parametrize(
    ("names", "field"),
    [
        ({"query": "Hint: an integer.\nQuestion: Which one?"}, "query"),
        ({"question": "Which one?"}, "question"),
        ({"prompt": "Which one? Say a number."}, "prompt"),
        ({"image": "images/2.jpg"}, "image"),
        ({"image": 2}, "image"),
        ({"answer": "6"}, "answer"),
    ],
)
def test_a_row_that_names_another_question_picture_or_answer_is_refused(
    tmp_path: Path, names: dict[str, Any], field: str
) -> None:
    with pytest.raises(DataError, match=rf"1 of 1 row names another question .*outputs\.json: pid 1: {field} is"):
        _files(tmp_path, {"1": {"response": "5", **names}}, ASKED, partial=True)


def test_a_rows_own_question_and_its_query_are_one(tmp_path: Path) -> None:
    row = {**QUESTION, "question": "What is N_0 + 1?", "response": "5", "query": "Hint: an integer.\nWhat is 4.0 + 1?"}
    assert len(_files(tmp_path, {"1": row}, partial=True).samples) == 1, "the older wording leaves numbers open"
    with pytest.raises(DataError, match="query is"):
        _files(tmp_path, {"1": {**row, "query": "Hint: an integer.\nWhat is 4.0 - 1?"}}, partial=True)


@pytest.mark.parametrize(
    "names",
    [
        {"query": "Hint: an integer.\nQuestion:  how MANY?"},
        {"question": "How many?"},
        {"image": "1"},
        {"answer": 5},
        {},
    ],
)
def test_a_row_may_name_its_question_in_any_form(tmp_path: Path, names: dict[str, Any]) -> None:
    files = _files(tmp_path, {"1": {"response": "5", **names}}, ASKED, partial=True)
    assert (len(files.samples), files.info["unnamed"]) == (1, int(not {"query", "question", "image"} & names.keys()))


# What is headlined and told -------------------------------------------------------------------------------------------

WITHOUT = {
    "bard/bard": ("32.20", []),
    "gpt4/gpt4_2shot_solution_use_ocr": ("22.00", ["unread of 1000 answers: 54.5 % by strict"]),
    "llava/llava_llama_2_13b": ("18.80", ["unread of 1000 answers: 22.9 % by strict"]),
    "llavar/llavar": ("12.40", ["unread of 1000 answers: 38.4 % by strict"]),
}
"""Run -> what its responses earn without the stored extractions, and what is told of it."""


def _score(path: Path, *words: str) -> list[str]:
    """The lines below the table."""
    lines = CliRunner().invoke(score_app, ["mathvista", "--answers", str(path), *words]).stdout.splitlines()
    return lines[next(n for n, line in enumerate(lines) if line.startswith("accuracy: ")) :]


@pytest.mark.parametrize("run", WITHOUT)
def test_without_stored_extractions_strict_is_the_headline_and_official_says_why_it_reads_nothing(
    conformance: Path, expected: dict[str, Any], tmp_path: Path, run: str
) -> None:
    rows = json.loads(gzip.decompress((conformance / expected[f"mathvista/{run}"]["outputs"]).read_bytes()))
    bare = {pid: {name: row[name] for name in row if name != "extraction"} for pid, row in rows.items()}
    (tmp_path / "outputs.json").write_text(json.dumps(bare))
    value, notes = WITHOUT[run]
    headline, *messages = _score(tmp_path / "outputs.json")
    assert headline.startswith(f"accuracy: strict {value} ")
    assert messages == notes
    headline, *messages = _score(tmp_path / "outputs.json", "--profile", "official")
    assert headline.startswith("accuracy: official ")
    assert messages[0] == "official reads stored extractions: 1000 of 1000 answers have none"
    assert messages[-1].endswith(f" by official and {value} by strict: the same answers")


@pytest.mark.reported("numbers")
def test_strict_seldom_reads_another_number_or_option_than_the_authors_took_out(outputs: dict[str, Answered]) -> None:
    marks = {run: [_marked(outputs[run], profile) for profile in ("official", "strict")] for run in RUNS}
    pairs = [(official, strict) for both in marks.values() for official, strict in zip(*both, strict=True)]
    assert sum(strict.value > official.value for official, strict in pairs) == 80
    assert sum(strict.value < official.value and strict.parsed is not None for official, strict in pairs) == 85
    assert {run: sum(row.value for row in strict) for run, (_, strict) in marks.items()} == {
        "bard/bard": 322,
        "chatgpt/chatgpt": 214,
        "chatgpt/chatgpt_2shot_code": 203,
        "gpt4/gpt4_2shot_solution_use_ocr": 220,
        "claude/claude": 255,
        "llava/llava_llama_2_13b": 188,
        "llavar/llavar": 124,
        "instruct_blip2/instruct_blip2_vicuna_13b": 46,
    }


def test_with_stored_extractions_official_is_the_headline_with_strict_beside_it(
    conformance: Path, expected: dict[str, Any]
) -> None:
    headline, *messages = _score(conformance / expected["mathvista/bard/bard"]["outputs"])
    assert headline.startswith("accuracy: official 34.80 ")
    assert messages == ["accuracy is 34.80 by official and 32.20 by strict: the same answers"]


def test_a_blank_extraction_is_nobodys_and_a_blank_execution_is_no_blank_response(tmp_path: Path) -> None:
    rows = {
        "1": {**QUESTION, "response": "", "extraction": ""},
        "2": {**CHOICE, "response": "", "extraction": "5"},
        "3": {**QUESTION, "pid": "3", "response": "print()", "execution": "", "extraction": "5"},
        "4": {**QUESTION, "pid": "4", "response": "5", "extraction": "5"},
    }
    info = _files(tmp_path, rows).info
    counts = {name: info[name] for name in ("extracted", "extracted_from_blank", "blank_executions")}
    assert counts == {"extracted": 3, "extracted_from_blank": 1, "blank_executions": 1}
    _, *messages = _score(tmp_path / "outputs.json", "--partial")
    assert messages[:3] == [
        "official reads stored extractions: 1 of 4 answers have none",
        "1 blank response has an extraction, which no model here said",
        "1 program printed nothing (blank `execution`), which is no blank response",
    ]
    assert messages[-3:] == [
        "unread of 4 answers: 25.0 % by official",
        "3 blank answers earn 2 of the 3 marks by official",
        "accuracy is 75.00 by official and 25.00 by strict: the same answers",
    ]


def test_a_cut_off_or_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode())[:-12])
    with pytest.raises(DataError, match=r"cut\.json\.gz: cannot be read"):
        load_answers(tmp_path / "cut.json.gz")
    with pytest.raises(DataError, match=r"none\.json: no such file; name the file of outputs"):
        load_answers(tmp_path / "none.json")
