"""What every real benchmark keeps: profiles, details, one split, its gold, and missing data told by the file to get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.check import check
from harness.errors import MissingError, UsageError
from harness.profiles import profiles_of
from harness.types import Detailed, Profiled, Task
from tasks.data.root import DataRoot
from tasks.registry import find_task

REAL = ("pope", "chair", "scienceqa", "mathvista", "ic", "grounding")


@pytest.mark.parametrize("name", REAL)
def test_a_real_task_is_a_task_with_profiles_and_details_and_building_it_reads_nothing(empty: Path, name: str) -> None:
    root = DataRoot(folder=empty)
    task = find_task(name, root)
    assert isinstance(task, Task)
    assert isinstance(task, Profiled)
    assert isinstance(task, Detailed)
    assert task.headline in {metric.name for metric in task.metrics}
    assert task == find_task(name, root)


@pytest.mark.parametrize("name", REAL)
def test_missing_data_are_told_by_the_file_to_get(empty: Path, name: str) -> None:
    root = DataRoot(folder=empty)
    remedy = r"choose a set by `strop data build ic" if name == "ic" else r"put it there \(`strop data list`"
    with pytest.raises(MissingError, match=rf"{empty}/{name}/\w.*: no such file; {remedy}"):
        find_task(name, root).samples("test")


@pytest.mark.parametrize("name", REAL)
def test_there_is_no_split_but_the_published_one(empty: Path, name: str) -> None:
    root = DataRoot(folder=empty)
    with pytest.raises(UsageError, match=f"{name} has no split 'dev'; it has test"):
        find_task(name, root).samples("dev")


@pytest.mark.parametrize(
    ("name", "count"),
    [("pope", 9000), ("chair", 500), ("scienceqa", 4241), ("scienceqa_img", 2017), ("mathvista", 1000)],
)
def test_every_real_task_accepts_its_gold_in_every_profile_and_pays_nothing_for_silence(
    data: Path, root: DataRoot, name: str, count: int
) -> None:
    task = find_task(name, root)
    samples = task.samples("test")[:: 7 if name == "pope" else 1]
    # the pictures are not all here
    report = check(task, [replace(sample, images=()) for sample in samples])
    assert report.failures == ()
    assert len(task.samples("test")) == count
    # of MathVista's answers, what is not bare these two show a language model
    asks_a_model = ("lmms-eval/rules", "vlmeval/rules")
    for score in (score for profile, score in profiles_of(task).items() if profile not in asks_a_model):
        assert all(score(sample, task.gold(sample)).value == 1.0 for sample in samples)
