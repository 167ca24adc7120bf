"""PHYSICS asks the authors' prompt with every figure of a problem, of a local folder or a copy of their repository."""

from __future__ import annotations

import base64
import io
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from harness.check import check
from harness.errors import DataError, MissingError, StropError
from harness.examination import keep
from harness.files import write_jsonl
from harness.models.endpoint import _data_url
from harness.pictures import open_picture
from strop.commands.score import score_app
from strop.commands.score.physics import explained
from strop.notes import notes_of
from strop.scoring import score_answered
from tasks.data.root import DataRoot
from tasks.physics.answers import load_answers
from tasks.physics.questions import PROMPT, Size, load_problems
from tasks.physics.task import Physics
from tests.support.scripted import ScriptedJudge


def _url(kind: str = "png", declared: str = "png") -> str:
    content = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(content, kind)
    return f"data:image/{declared};base64,{base64.b64encode(content.getvalue()).decode()}"


def _graph(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


ROWS = [
    {"id": "optics/1", "questions": "How far?", "final_answers": ["5 \\text{ m}", "5 \\text{ m}"],
     "graphs": [_graph(_url()), _graph(_url("jpeg"))]},
    {"id": "optics/2", "questions": "How fast?", "final_answers": ["c"], "graphs": None},
    {"id": "optics/3", "questions": "How fast? ", "final_answers": ["c"], "graphs": []},
]  # fmt: skip
SIZE = Size(questions=3, with_figure=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "physics/optics_dataset.jsonl", ROWS)
    return tmp_path


def test_a_problem_comes_with_the_authors_prompt_and_all_its_figures(folder: Path) -> None:
    task = Physics(data_root=DataRoot(folder=folder), size=SIZE)
    samples = task.samples("test")
    first = samples[0]
    assert first.prompt == f"{PROMPT}\n\nHow far?"
    assert [open_picture(picture).size for picture in first.images] == [(8, 6), (8, 6)]
    assert first.target.cells == ("subject/optics", "figures", "split/val")
    assert (first.target.answers, len(first.target.walk)) == (("5 \\text{ m}",), 2)
    assert samples[1].cluster == samples[2].cluster == "optics/2"
    assert check(task, samples).failures == ()
    names = {metric.name for metric in task.details(samples).metrics}
    assert {
        "exact",
        "recall",
        "precision_high",
        "subject/optics/exact",
        "figures/accuracy",
        "text-only/unread",
    } <= names


def test_a_jpeg_that_calls_itself_a_png_is_sent_as_what_it_is(folder: Path) -> None:
    (png, jpeg) = load_problems(folder / "physics", SIZE)["optics/1"].images
    for picture in (png, jpeg):
        declared, content = _data_url(picture).split(";base64,")
        assert declared == f"data:image/{str(Image.open(io.BytesIO(base64.b64decode(content))).format).lower()}"


def test_figures_may_be_files_beside_the_problems(conformance: Path) -> None:
    samples = load_problems(conformance / "physics/problems.jsonl.gz")
    present = [picture for sample in samples.values() for picture in sample.images]
    assert all(open_picture(picture).width > 10 for picture in present[::40])


def test_with_strop_hub_a_copy_of_the_authors_repository_is_read(folder: Path) -> None:
    write_jsonl(folder / "copies/yale-nlp/Physics/PHYSICS/optics_dataset.jsonl", ROWS)
    task = Physics(data_root=DataRoot(folder=folder / "none", hub=folder / "copies"), size=SIZE)
    samples = task.samples("test")
    assert task.details(samples).info["questions"] == "yale-nlp/Physics@15dc8d9"
    local = Physics(data_root=DataRoot(folder=folder), size=SIZE).samples("test")
    assert [(s.id, s.prompt, s.target) for s in samples] == [(s.id, s.prompt, s.target) for s in local]
    with pytest.raises(MissingError, match=r"on GitHub and not on the hub: clone yale-nlp/Physics at 15dc8d9"):
        Physics(data_root=DataRoot(folder=folder, hub=True)).samples("test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"final_answers": []}, "'final_answers' must be a list of strings"),
        ({"graphs": [_graph("data:image/png;base64,@@")]}, "figure 1 is no base64"),
        ({"graphs": "a.png"}, "'graphs' must be a list of figures"),
        ({"id": "optics/2"}, "id optics/2 was already given"),
        ({"subject": "acoustics"}, "'subject' must be one of atomic"),
    ],
)
def test_malformed_problems_are_one_line(folder: Path, change: dict[str, Any], message: str) -> None:
    write_jsonl(folder / "physics/optics_dataset.jsonl", [*ROWS[1:], {**ROWS[0], **change}])
    with pytest.raises(StropError, match=message) as caught:
        load_problems(folder / "physics", None)
    assert "\n" not in str(caught.value)


def test_a_part_of_the_problems_is_refused_by_the_number(folder: Path) -> None:
    with pytest.raises(DataError, match="holds 3 problems, 1 of them with a figure, but PHYSICS has 1297 and 298"):
        load_problems(folder / "physics")


def test_profiles_stand_side_by_side_and_a_table_says_why_they_part(folder: Path, tmp_path: Path) -> None:
    box, required = "5 \\text{ ft}", "5 \\text{ m}"
    said = {"input_expressions": {"expr1": box, "expr2": required}, "sympy_result": None, "llm_result": True}
    silent = {"solution": None, "final_answers": [], "equivalency_results": [], "accuracy": 0}
    row = {"id": "optics/1", "solution": f"\\boxed{{{box}}}", "final_answers": [box], "accuracy": 1.0}
    rows = [{**row, "equivalency_results": [{**said, "final_result": True}]}, {"id": "optics/2", **silent}]
    write_jsonl(tmp_path / "model.jsonl", [*rows, {"id": "optics/3", **silent}])
    answered = load_answers(tmp_path / "model.jsonl", folder / "physics", size=SIZE)
    judge = ScriptedJudge(["Yes."])
    judged = partial(explained, judge, True, tmp_path)
    official, rule, by_judge = score_answered(
        dict.fromkeys(("official", "rule"), answered), judged=judged
    ).results.tasks
    assert [sum(row.value for row in result.rows) for result in (official, rule, by_judge)] == [1, 0, 1]
    assert by_judge.profile == "judge+scripted/1"
    assert rule.info["differences"] == [
        {"official": "equal: text_llm_true", "rule": "unequal: unit", "judge": "equal", "pairs": 1, "samples": 1,
         "such as": "optics/1"}
    ]  # fmt: skip
    assert rule.info["disagreements"][0]["why"][0]["box"] == box
    keep(
        tmp_path, judge.id, "equality", {"shares": {"consistent": {"value": 1.0}, "equal though not": {"value": 0.125}}}
    )
    alone = score_answered({"official": answered}, judged=partial(explained, judge, False, tmp_path))
    assert len(judge.samples) == 1  # its verdict was kept
    assert notes_of(alone.results.tasks)[:2] == [
        "judge scripted (prompt 1) sees no pictures",
        "the judge where the verdict is known: consistent 100.0 %, equal though not 12.5 % (`strop judges`)",
    ]


def test_the_judge_needs_a_name_and_a_profile_of_its_own() -> None:
    for arguments, message in [
        (("--profile", "judge"), "--profile judge marks by a model; name it by --judge"),
        (("--profile", "rule", "--judge", "x"), "leave --profile away, or name judge or all"),
        (("--profile", "offical"), "unknown profile 'offical'; did you mean 'official'?"),
    ]:
        done = CliRunner().invoke(score_app, ["physics", "--answers", "none.jsonl", *arguments])
        assert message in str(done.exception)
