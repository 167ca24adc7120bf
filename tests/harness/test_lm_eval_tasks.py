"""lm-eval's tasks are asked as ours are, and have the figures of lm-eval's own run with the same model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from harness.check import check
from harness.engine import evaluate
from harness.errors import DataError, UnknownTaskError, UsageError
from harness.lm_eval_door import StropLM, before_stop
from harness.lm_eval_tasks import LmEvalChoices, LmEvalTask, find_lm_eval_task, refusal
from harness.marking import mark_answers
from harness.models.load import load_vlm
from harness.models.vlm import Vlm
from harness.stats import estimate
from harness.store import Store
from tasks.pictos.world import compose, draw
from tasks.registry import TasksByName
from tests.support.scripted import Scripted
from tests.support.tiny import save_tiny

pytestmark = pytest.mark.slow

COUNT = 12
LETTERS = "oae"
FILTERS = [
    {"name": "vowel", "filter": [{"function": "regex", "regex_pattern": "([aeiou])"}, {"function": "take_first"}]},
    {"name": "whole", "filter": [{"function": "take_first"}]},
]
MEAN = {"aggregation": "mean", "higher_is_better": True}
GENERATION = {
    "output_type": "generate_until",
    "doc_to_text": "Q: {{question}}\nA:",
    "doc_to_target": "{{letter}}",
    "filter_list": FILTERS,
    "generation_kwargs": {"until": ["\n\n", "b"], "max_gen_toks": 12},
    "metric_list": [{"metric": "exact_match", **MEAN}],
}
CHOICES = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}",
    "doc_to_target": "label",
    "doc_to_choice": ["cat", "two dogs", "house on the left"],
    "metric_list": [{"metric": name, **MEAN} for name in ("acc", "acc_norm", "acc_mutual_info")],
}
SHOTS = {"num_fewshot": 2, "training_split": "train", "description": "Answer in a word.\n\n"}
PICTURES = {"doc_to_image": "!function pictures.of"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """YAML files of tasks over local JSON files: text and picture, generation and choices."""
    folder = tmp_path_factory.mktemp("own")
    for seed in range(3):
        draw(compose(seed)).save(folder / f"{seed}.png")
    (folder / "pictures.py").write_text(
        f"from PIL import Image\ndef of(doc):\n    return [Image.open({str(folder)!r} + '/' + doc['picture'])]\n"
    )
    for split in ("test", "train"):
        rows = [
            {
                "question": f"Is there {'a cat' if row % 2 else 'a dog'} in {split} {row}?",
                "letter": LETTERS[row % 3],
                "label": row % 3,
                "picture": f"{row % 3}.png",
            }
            for row in range(COUNT)
        ]
        (folder / f"{split}.json").write_text("\n".join(map(json.dumps, rows)))
    for name, config in {
        "own_text": {**GENERATION, **SHOTS},
        "own_picture": {**GENERATION, **PICTURES},
        "own_choices": {**CHOICES, **SHOTS},
        "own_seen": {**CHOICES, **PICTURES},
    }.items():
        _write(folder, name, config)
    (folder / "own_group.yaml").write_text("group: own_group\ntask: [own_choices, own_seen]\n")
    return folder


def _write(folder: Path, name: str, config: Mapping[str, Any]) -> None:
    data = {split: str(folder / f"{split}.json") for split in ("test", "train")}
    content = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": data, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "metadata": {"version": 1.5},
        **config,
    }
    text = yaml.safe_dump(content).replace("'!function pictures.of'", "!function pictures.of")
    (folder / f"{name}.yaml").write_text(text)


def test_a_recipe_measures_a_task_of_lm_eval_beside_ours(folder: Path) -> None:
    tasks = TasksByName()
    assert "lm_eval:own_text" in tasks
    assert tasks["lm_eval:own_text"].name == "lm_eval:own_text"


@pytest.fixture(autouse=True)
def _include(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_LM_EVAL_PATH", str(folder))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Vlm:
    return load_vlm("tiny", path=save_tiny(tmp_path_factory.mktemp("tiny"), seed=1), device="cpu")


def _of_lm_eval(folder: Path, model: Vlm, name: str) -> Mapping[str, Any]:
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    run = simple_evaluate(
        model=StropLM(model=model), tasks=[name], task_manager=manager, bootstrap_iters=0, log_samples=True
    )
    assert run is not None
    return run


@pytest.mark.parametrize("name", ["own_text", "own_picture", "own_choices", "own_seen"])
def test_figures_are_those_of_lm_evals_own_run(folder: Path, model: Vlm, name: str) -> None:
    theirs = _of_lm_eval(folder, model, name)["results"][name]
    task = find_lm_eval_task(f"lm_eval:{name}")
    assert isinstance(task, LmEvalTask)
    (result,) = evaluate(model, [task], split="test")
    answers = [row.answer for row in result.rows]
    ours: dict[str, float | None] = {}
    for profile in task.profiles:
        marked = mark_answers(task, task.samples("test"), answers, profile=profile)
        figures = estimate(marked.rows, marked.metrics, draws=1)
        ours |= {f"{metric},{profile}": figure.value for metric, figure in figures.items()}
    assert ours == {key: pytest.approx(theirs[key]) for key in ours}
    assert len(ours) == sum("stderr" not in key and "," in key for key in theirs)
    assert any(0 < (value or 0) < 1 for value in ours.values()), "the figures say something"


def test_every_sample_has_a_mark_and_the_figure_an_interval(model: Vlm) -> None:
    (result,) = evaluate(model, [find_lm_eval_task("lm_eval:own_choices")], split="test")
    assert len(result.rows) == COUNT
    assert sum(row.value for row in result.rows) / COUNT == estimate(result.rows, result.metrics)["acc"].value
    figure = estimate(result.rows, result.metrics)["acc"]
    assert figure.low is not None and figure.high is not None and figure.low < figure.high


def test_results_tell_version_configuration_and_examples(model: Vlm) -> None:
    (result,) = evaluate(model, [find_lm_eval_task("lm_eval:own_text")], split="test", limit=2)
    info = result.info["lm_eval_task"]
    assert (result.task, result.version, result.profile, result.headline) == (
        "lm_eval:own_text", 1500, "vowel", "exact_match"
    )  # fmt: skip
    assert list(info["tasks"]) == ["own_text"]
    subtask = info["tasks"]["own_text"]
    assert (subtask["version"], subtask["num_fewshot"], len(subtask["config"])) == (1.5, 2, 64)
    assert info["package"].startswith("0.4.")


def test_a_prompt_has_description_and_examples_and_no_truth() -> None:
    first = find_lm_eval_task("lm_eval:own_text").samples("test")[0]
    assert first.prompt.startswith("Answer in a word.\n\nQ: Is there")
    assert first.prompt.count("in train ") == 2
    assert first.prompt.endswith("Q: Is there a dog in test 0?\nA:")


def test_questions_about_one_picture_are_one_cluster() -> None:
    samples = find_lm_eval_task("lm_eval:own_picture").samples("test")
    assert len({sample.cluster for sample in samples}) == 3
    assert all(len(sample.images) == 1 for sample in samples)


@pytest.mark.parametrize("name", ["own_text", "own_choices"])
def test_a_second_evaluation_asks_nothing(
    model: Vlm, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, path = find_lm_eval_task(f"lm_eval:{name}"), tmp_path / "answers.jsonl"
    first = evaluate(model, [task], split="test", store=Store(path))
    spent = dict(model.costs)
    assert evaluate(model, [task], split="test", store=Store(path)) == first
    assert dict(model.costs) == spent


def test_a_right_answer_earns_all_and_silence_nothing() -> None:
    for name in ("own_text", "own_choices", "own_seen", "own_group"):
        task = find_lm_eval_task(f"lm_eval:{name}")
        assert check(task, task.samples("test")).failures == (), name


def test_a_group_is_one_task_of_all_its_samples(model: Vlm) -> None:
    task = find_lm_eval_task("lm_eval:own_group")
    assert isinstance(task, LmEvalChoices)
    (group,) = evaluate(model, [task], split="test")
    singles = [
        evaluate(model, [find_lm_eval_task(f"lm_eval:{name}")], split="test")[0] for name in ("own_choices", "own_seen")
    ]
    figures = estimate(group.rows, group.metrics, draws=1)
    assert [row.id for row in group.rows][::COUNT] == ["own_choices/0", "own_seen/0"]
    values = []
    for single in singles:
        value = estimate(single.rows, single.metrics, draws=1)["acc"].value
        assert figures[f"{single.task.removeprefix('lm_eval:')}/acc"].value == value
        values.append(value or 0)
    assert figures["acc"].value == pytest.approx(sum(values) / 2)


def test_a_served_model_gives_no_log_likelihoods() -> None:
    message = "it compares log-likelihoods, and a served model gives none; name a folder or a hub id"
    with pytest.raises(UsageError, match=message):
        evaluate(Scripted(lambda _: ""), [find_lm_eval_task("lm_eval:own_choices")], split="test")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"output_type": "loglikelihood_rolling"}, "likelihood of whole texts"),
        ({"unsafe_code": True}, "runs code that the model writes"),
        ({"dataset_kwargs": {"trust_remote_code": True}}, "data come by code from the hub"),
        ({"repeats": 4}, "asks for 4 answers to a sample"),
        ({"generation_kwargs": {"do_sample": True}}, "draws answers by chance"),
        ({"generation_kwargs": {"temperature": 0.7}}, "draws answers by chance"),
        ({"metric_list": [{"metric": "bleu"}]}, r"none of its metrics \(bleu\) is a mean over samples"),
        ({"class": "a.B"}, "Python class of its own"),
        ({"doc_to_audio": "sound"}, "asks about sounds"),
    ],
)
def test_what_cannot_be_a_task_of_ours_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], reason: str
) -> None:
    monkeypatch.setenv("STROP_LM_EVAL_PATH", str(tmp_path))
    _write(tmp_path, "odd", {**GENERATION, **config})
    with pytest.raises(UsageError, match=f"^task lm_eval:odd: .*{reason}"):
        find_lm_eval_task("lm_eval:odd")


def test_a_metric_that_is_no_mean_is_left_out_and_told() -> None:
    config = {**GENERATION, "metric_list": [{"metric": "exact_match", **MEAN}, {"metric": "bleu"}]}
    assert refusal(config) is None


def test_a_group_that_changes_its_tasks_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_LM_EVAL_PATH", str(tmp_path))
    (tmp_path / "odd.yaml").write_text("group: odd\nnum_fewshot: 5\ntask: [first, second]\n")
    with pytest.raises(UsageError, match="name single tasks: lm_eval:first, lm_eval:second"):
        find_lm_eval_task("lm_eval:odd")


def test_stock_tasks_are_read_without_their_data() -> None:
    task = find_lm_eval_task("lm_eval:hellaswag")
    assert ([metric.name for metric in task.metrics], task.headline) == (["acc", "acc_norm"], "acc")
    gsm8k = find_lm_eval_task("lm_eval:gsm8k")
    assert isinstance(gsm8k, LmEvalTask)
    assert list(gsm8k.profiles) == ["strict-match", "flexible-extract"]


@pytest.mark.slow
def test_an_unknown_name_is_met_with_the_nearest() -> None:
    with pytest.raises(UnknownTaskError, match="no task 'helaswag'; did you mean 'lm_eval:hellaswag'"):
        find_lm_eval_task("lm_eval:helaswag")
    assert len(getattr(find_lm_eval_task("lm_eval:mmmu_val"), "leaves", ())) == 30


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_LM_EVAL_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="/nowhere: no such folder; --include-path names one with YAML files"):
        find_lm_eval_task("lm_eval:own_text")


def test_another_split_than_test_is_refused() -> None:
    with pytest.raises(DataError, match="lm-eval's tasks have one split to measure on; say --split test"):
        find_lm_eval_task("lm_eval:own_text").samples("dev")


@pytest.mark.parametrize(
    ("stops", "text"),
    [(["\n"], "yes"), ("\n", "yes"), (["e", "y"], ""), ([], "yes\nno"), (None, "yes\nno"), ([""], "yes\nno")],
)
def test_a_text_ends_at_the_first_stop_string(stops: Any, text: str) -> None:
    assert before_stop("yes\nno", stops) == text
