"""ScienceQA's figures equal those of the published runs, and files that are not the test split are refused."""

from __future__ import annotations

import dataclasses
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
from tasks.reading.readers import LETTERS, OPTION_PROFILES, read_option_strict
from tasks.scienceqa.answers import load_answers
from tasks.scienceqa.marks import Problem, scienceqa_metrics, score_scienceqa
from tasks.scienceqa.questions import INSTRUCTION, Size, scienceqa_prompt

RUNS = ("scienceqa/llava-1.5-13b", "scienceqa/gpt3-QCM-ALE")
OURS = {"llava": "official", "lmms-eval": "lmms-eval"}


@pytest.fixture(scope="module")
def questions(conformance: Path) -> Path:
    return conformance / "scienceqa/llava_test_CQM-A.json"


def _load(conformance: Path, expected: dict[str, Any], run: str) -> Answered:
    files = expected[run]
    return load_answers(
        conformance / files["outputs"],
        conformance / files["questions"],
        conformance / "scienceqa/pid_splits.json",
    )


def _marked(answered: Answered, profile: str) -> Sequence[Marked]:
    return mark_answers(answered.task, answered.samples, answered.answers, profile=profile).rows


def _same_figures(rows: Sequence[Marked], figures: dict[str, Any]) -> None:
    """Counts exactly and accuracies, which are printed as percentages, to 1e-9."""
    total: Counter[str] = Counter()
    for row in rows:
        total.update({name: int(count) for name, count in row.counts.items()})
    names = {"n": "asked", "correct": "right", "unreadable": "unread"}
    names |= {f"image_{name}": f"image/{count}" for name, count in names.items()}
    counted = {name: total[count] for name, count in names.items()}
    assert {name: counted[name] for name in counted if name in figures} == {
        name: figures[name] for name in counted if name in figures
    }
    result = estimate(rows, scienceqa_metrics(), draws=1)
    for name, theirs in {"accuracy": "accuracy", "image/accuracy": "image_accuracy"}.items():
        assert 100 * (result[name].value or 0) == pytest.approx(figures[theirs], abs=1e-9)
    assert (result["accuracy"].n, result["image/accuracy"].n) == (figures["n"], figures["image_n"])


@pytest.mark.parametrize("theirs", OURS)
@pytest.mark.parametrize("run", RUNS)
def test_published_outputs_score_what_they_score(
    conformance: Path, expected: dict[str, Any], run: str, theirs: str
) -> None:
    rows = _marked(_load(conformance, expected, run), OURS[theirs])
    figures = expected[run]["recomputed"][theirs]
    _same_figures(rows, figures["all"])
    first = set(json.loads((conformance / "scienceqa/image_pids.json").read_text())["pids"])
    assert len(first) == 200
    _same_figures([row for row in rows if row.id in first], figures["first_200_with_image"])


def test_llava_13b_scores_what_llava_prints(conformance: Path, expected: dict[str, Any]) -> None:
    run = expected["scienceqa/llava-1.5-13b"]
    rows = _marked(_load(conformance, expected, "scienceqa/llava-1.5-13b"), "official")
    result = {name: 100 * (value.value or 0) for name, value in estimate(rows, scienceqa_metrics(), draws=1).items()}
    assert result["accuracy"] == pytest.approx(run["published"]["accuracy"], abs=1e-9)
    assert round(result["image/accuracy"], 1) == run["published"]["image_accuracy"]
    assert sum(row.value for row in rows) == run["published"]["correct"]


def test_gpt3s_printed_figure_does_not_follow_from_its_outputs_but_from_options_put_where_there_was_no_answer(
    conformance: Path, expected: dict[str, Any]
) -> None:
    run = expected["scienceqa/gpt3-QCM-ALE"]
    answered = _load(conformance, expected, "scienceqa/gpt3-QCM-ALE")
    rows = _marked(answered, "official")
    assert sum(row.value for row in rows) == 3061 != run["published"]["correct"]
    picks = answered.info["stored_picks"]
    assert picks == {
        "correct": run["from_stored_results"]["correct"],
        "image_correct": run["from_stored_results"]["image_correct"],
        "not_in_outputs": run["stored_results_that_differ_from_the_llava_profile"],
    }
    assert 100 * picks["correct"] / 4241 == pytest.approx(run["published"]["accuracy"], abs=1e-9)
    assert 100 * picks["correct"] / 4241 == pytest.approx(run["from_stored_results"]["accuracy"], abs=1e-9)
    assert round(100 * picks["image_correct"] / 2017, 2) == run["published"]["image_accuracy"]
    assert 100 * picks["image_correct"] / 2017 == pytest.approx(run["from_stored_results"]["image_accuracy"], abs=1e-9)
    stored = json.loads((conformance / run["outputs"]).read_text())["results"]
    unread = [row for row in rows if row.parsed is None]
    gold = {sample.id: LETTERS.index(sample.target.gold) for sample in answered.samples}
    assert (len(unread), sum(not row.answer for row in unread)) == (249, 243)
    assert sum(stored[row.id] == gold[row.id] for row in unread) == 127 == picks["correct"] - 3061


def test_llava_13bs_own_picks_are_what_its_outputs_say(conformance: Path, expected: dict[str, Any]) -> None:
    run = expected["scienceqa/llava-1.5-13b"]
    picks = _load(conformance, expected, "scienceqa/llava-1.5-13b").info["stored_picks"]
    assert picks == {
        "correct": run["from_stored_results"]["correct"],
        "image_correct": run["from_stored_results"]["image_correct"],
        "not_in_outputs": run["stored_results_that_differ_from_the_llava_profile"],
    }


def test_the_questions_are_those_that_the_readme_counts(
    conformance: Path, expected: dict[str, Any], questions: Path
) -> None:
    figures = expected["scienceqa/questions"]["recomputed"]
    samples = _load(conformance, expected, "scienceqa/llava-1.5-13b").samples
    assert (len(samples), sum("image" in s.target.cells for s in samples)) == (figures["test"], figures["with_image"])
    assert Counter(str(len(s.target.options)) for s in samples) == figures["choices"]
    assert Counter(s.target.gold for s in samples) == figures["gold"]
    splits = json.loads((conformance / "scienceqa/pid_splits.json").read_text())
    assert {name: len(ids) for name, ids in splits.items()} == figures["pid_splits"]
    assert [sample.id for sample in samples] == splits["test"]
    folders = [path for path in (conformance / "scienceqa/images").iterdir() if path.is_dir()]
    assert len(folders) == figures["image_folders"]
    assert Counter(path.name for folder in folders for path in folder.iterdir()) == figures["files"]


def test_every_prompt_is_built_from_its_own_parts(conformance: Path, expected: dict[str, Any]) -> None:
    for sample in _load(conformance, expected, "scienceqa/llava-1.5-13b").samples:
        head = sample.prompt.split("\nA. ", 1)[0]
        if sample.prompt.count("\nA. ") == 1:
            assert sample.prompt == scienceqa_prompt(head, sample.target.options)
        assert ("text" in sample.target.cells) == head.startswith("Context: ")


def test_fewer_questions_than_the_test_split_are_refused_by_the_file_to_get(
    conformance: Path, questions: Path, tmp_path: Path
) -> None:
    (tmp_path / "few.json").write_text(json.dumps(json.loads(questions.read_text())[:100]))
    with pytest.raises(DataError, match=r"few\.json gives 100 questions, \d+ of them.* 4241 and 2017; get .*CQM-A\.js"):
        load_answers(conformance / "scienceqa/outputs/llava-v1.5-13b_result.json", tmp_path / "few.json")


def test_the_first_200_pictures_are_marked_alone_when_only_they_are_answered(
    conformance: Path, expected: dict[str, Any], questions: Path, tmp_path: Path
) -> None:
    first = json.loads((conformance / "scienceqa/image_pids.json").read_text())["pids"]
    outputs = json.loads((conformance / expected[RUNS[0]]["outputs"]).read_text())["outputs"]
    lines = [json.dumps({"question_id": pid, "text": outputs[pid]}) for pid in first]
    (tmp_path / "200.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"no answer to 4041 questions"):
        load_answers(tmp_path / "200.jsonl", questions)
    answered = load_answers(tmp_path / "200.jsonl", questions, partial=True)
    assert len(answered.info["unanswered"]) == 4041
    figures = expected[RUNS[0]]["recomputed"]["llava"]["first_200_with_image"]
    _same_figures(_marked(answered, "official"), figures)


def test_the_command_prints_the_published_figure(conformance: Path, expected: dict[str, Any], questions: Path) -> None:
    answers = conformance / expected[RUNS[0]]["outputs"]
    done = CliRunner().invoke(
        score_app, ["scienceqa", "--answers", str(answers), "--questions", str(questions), "--json"]
    )
    assert done.exit_code == 0
    printed = json.loads(done.stdout)
    assert (printed["task"], printed["profile"]) == ("scienceqa", "official")
    figures = expected[RUNS[0]]["recomputed"]["llava"]["all"]
    entry = printed["metrics"]["image/accuracy"]
    assert 100 * entry["value"] == pytest.approx(figures["image_accuracy"], abs=1e-9)
    assert (entry["n"], entry["low"] < entry["value"] < entry["high"]) == (2017, True)


def test_all_profiles_stand_side_by_side_with_what_they_do_not_read_alike(
    conformance: Path, expected: dict[str, Any]
) -> None:
    answers = conformance / expected[RUNS[1]]["outputs"]
    arguments = ["scienceqa", "--answers", str(answers), "--data", str(conformance), "--profile", "all"]
    printed = json.loads(CliRunner().invoke(score_app, [*arguments, "--json"]).stdout)
    assert {entry["profile"]: entry["metrics"]["unread"]["value"] for entry in printed}["lmms-eval"] == 1.0
    # what lmms-eval cannot read is unlike the others wherever they read anything
    assert {entry["info"]["read_differently"] for entry in printed} == {4241 - 243}
    table = CliRunner().invoke(score_app, arguments).stdout
    assert "3998 answers are not read alike by all profiles" in table
    assert "the file counts 3188 options of its own as right; 249" in table


# answer to a question with the options oxymoron, paradox, pun: official, lmms-eval, vlmeval, strict
OPTIONS = ("oxymoron", "paradox", "pun")
TABLE = {
    "B": ("B", "B", "B", "B"),
    "b": (None, "B", None, "B"),
    " B\n": (None, "B", "B", "B"),
    "B.": (None, "B", "B", "B"),
    "B. paradox": ("B", "B", "B", "B"),
    "B.paradox": (None, "B", "B", "B"),
    "(B)": (None, None, "B", "B"),
    "(B) paradox": (None, None, "B", "B"),
    "B) paradox": (None, None, "B", "B"),
    "The answer is B.": ("B", None, "B", "B"),
    "The answer is B": (None, None, "B", "B"),
    "the answer is B.": (None, None, "B", "B"),
    "The answer is B. The answer is B.": (None, None, "B", "B"),
    "The answer is B. The answer is C.": (None, None, None, None),
    "The answer is **B**": (None, None, "B", "B"),
    "Answer: B": (None, None, "B", "B"),
    "\\boxed{B}": (None, None, "B", "B"),
    "Option A is wrong, so the answer is C": (None, None, None, "C"),
    "It is not (A) but (C)": (None, None, None, "C"),
    "A. oxymoron\nB. paradox\nC. pun": ("A", "A", None, None),
    "paradox": (None, None, "B", "B"),
    "It is a Paradox!": (None, None, "B", "B"),
    "A pun": (None, None, "A", "C"),
    "punch": (None, None, "C", None),
    "D": (None, None, None, None),
    "E. pun": (None, None, "C", None),
    "The answer is E. It is a pun": (None, None, "C", None),
    "Z": (None, None, None, None),
    "I do not know": (None, None, None, None),
    "": (None, None, None, None),
}


@pytest.mark.parametrize("answer", TABLE)
def test_every_profile_reads_as_its_authors_do(answer: str) -> None:
    assert tuple(reader(answer, OPTIONS) for reader in OPTION_PROFILES.values()) == TABLE[answer]


def test_the_profiles_are_the_four_of_the_table_in_its_order() -> None:
    assert list(OPTION_PROFILES) == ["official", "lmms-eval", "vlmeval", "strict"]


def test_an_option_called_by_a_letter_is_meant_by_its_own_name_unless_it_is_an_upper_case_one() -> None:
    assert read_option_strict("(b)", ("(c)", "(b)")) == "B"
    assert read_option_strict("B", ("B", "A")) == "B"


def test_an_option_that_is_part_of_another_is_not_said_by_it() -> None:
    assert read_option_strict("It is an amino acid.", ("acid", "amino acid")) == "B"
    assert read_option_strict("It is 1.5", ("5", "1.5")) == "B"
    assert read_option_strict("x = -5", ("5", "7")) is None


OPTION_LISTS = st.lists(st.text(max_size=12), min_size=2, max_size=5)


@pytest.mark.parametrize("profile", OPTION_PROFILES)
@given(options=OPTION_LISTS, answer=st.text())
def test_reading_raises_on_no_text_and_names_only_options_that_exist(
    profile: str, options: list[str], answer: str
) -> None:
    assert OPTION_PROFILES[profile](answer, options) in (None, *LETTERS[: len(options)])


@pytest.mark.parametrize("profile", OPTION_PROFILES)
@given(options=OPTION_LISTS, count=st.integers(0, 4))
def test_the_gold_letter_earns_full_marks_under_every_profile(profile: str, options: list[str], count: int) -> None:
    gold = LETTERS[count % len(options)]
    score = score_scienceqa(Problem(options=tuple(options), gold=gold), gold, profile)
    assert (score.value, score.parsed) == (1.0, gold)


@given(options=st.lists(st.text(min_size=3), min_size=2), answer=st.text(alphabet="ABCDEab.:() \nTheansweris"))
def test_what_lmms_eval_reads_is_what_strict_reads_unless_the_answer_says_more(options: list[str], answer: str) -> None:
    read = OPTION_PROFILES["lmms-eval"](answer, options)
    if read is not None and len(answer.strip()) <= 2:
        assert read_option_strict(answer, options) == read


@pytest.mark.parametrize("profile", OPTION_PROFILES)
@pytest.mark.parametrize("silence", ["", " ", "\n"])
def test_silence_gets_nothing_and_is_counted(profile: str, silence: str) -> None:
    score = score_scienceqa(Problem(options=OPTIONS, gold="A", cells=("image",)), silence, profile)
    assert (score.value, score.parsed) == (0.0, None)
    assert score.counts == {
        "asked": 1,
        "right": 0,
        "unread": 1,
        "image/asked": 1,
        "image/right": 0,
        "image/unread": 1,
    }


def test_a_profile_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no profile 'llava'; it has official"):
        score_scienceqa(Problem(options=OPTIONS, gold="A"), "A", "llava")


def test_the_prompt_has_a_context_only_where_there_is_a_hint() -> None:
    assert scienceqa_prompt("Why?", ("so", "no")) == f"Why?\nA. so\nB. no\n{INSTRUCTION}"
    assert scienceqa_prompt("Why?", ("so", "no"), "A fox.").startswith("Context: A fox.\nWhy?\nA. so")


PROBLEM = {
    "question": "Which?",
    "choices": ["love,\nZoe", "Love,\nZoe"],
    "answer": 1,
    "hint": "",
    "image": "image.png",
    "grade": "grade7",
    "subject": "language science",
    "split": "test",
}
PROBLEMS = {
    "7": PROBLEM,
    "8": {**PROBLEM, "split": "val"},
    "9": {**PROBLEM, "image": None, "hint": "A letter.", "grade": "grade2", "answer": 0},
    "10": {**PROBLEM, "image": None, "subject": "social science"},
}
RECORD = {
    "id": "7",
    "image": "7/image.png",
    "conversations": [
        {"from": "human", "value": "<image>\nContext: A letter.\nWhich?\nA. love,\nZoe\nB. Love,\nZoe"},
        {"from": "gpt", "value": "B"},
    ],
}
OUTPUTS = {"outputs": {"7": "B", "9": "B. Love", "10": ""}}


def _files(
    folder: Path, outputs: Any = OUTPUTS, problems: Any = PROBLEMS, splits: Any = None, **options: Any
) -> Answered:
    content = {"answers": outputs, "problems": problems, "pid_splits": splits}
    for name, value in content.items():
        (folder / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))
    truth = None if splits is None else folder / "pid_splits.json"
    options = {"size": None, **options}
    return load_answers(folder / "answers.json", folder / "problems.json", truth, **options)


def test_the_authors_problems_are_broken_down_by_context_subject_and_grade(tmp_path: Path) -> None:
    files = _files(tmp_path)
    assert [(s.id, s.target.gold, s.target.cells) for s in files.samples] == [
        ("7", "B", ("image", "subject/language science", "grade/7-12")),
        ("9", "A", ("text", "subject/language science", "grade/1-6")),
        ("10", "B", ("no context", "subject/social science", "grade/7-12")),
    ]
    figures = estimate(_marked(files, "official"), scienceqa_metrics(files.info["cells"]), draws=1)
    shown = {name: (figure.value, figure.n) for name, figure in figures.items() if name.endswith("accuracy")}
    assert shown == {
        "accuracy": (1 / 3, 3),
        "image/accuracy": (1.0, 1),
        "text/accuracy": (0.0, 1),
        "no context/accuracy": (0.0, 1),
        "subject/language science/accuracy": (0.5, 2),
        "grade/7-12/accuracy": (0.5, 2),
        "grade/1-6/accuracy": (0.0, 1),
        "subject/social science/accuracy": (0, 1),
    }


def test_both_layouts_of_questions_and_of_answers_are_the_same_samples(tmp_path: Path) -> None:
    own = {"7": {**PROBLEM, "hint": "A letter."}}
    authors = _files(tmp_path, {"outputs": {"7": "B"}}, own)
    llava = _files(tmp_path, '{"question_id": 7, "text": "B"}', [RECORD])
    (item,), (other,) = authors.samples, llava.samples
    assert other.target == dataclasses.replace(item.target, cells=("image", "text"))
    assert (item.id, item.prompt, item.meta, authors.answers) == (other.id, other.prompt, other.meta, llava.answers)


def test_pid_splits_say_which_problems_are_asked(tmp_path: Path) -> None:
    files = _files(tmp_path, {"outputs": {"8": "A"}}, splits={"test": ["8"]})
    assert [sample.id for sample in files.samples] == ["8"]
    with pytest.raises(DataError, match=r"problems\.json has no problem 11 of .*pid_splits\.json; get LLaVA's"):
        _files(tmp_path, splits={"test": ["11"]})
    with pytest.raises(DataError, match=r"differ in the test split \(8\); get LLaVA's"):
        _files(tmp_path, problems=[RECORD], splits={"test": ["7", "8"]})


def test_a_split_of_another_size_is_refused(tmp_path: Path) -> None:
    assert len(_files(tmp_path, size=Size(questions=3, with_image=1)).samples) == 3
    with pytest.raises(DataError, match=r"gives 3 questions, 1 of them with a picture, but the test split has 3 and 2"):
        _files(tmp_path, size=Size(questions=3, with_image=2))


TURNS = RECORD["conversations"]
MALFORMED = [
    ({"outputs": "{"}, r"answers\.json:1: not valid JSON"),
    ({"outputs": ""}, r"answers\.json is empty"),
    ({"outputs": {"7": "B"}}, r"answers\.json: field 'outputs' is missing; found 7"),
    ({"outputs": {"outputs": ["B"]}}, r"answers\.json: outputs: expected an object, found list"),
    ({"outputs": {"outputs": {"7": None}}}, r"answers\.json: outputs: field '7' must be a string, found null"),
    ({"outputs": {"outputs": {"8": "A"}}}, r"question_id 8 is no question of .*problems\.json; another set's"),
    ({"outputs": '{"outputs": {"7": "A", "7": "B"}}'}, r"answers\.json: the key '7' is given twice"),
    ({"outputs": '{"question_id": 7}'}, r"answers\.json:1: field 'text' is missing; found question_id"),
    ({"outputs": '{"question_id": 7, "text": ""}\n' * 2}, r"answers\.json:2: question_id 7 was already given at .*:1"),
    ({"outputs": {**OUTPUTS, "results": {"7": "B"}}}, r"results: field '7' must be an integer, found \"B\""),
    ({"outputs": {"outputs": {"7": "B"}}}, r"no answer to 2 questions: 9, 10; complete the file"),
    ({"problems": "["}, r"problems\.json: not valid JSON"),
    ({"problems": {"7": {**PROBLEM, "answer": 2}}}, r"problems\.json: 7: field 'answer' must be an index below 2"),
    ({"problems": {"7": {**PROBLEM, "choices": []}}}, r"problems\.json: 7: field 'choices' must be a list of strings"),
    ({"problems": {"7": {**PROBLEM, "grade": 7}}}, r"problems\.json: 7: field 'grade' must be a string"),
    ({"problems": {"7": {**PROBLEM, "grade": "grade13"}}}, r"field 'grade' must be grade1 to grade12"),
    ({"problems": [{**RECORD, "conversations": []}]}, r"problems\.json: \[0\]: field 'conversations' must be a list"),
    ({"problems": [RECORD, RECORD]}, r"problems\.json: \[1\]: id 7 was already given at .*\[0\]"),
    (
        {"problems": [{**RECORD, "conversations": [TURNS[0], {"value": "C"}]}]},
        r"\[0\]: the reply must be the letter of one of 2 options, found 'C'",
    ),
    (
        {"problems": [{**RECORD, "conversations": [{"value": "Why?"}, TURNS[1]]}]},
        r"\[0\]: the first turn does not end in options",
    ),
    ({"splits": {"val": []}}, r"pid_splits\.json: field 'test' is missing; found val"),
]


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_a_malformed_file_is_refused_by_file_and_place(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        _files(tmp_path, **content)


TWO = {
    "7": {**PROBLEM, "question": "Which is furthest north?", "choices": ["Ohio", "Utah"], "hint": "A map."},
    "8": {**PROBLEM, "question": "Which is furthest north?", "choices": ["Iowa", "Texas"], "image": "map.png"},
}


@pytest.mark.parametrize(
    ("names", "field"),
    [
        ({"prompt": scienceqa_prompt("Which is furthest north?", ("Iowa", "Texas"))}, "prompt"),
        ({"question": "Which is furthest south?"}, "question"),
        ({"image": "8/image.png"}, "image"),
        ({"image": "images/test/8/image.png"}, "image"),
        ({"image": "map.png"}, "image"),
    ],
)
def test_a_row_that_names_another_question_or_picture_is_refused(
    tmp_path: Path, names: dict[str, str], field: str
) -> None:
    row = {"question_id": 7, "text": "B", **names}
    with pytest.raises(DataError, match=rf"1 of 1 row names another question .*answers\.json:1: {field} is"):
        _files(tmp_path, json.dumps(row) + "\n", TWO, partial=True)


@pytest.mark.parametrize(
    "names",
    [
        {"prompt": "<image>\n" + scienceqa_prompt("Which is furthest north?", ("Ohio", "Utah"), "A map.")},
        {"prompt": "Question: Which  is furthest north?\nOptions: (A) Ohio (B) Utah\nContext: A map.\nAnswer:"},
        {"question": "Which is furthest north?"},
        {"prompt": INSTRUCTION},
        {"image": "/data/images/test/7/image.png"},
        {"image": None, "prompt": ""},
    ],
)
def test_a_row_may_repeat_its_question_in_any_layout(tmp_path: Path, names: dict[str, Any]) -> None:
    row = {"question_id": 7, "text": "B", **names}
    assert len(_files(tmp_path, json.dumps(row) + "\n", TWO, partial=True).samples) == 1


def test_every_prompt_of_the_test_split_is_its_own_questions(
    conformance: Path, questions: Path, tmp_path: Path
) -> None:
    outputs = json.loads((conformance / "scienceqa/outputs/llava-v1.5-13b_result.json").read_text())["outputs"]
    prompts = {row["id"]: row["conversations"][0]["value"] for row in json.loads(questions.read_text())}
    rows = [
        {"question_id": pid, "prompt": f"{prompts[pid]}\n{INSTRUCTION}", "text": output}
        for pid, output in outputs.items()
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load_answers(tmp_path / "a.jsonl", questions).info["unnamed"] == 0
    ids = [row["question_id"] for row in rows]
    moved = [{**row, "question_id": pid} for row, pid in zip(rows, ids[1:] + ids[:1], strict=True)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in moved))
    with pytest.raises(DataError, match=r"^4241 of 4241 rows name another question"):
        load_answers(tmp_path / "a.jsonl", questions)


def test_files_that_are_not_there_are_named_with_what_to_get(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json: no such file; name LLaVA's llava_test_CQM-A\.json"):
        load_answers(tmp_path / "a.json", tmp_path / "none.json")
    (tmp_path / "problems.json").write_text(json.dumps(PROBLEMS))
    with pytest.raises(DataError, match=r"a\.json: no such file; name the file of answers"):
        load_answers(tmp_path / "a.json", tmp_path / "problems.json", size=None)
