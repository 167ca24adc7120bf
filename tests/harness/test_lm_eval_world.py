"""Stock lm-eval runs our tasks from their YAML files and gets the figures that `strop eval` gets."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lm_eval.models  # lm-eval's command line registers its own models by this import
import pytest
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from harness.engine import evaluate
from harness.errors import UsageError
from harness.lm_eval_door import PLACEHOLDER, lm_eval_task
from harness.models.load import load_vlm
from harness.models.vlm import Vlm
from harness.stats import estimate
from harness.types import Interactive
from tasks.data.root import DataRoot
from tasks.in_lm_eval import write_task_files
from tasks.pictos.models import shipped
from tasks.pictos.world import compose, draw
from tasks.registry import TASKS, find_task
from tests.support import peoples
from tests.support.tiny import save_tiny

pytestmark = pytest.mark.slow

assert lm_eval.models

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 24
ASKED_ONCE = [name for name in TASKS if not isinstance(find_task(name), Interactive)]
UNREAD = {"pictos_pope": "pooled/unread", "pope": "pooled/unread"}
"""The metric of unread answers, where it is called otherwise."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `strop tasks --lm-eval FOLDER` writes."""
    folder = tmp_path_factory.mktemp("files")
    write_task_files(folder, ASKED_ONCE)
    return folder


@pytest.fixture(scope="module")
def manager(files: Path) -> TaskManager:
    """`--include_path FOLDER`, without lm-eval's own 14,000 files."""
    return TaskManager(include_path=str(files), include_defaults=False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"), seed=1)


def test_every_task_has_a_file_under_its_name(files: Path, manager: TaskManager) -> None:
    assert manager.all_subtasks == sorted(f"strop_{name}" for name in ASKED_ONCE)
    for name in ASKED_ONCE:
        content = (files / f"strop_{name}.yaml").read_text()
        assert content == f"task: strop_{name}\nclass: !function tasks.in_lm_eval.{name}\n"


@pytest.mark.parametrize("name", [name for name in ASKED_ONCE if name.startswith("pictos_")])
def test_lm_eval_gets_the_figures_of_strop_eval(manager: TaskManager, tiny: Path, name: str) -> None:
    theirs = _lm_eval(manager, "strop", tiny, name, LIMIT)
    _same_figures(theirs, load_vlm("tiny", path=tiny, device="cpu"), name, LIMIT)


def test_a_task_of_episodes_is_none_of_lm_evals() -> None:
    with pytest.raises(UsageError, match=r"^task pictos_reach: lm-eval asks once and has no episodes; measure it by"):
        lm_eval_task(find_task("pictos_reach"))


@pytest.mark.parametrize("name", ["pictos_pope", "pope", "scienceqa"])
def test_a_model_under_lm_evals_own_code_gets_the_figures_of_strop_eval(
    manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("STROP_DATA", str(tmp_path))
    peoples.expect_one(monkeypatch)
    peoples.write_all(tmp_path)
    for picture in peoples.PICTURES.values():
        draw(compose(7)).save(tmp_path / picture, "PNG")
    seed = shipped("pictos-seed")
    assert seed is not None
    theirs = _lm_eval(manager, "hf-multimodal", seed, name, 6)
    _same_figures(theirs, load_vlm("pictos-seed", path=seed, device="cpu"), name, 6)
    assert theirs["results"][f"strop_{name}"][UNREAD.get(name, "unread") + ",none"] == 0


def _lm_eval(manager: TaskManager, model: str, folder: Path, name: str, limit: int) -> Mapping[str, Any]:
    own = model != "strop"
    results = simple_evaluate(
        model=model,
        # the seed's context would be too short for LLaVA's 1,024 new tokens
        model_args=f"pretrained={folder}" + (",dtype=float32,max_length=4096" if own else ""),
        tasks=[f"strop_{name}"],
        limit=limit,
        task_manager=manager,
        bootstrap_iters=0,
        device="cpu",
        apply_chat_template=own,
        batch_size=3,
    )
    assert results is not None
    return results


def _same_figures(theirs: Mapping[str, Any], model: Vlm, name: str, limit: int) -> None:
    (ours,) = evaluate(model, [find_task(name, DataRoot.from_environment(os.environ))], split="test", limit=limit)
    rows = sorted(theirs["samples"][f"strop_{name}"], key=lambda row: row["doc_id"])
    assert [row["filtered_resps"][0].strip() for row in rows] == [row.answer for row in ours.rows]
    figures = theirs["results"][f"strop_{name}"]
    for metric, estimated in estimate(ours.rows, ours.metrics, draws=1).items():
        assert figures[f"{metric},none"] == pytest.approx(_number(estimated.value), nan_ok=True, abs=1e-12), metric


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def test_other_models_of_lm_eval_are_given_opened_pictures_and_their_places(manager: TaskManager) -> None:
    task = manager.load("strop_pictos_pope")["tasks"]["strop_pictos_pope"]
    first, second = task.eval_docs.select(range(2))
    assert task.doc_to_text(first) == f"{PLACEHOLDER}{find_task('pictos_pope').samples('test')[0].prompt}"
    (picture,), (again,) = task.doc_to_image(first), task.doc_to_image(second)
    assert picture.mode == "RGB"
    assert again is picture, "six questions about a picture share it"
    assert set(first) == {"index", "id", "prompt"}


def test_a_file_of_yaml_is_all_that_strop_as_a_model_needs(files: Path) -> None:
    """lm-eval's command line reads a file named by its path before it makes the model."""
    code = (
        "import json; from lm_eval.api.registry import MODEL_REGISTRY; "
        "from lm_eval.tasks._yaml_loader import load_yaml; "
        f"before = 'strop' in MODEL_REGISTRY; load_yaml({str(files / 'strop_pictos_pope.yaml')!r}, resolve_func=True);"
        "print(json.dumps([before, 'strop' in MODEL_REGISTRY]))"
    )
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(completed.stdout.splitlines()[-1]) == [False, True]


def test_a_name_that_is_no_task_is_no_class() -> None:
    import tasks.in_lm_eval

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        tasks.in_lm_eval.nothing  # noqa: B018


def test_a_plug_in_runs_under_lm_eval_from_its_files_alone(tmp_path: Path) -> None:
    """Whoever runs lm-eval need not say again where the plug-in lies."""
    plugins, out = tmp_path / "plugins", tmp_path / "out"
    plugins.mkdir()
    (plugins / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from tasks.pictos.benchmarks import PictosCaptions\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Mine(PictosCaptions):\n"
        "    name: str = 'mine'\n"
        "TASKS = {'mine': Mine}\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "STROP_PLUGIN_PATH"}
    write = [sys.executable, "-m", "strop", "tasks", "--lm-eval", str(out), "--plugin-path", str(plugins)]
    subprocess.run(write, check=True, cwd=ROOT, env=environment, capture_output=True)
    code = (
        "from lm_eval.tasks import TaskManager; "
        f"task = TaskManager(include_path={str(out)!r}, include_defaults=False).load('strop_mine')['tasks']; "
        "print([task.config.task for task in task.values()])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert run.stdout.splitlines()[-1] == "['strop_mine']"
