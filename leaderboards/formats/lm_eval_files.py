"""Results folders in the layout of lm-eval's EvaluationTracker (0.4.13), for tools that read its files.

Below the folder: `<model>@<weights>/results_<time>.json` and `samples_<task>_<time>.jsonl`. What lm-eval calls a
filter, a way of reading answers, is here the profile. A standard error is the half of the 95 % interval over 1.96; the
interval itself and the provenance stand under "strop".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.files import write_json, write_jsonl
from harness.results import TaskResult, read_results
from harness.runs.names import RESULTS
from harness.runs.reading import read_evaluation
from harness.types import Metric
from leaderboards.formats.kinds import Figures, Format, Question, Questions


def write_lm_eval(evaluation: Path, out: Path, questions: Questions) -> list[Path]:
    """Write one results folder's files below `out`; the results file last."""
    content, results = read_evaluation(evaluation), read_results(evaluation)
    name, time = _model(content), _time(content["provenance"], evaluation)
    folder, stamp = out / _sanitized(name), _stamp(time)
    written, hashes = [], {}
    for task in results.tasks:
        rows = _samples(task, questions(task))
        path = folder / f"samples_{task.task}_{stamp}.jsonl"
        write_jsonl(path, rows)
        written.append(path)
        hashes[task.task] = _hash("".join(row["doc_hash"] + row["prompt_hash"] + row["target_hash"] for row in rows))
    estimates = {task["task"]: task["metrics"] for task in content["tasks"]}
    tasks = {task.task: task for task in results.tasks}
    provenance = results.provenance
    path = folder / f"results_{stamp}.json"
    write_json(
        path,
        {
            "results": {name: _figures(task, estimates[name]) for name, task in tasks.items()},
            "group_subtasks": {name: [] for name in tasks},
            "configs": {name: _config(task) for name, task in tasks.items()},
            "versions": {name: task.version for name, task in tasks.items()},
            "n-shot": dict.fromkeys(tasks, 0),
            "higher_is_better": {
                name: {_name(metric): {"higher": True, "lower": False}.get(metric.better) for metric in task.metrics}
                for name, task in tasks.items()
            },
            "n-samples": {
                name: {"original": len(task.rows), "effective": len(task.rows)} for name, task in tasks.items()
            },
            "config": {"model": "strop", "model_args": f"pretrained={results.model}", "model_sha": results.digest,
                       "batch_size": None, "batch_sizes": [], "device": None, "use_cache": None, "limit": None,
                       "bootstrap_iters": 0, "gen_kwargs": None},
            "git_hash": str(provenance.get("commit") or "")[:7] or None,
            "date": time.timestamp(),
            "transformers_version": (provenance.get("versions") or {}).get("transformers"),
            "lm_eval_version": (provenance.get("versions") or {}).get("lm-eval"),
            "task_hashes": hashes,
            "model_source": "strop",
            "model_name": name,
            "model_name_sanitized": folder.name,
            "system_instruction": None,
            "chat_template": None,
            "total_evaluation_time_seconds": None,
            "strop": {"parent": results.parent, "provenance": dict(provenance), "estimates": estimates},
        },
    )  # fmt: skip
    return [*written, path]


def place_of(evaluation: Path) -> tuple[str, str]:
    """The folder and the time that the files of one results folder are named by."""
    content = read_evaluation(evaluation)
    return _sanitized(_model(content)), _stamp(_time(content["provenance"], evaluation))


def _model(content: Mapping[str, Any]) -> str:
    return f"{content['model']}@{content['digest'][:12]}"


def _sanitized(name: str) -> str:
    return re.sub(r'["<>:/|\\?*\[\]]+', "__", name)


def _stamp(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat().replace(":", "-")


def _time(provenance: Mapping[str, Any], evaluation: Path) -> datetime:
    """When the evaluation ended: as recorded or, for older results, as the file system has it."""
    if provenance.get("finished"):
        return datetime.fromisoformat(provenance["finished"]).astimezone(UTC)
    return datetime.fromtimestamp((evaluation / RESULTS).stat().st_mtime, UTC)


def _name(metric: Metric) -> str:
    return metric.name.replace(",", ";")  # lm-eval ends a metric's name at a comma


def _figures(task: TaskResult, estimates: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {"name": task.task, "alias": task.task, "sample_len": len(task.rows)}
    for metric in task.metrics:
        estimate = estimates[metric.name]
        has_interval = estimate["low"] is not None and estimate["high"] is not None
        figures[f"{_name(metric)},{task.profile}"] = "N/A" if estimate["value"] is None else estimate["value"]
        figures[f"{_name(metric)}_stderr,{task.profile}"] = (
            (estimate["high"] - estimate["low"]) / (2 * 1.96) if has_interval else "N/A"
        )
    return figures


def _config(task: TaskResult) -> dict[str, Any]:
    return {
        "task": task.task,
        "test_split": task.split,
        "output_type": "generate_until",
        "num_fewshot": 0,
        "generation_kwargs": dict(task.sampling),
        "metric_list": [
            {"metric": _name(metric), "higher_is_better": metric.better != "lower"} for metric in task.metrics
        ],
        "metadata": {"version": task.version, "profile": task.profile, "data": task.data},
    }


def _samples(task: TaskResult, questions: Mapping[str, Question]) -> list[dict[str, Any]]:
    """A line for each answer; `value` is the sample's own mark. The text of an unavailable question is empty."""
    lines = []
    for index, row in enumerate(task.rows):
        prompt, target = questions.get(row.id, ("", ""))
        document = {"id": row.id, "cluster": row.cluster, "group": row.group}
        lines.append(
            {
                "doc_id": index,
                "doc": document,
                "target": target,
                "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": dict(task.sampling)}},
                "resps": [[row.answer]],
                "filtered_resps": [row.answer],
                "filter": task.profile,
                "metrics": ["value"],
                "doc_hash": _hash(json.dumps(document, sort_keys=True)),
                "prompt_hash": _hash(prompt),
                "target_hash": _hash(target),
                "value": row.value,
                # one type in all lines: `datasets` infers a column's type from the first
                "parsed": row.parsed if isinstance(row.parsed, str | None) else json.dumps(row.parsed),
                "counts": dict(row.counts),
            }
        )
    return lines


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _refuse_twins(figures: Figures) -> None:
    """Raise `UsageError` where one's files would take the place of another's: answers marked again keep their time."""
    places: dict[tuple[str, str], Path] = {}
    for evaluation in (each.folder for each in figures.evaluations):
        twin = places.setdefault(place_of(evaluation), evaluation)
        if read_evaluation(twin)["tasks"] != read_evaluation(evaluation)["tasks"]:
            raise UsageError(
                f"{twin} and {evaluation} are of one model and one time, by which lm-eval names its files: one would "
                "take the other's place; export them to folders of their own"
            )


def _write(figures: Figures, out: Path) -> list[Path]:
    return [
        path
        for evaluation in figures.evaluations
        for path in write_lm_eval(evaluation.folder, out / "lm-eval", figures.questions)
    ]


LM_EVAL = Format(name="lm-eval", write=_write, refuse=_refuse_twins)
