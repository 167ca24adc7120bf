"""Results folders as what a Hugging Face model repository shows: a card's front matter with its `model-index`, the
figures below it, and `.eval_results/*.yaml` for benchmarks that were asked from the hub. Nothing is uploaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCardData, eval_result_entries_to_yaml

from harness.files import write_text
from harness.models.model_card import read_model_card
from harness.results import TaskResult, read_results
from harness.runs.names import CHECKPOINT, OPTIMISE
from harness.runs.reading import read_evaluation
from harness.types import Metric
from leaderboards.build import shown_metrics
from leaderboards.formats.kinds import Figures, Format
from leaderboards.render import arrow, figure, interval, md

_Figures = Mapping[str, Mapping[str, Any]]


def write_model_card(evaluation: Path, folder: Path) -> list[Path]:
    """Write README.md and, where a task's questions came from the hub, `.eval_results/<task>.yaml` into `folder`."""
    content, results = read_evaluation(evaluation), read_results(evaluation)
    figures: dict[str, _Figures] = {task["task"]: task["metrics"] for task in content["tasks"]}
    trained = read_model_card(evaluation.parent / OPTIMISE / CHECKPOINT)  # empty but for a run's trained rounds
    metadata = {name: value for name, value in trained.metadata.items() if name not in ("model-index", "model_name")}
    data = ModelCardData(
        **{"pipeline_tag": "image-text-to-text", **metadata},
        model_name=results.model,
        eval_results=[entry for task in results.tasks for entry in _index(task, figures[task.task])],
    )
    provenance = results.provenance
    commit = f", commit {str(provenance.get('commit'))[:12]}{' with changes' if provenance.get('dirty') else ''}"
    parts = [
        f"---\n{data.to_yaml()}\n---",
        *([trained.body] if trained.body else []),
        "## Evaluation",
        *(paragraph for task in results.tasks for paragraph in _table(task, figures[task.task])),
        "In brackets 95 % intervals over pictures. Measured with Strop"
        + (commit if provenance.get("commit") else "")
        + f", on the {results.digest_of} with the SHA-256 digest {results.digest}{_origin(provenance)}.",
    ]
    write_text(folder / "README.md", "\n\n".join(parts) + "\n")
    written = [folder / "README.md"]
    for task in results.tasks:
        if "@" in str(task.info.get("questions")):
            path = folder / ".eval_results" / f"{task.task}.yaml"
            entries = eval_result_entries_to_yaml([_entry(task, figures[task.task], provenance)])
            write_text(path, yaml.safe_dump(entries, sort_keys=False, allow_unicode=True))
            written.append(path)
    return written


def _origin(provenance: Mapping[str, Any]) -> str:
    """Whose weights were measured, where they came from the hub."""
    about = provenance.get("model") or {}
    parts = [about[name] for name in ("weights", "adapter") if name in about]
    return f" ({' with '.join(parts)})" if parts else ""


def _index(task: TaskResult, figures: _Figures) -> list[EvalResult]:
    dataset, _, revision = str(task.info.get("questions") or "").rpartition("@")
    return [
        EvalResult(
            task_type="image-text-to-text",
            task_name=task.task,
            dataset_type=dataset or task.task,
            dataset_name=f"{task.task}, version {task.version}",
            dataset_split=task.split,
            dataset_revision=revision if dataset else None,
            metric_type=metric.name,
            metric_name=f"{metric.name}{' in %' if metric.percent else ''}, profile {task.profile}",
            metric_value=_shown(figures[metric.name]["value"], metric),
            metric_args={
                "low": _shown(figures[metric.name]["low"], metric),
                "high": _shown(figures[metric.name]["high"], metric),
                "n": figures[metric.name]["n"],
            },
        )
        for metric in _shown_metrics(task)
        if figures[metric.name]["value"] is not None
    ]


def _entry(task: TaskResult, figures: _Figures, provenance: Mapping[str, Any]) -> EvalResultEntry:
    dataset, _, revision = str(task.info["questions"]).rpartition("@")
    (headline,) = (metric for metric in task.metrics if metric.name == task.headline)
    estimate = figures[headline.name]
    bounds = interval(estimate["low"], estimate["high"], headline)
    return EvalResultEntry(
        dataset_id=dataset,
        task_id="default",
        value=_shown(estimate["value"], headline),
        dataset_revision=revision,
        date=provenance.get("finished"),
        notes=f"{headline.name}, profile {task.profile}, 95 % interval {bounds}",
    )


def _table(task: TaskResult, figures: _Figures) -> list[str]:
    lines = [["metric", "value", "95 % interval", "n"], ["---"] * 4]
    for metric in _shown_metrics(task):
        estimate = figures[metric.name]
        lines.append([md(metric.name + arrow(metric)), figure(estimate["value"], metric),
                      md(interval(estimate["low"], estimate["high"], metric)), str(estimate["n"])])  # fmt: skip
    words = f"{task.task}: version {task.version}, profile {task.profile}, split {task.split}; rates in percent."
    return [md(words), "\n".join("| " + " | ".join(line) + " |" for line in lines)]


def _shown_metrics(task: TaskResult) -> tuple[Metric, ...]:
    return shown_metrics({metric.name: metric for metric in task.metrics}, task.headline)


def _shown(value: float | None, metric: Metric) -> float | None:
    return None if value is None else round(value * (100 if metric.percent else 1), 2)


def _write(figures: Figures, out: Path) -> list[Path]:
    """A folder for each measured round."""
    written: list[Path] = []
    for evaluation in figures.evaluations:
        seed = evaluation.entry.run.seed
        labels = (
            evaluation.entry.name,
            seed and f"seed {seed}",
            None if evaluation.round is None else f"round {evaluation.round}",
        )
        name = re.sub(r"[^\w.-]+", "-", " ".join(str(label) for label in labels if label is not None))
        while out / "model-card" / name / "README.md" in written:  # "a b" and "a-b" are one name by now
            name += "-"
        written += write_model_card(evaluation.folder, out / "model-card" / name)
    return written


MODEL_CARD = Format(name="model-card", write=_write)
