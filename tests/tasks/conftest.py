"""Data folders that the tests of the benchmarks share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tasks.data.root import DataRoot


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A data folder with nothing in it."""
    return tmp_path


@pytest.fixture
def data(empty: Path, conformance: Path) -> Path:
    """A data folder with the authors' files and, where they may be passed on, their pictures."""
    (empty / "nltk_data").symlink_to(conformance / "nltk_data")
    for task, files in {
        "chair": ("ground_truth_maxlinn.json.gz", "synonyms.json", "double_words.json", "opera_image_ids.json"),
        "scienceqa": ("llava_test_CQM-A.json", "pid_splits.json"),
        "mathvista": ("testmini.json", "query.json"),
    }.items():
        (empty / task).mkdir()
        for file in files:
            (empty / task / file).symlink_to(conformance / task / file)
    (empty / "scienceqa/test").symlink_to(conformance / "scienceqa/images")
    (empty / "mathvista/images").symlink_to(conformance / "mathvista/images")
    shutil.copytree(conformance / "pope/labels_3000", empty / "pope")
    (empty / "pope/val2014").mkdir()
    for name in ("COCO_val2014_000000310196.jpg", "COCO_val2014_000000226988.jpg"):  # the first of POPE and of CHAIR
        shutil.copy(conformance / "photos_coco/photos/000000000009.jpg", empty / "pope/val2014" / name)
    return empty


@pytest.fixture
def root(data: Path) -> DataRoot:
    """That folder as tasks are given it."""
    return DataRoot(folder=data)
