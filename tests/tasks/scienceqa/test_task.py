"""ScienceQA asks LLaVA's questions, with their pictures, of the data folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.pictures import open_picture
from tasks.data.root import DataRoot
from tasks.scienceqa.task import ScienceQa, ScienceQaImg
from tests.support.answering import answered


def test_scienceqa_asks_4241_questions_2017_with_a_picture(data: Path, root: DataRoot) -> None:
    samples = ScienceQa(data_root=root).samples("test")
    assert (len(samples), sum(bool(sample.images) for sample in samples)) == (4241, 2017)
    present = [sample.images[0] for sample in samples if sample.images and Path(str(sample.images[0])).exists()]
    assert len(present) == 200
    assert {open_picture(item).mode for item in present[:20]} == {"RGB"}


def test_scienceqa_img_is_the_part_with_a_picture_marked_alike(data: Path, root: DataRoot) -> None:
    whole, piece = ScienceQa(data_root=root), ScienceQaImg(data_root=root)
    samples = piece.samples("test")
    assert samples == [sample for sample in whole.samples("test") if sample.images]
    result = answered(lambda _: "A", piece, 40)
    marks = [whole.score(sample, "A").value for sample in samples[:40]]
    assert [row.value for row in result.rows] == marks
    assert piece.headline in {metric.name for metric in result.metrics}


def test_text_only_questions_are_asked_without_a_picture(data: Path, root: DataRoot) -> None:
    result = answered(lambda item: "B" if not item.images else "The answer is A.", ScienceQa(data_root=root), 2)
    assert [(row.answer, row.parsed) for row in result.rows] == [("B", "B"), ("The answer is A.", "A")]
    assert result.info["unread_by_profile"] == {"official": 0, "lmms-eval": 1, "vlmeval": 0, "strict": 0}
    assert "image/accuracy" in {metric.name for metric in result.metrics}


def test_subjects_and_grades_are_cells_where_the_file_names_them(data: Path, root: DataRoot) -> None:
    names = {
        metric.name for metric in ScienceQa(data_root=root).details(ScienceQa(data_root=root).samples("test")).metrics
    }
    assert "subject/natural science/accuracy" not in names
    problem = {"question": "Q?", "choices": ["a", "b"], "answer": 1, "hint": "", "image": None, "split": "test",
               "grade": "grade3", "subject": "natural science"}  # fmt: skip
    (data / "scienceqa/problems.json").write_text(json.dumps({"1": problem}))
    (data / "scienceqa/llava_test_CQM-A.json").unlink()
    (data / "scienceqa/pid_splits.json").unlink()
    with pytest.raises(DataError, match=r"problems\.json gives 1 question, 0 of them .* has 4241 and 2017; get the"):
        ScienceQa(data_root=root).samples("test")
