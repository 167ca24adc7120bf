"""Chains that end in the right answer are learnt from, on ScienceQA's train split and on PHYSICS's text-only part."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import MissingError
from harness.files import read_jsonl, write_jsonl
from harness.overlap import Shown
from tasks.data.root import DataRoot
from tasks.registry import find_task, training_pool
from tasks.scienceqa.questions import INSTRUCTION
from tests.support.served import prompt_of, served
from tests.support.shell import Ran, Strop


def _problem(split: str, question: str, image: bool = False, answer: int = 0) -> dict[str, Any]:
    return {
        "question": question, "choices": ["copper", "wood"], "answer": answer, "hint": "", "split": split,
        "image": "image.png" if image else None, "grade": "grade3", "subject": "natural science",
    }  # fmt: skip


@pytest.fixture
def science(tmp_path: Path) -> Path:
    """A data folder with 12 questions to train on: one is a test question with its options in another order, one shows
    a test picture, made smaller."""
    problems = {
        str(n): _problem("train", f"Which of these is it, number {n}?", image=n % 5 == 0, answer=n % 2)
        for n in range(10)
    }
    problems["twin"] = _problem("train", "Which one is a metal?")
    problems["copy"] = _problem("train", "What does this show?", image=True)
    problems["asked"] = {**_problem("test", "Which one is a metal?"), "choices": ["wood", "copper"], "answer": 1}
    problems["shown"] = _problem("test", "What else does it show?", image=True)
    problems["unused"] = _problem("val", "Which of these is it, number 1?")
    folder = tmp_path / "data/scienceqa"
    for name, problem in problems.items():
        if problem["image"]:
            path = folder / problem["split"] / name / "image.png"
            path.parent.mkdir(parents=True)
            draw = np.random.default_rng(9 if name in ("copy", "shown") else int(name))
            picture = Image.fromarray(draw.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((192, 192))
            picture.resize((96, 96) if name == "copy" else picture.size).save(path)
    (folder / "problems.json").write_text(json.dumps(problems))
    return tmp_path / "data"


@pytest.fixture
def physics(tmp_path: Path) -> Path:
    """A data folder with 11 problems without a figure, of which one is asked beside a figure too."""
    rows = [
        {"id": f"optics/{n}", "questions": f"How far is {n}?", "final_answers": [f"{n} \\text{{ m}}"], "graphs": None}
        for n in range(11)
    ]
    Image.new("RGB", (8, 8)).save(tmp_path / "figure.png")
    write_jsonl(tmp_path / "data/physics/optics_dataset.jsonl", rows)
    figure = {**rows[0], "id": "quantum/1", "figures": ["figure.png"]}
    write_jsonl(tmp_path / "data/physics/quantum_dataset.jsonl", [figure])
    return tmp_path / "data"


@pytest.fixture
def hone(strop: Strop, tmp_path: Path) -> Callable[..., Ran]:
    """`strop run rationale`, one round of ten questions on this data folder, with these changes."""

    def run(data: Path, *changes: str) -> Ran:
        fields = ("rounds=1", "collect.samples=10", "evaluate.limit=2", "evaluate.filter=false", "watch=null")
        sets = [word for change in (*fields, *changes) for word in ("--set", change)]
        return strop("run", "rationale", "--out", tmp_path / "out", "--data", data, *sets)

    return run


def test_a_pool_holds_no_question_and_no_picture_of_the_test_split(science: Path) -> None:
    pool = training_pool("scienceqa", DataRoot(folder=science))
    assert pool.has_gold and not pool.apart
    samples = pool.of_round(seed=0, number=1, count=20)
    assert sorted(sample.id for sample in samples) == [str(n) for n in range(10)]
    pictured = training_pool("scienceqa_img", DataRoot(folder=science))
    assert sorted(sample.id for sample in pictured.of_round(seed=0, number=1, count=20)) == ["0", "5"]


def test_the_text_only_part_of_physics_is_the_pool_of_the_problems_with_figures(
    conformance: Path, tmp_path: Path
) -> None:
    (tmp_path / "physics").mkdir()
    (tmp_path / "physics/problems.jsonl.gz").symlink_to(conformance / "physics/problems.jsonl.gz")
    (tmp_path / "physics/images").symlink_to(conformance / "physics/images")
    data = DataRoot(folder=tmp_path)
    tested = find_task("physics_figures", data).samples("test")
    trained = training_pool("physics_figures", data).of_round(seed=0, number=1, count=2000)
    assert (len(tested), len(trained)) == (298, 999)
    assert not any(sample.images for sample in trained)
    assert {sample.prompt for sample in tested}.isdisjoint(sample.prompt for sample in trained)
    some = trained[:10]
    assert set(Shown(some).shared_with(find_task("physics", data).samples("test"))) == {sample.id for sample in some}


@pytest.mark.parametrize(
    ("source", "file"), [("scienceqa", "problems.json"), ("physics_figures", "atomic_dataset.jsonl")]
)
def test_a_pool_that_is_not_there_is_told_by_the_file_to_get(tmp_path: Path, source: str, file: str) -> None:
    with pytest.raises(
        MissingError, match=rf"{file}: no such file; put it there \(`strop data list` says where"
    ) as caught:
        training_pool(source, DataRoot(folder=tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_chains_on_scienceqa_that_end_in_the_right_letter_are_learnt_from(
    hone: Callable[..., Ran], science: Path, tmp_path: Path
) -> None:
    ran = hone(science, "source=scienceqa", "evaluate.tasks=[pictos_scienceqa]")
    assert ran.code == 0, ran.err
    out = tmp_path / "out/round-1"
    groups = {row["id"]: row for row in read_jsonl(out / "verify/groups.jsonl")}
    assert groups.keys() == {str(n) for n in range(10)}
    chosen = list(read_jsonl(out / "select/pairs.jsonl"))
    right = {id for id, row in groups.items() if any(verdict["reward"] == 1 for verdict in row["verdicts"])}
    assert {row["id"] for row in chosen} == right
    assert 0 < len(chosen) < len(groups)
    assert all(row["answer"][:1] == "AB"[int(row["id"]) % 2] for row in chosen)
    assert {row["prompt"].splitlines()[-1] for row in chosen} == {INSTRUCTION}
    assert (out / "optimise/checkpoint/model.safetensors").is_file()


def test_what_judges_by_pictures_is_refused_where_questions_have_none(hone: Callable[..., Ran], science: Path) -> None:
    changes = ("source=scienceqa", "verify={kind: clip}", "evaluate.tasks=[pictos_scienceqa]")
    assert hone(science, *changes).error().startswith("verify.kind clip: looks at pictures, and question ")


@pytest.mark.slow
def test_a_problem_without_a_figure_goes_all_the_way_and_keeps_what_is_right(
    hone: Callable[..., Ran], physics: Path, tiny: Path, tmp_path: Path
) -> None:
    """Every other answer of a model that is served is right."""

    def says(request: dict[str, Any]) -> str:
        number = prompt_of(request).rpartition("How far is ")[2].removesuffix("?")
        return f"It is there. \\boxed{{{number} \\text{{ m}}}}" if request["seed"] % 2 else "\\boxed{17}"

    with served(says) as server:
        ran = hone(
            physics, "source=physics_figures", f"model={tiny}", "evaluate.tasks=[pictos_pope]",
            "collect.kind=sampling", f"collect.endpoint={server.url}", "collect.served=x",
            "optimise.stop_collapsed=false",
        )  # fmt: skip
    assert ran.code == 0, ran.err
    ledger = {line["stage"]: line["facts"] for line in read_jsonl(tmp_path / "out/ledger.jsonl")}
    assert {name: ledger["round-1/select"][name] for name in ("groups", "failed", "survivors")} == {
        "groups": 10, "failed": 1, "survivors": 9
    }  # fmt: skip
    rows = list(read_jsonl(tmp_path / "out/round-1/select/pairs.jsonl"))
    assert all(f"\\boxed{{{row['id'].removeprefix('optics/')} " in row["answer"] for row in rows)
    assert ledger["round-1/optimise"]["changed"] > 0
