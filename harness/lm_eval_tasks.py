"""lm-eval's generation and multiple-choice tasks as tasks of ours, by the name `lm_eval:NAME`.

lm-eval builds the prompts (description, few-shot examples, pictures), filters the responses and marks them, a sample at
a time; asking, storing, intervals and comparisons are ours. A group is one task of all its subtasks' samples. What can
not be measured so is refused with the reason: `refusal`.
"""

from __future__ import annotations

import difflib
import glob
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.errors import DataError, UnknownTaskError, UsageError
from harness.files import digest_of_bytes, digest_of_json
from harness.lm_eval_door import STOCK, Entry, OpenedTask, longest_answer, metrics_in, read_config, read_index
from harness.lm_eval_names import PATH_VARIABLE, PREFIX
from harness.pictures import open_picture, picture_digest
from harness.types import Details, Metric, Sample, Score, Scorer, Task

GROUP_FIELDS = {"group", "group_alias", "task", "tag", "aggregate_metric_list", "metadata", "task_alias"}

UNREAD = "[invalid]"
"""What lm-eval's filters give where they read nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """A single task of lm-eval's: its name, its YAML file, and what the file holds."""

    name: str
    path: Path
    config: Mapping[str, Any]

    @property
    def compares(self) -> bool:
        """Whether it asks for log-likelihoods."""
        return bool(self.config.get("output_type", "generate_until") != "generate_until")

    @property
    def filters(self) -> tuple[str, ...]:
        return tuple(entry["name"] for entry in self.config.get("filter_list") or [{"name": "none"}])

    @property
    def max_tokens(self) -> int:
        return longest_answer(self.config.get("generation_kwargs") or {})

    @property
    def version(self) -> float:
        metadata = self.config.get("metadata")
        return float(metadata.get("version", 0)) if isinstance(metadata, Mapping) else 0.0

    @property
    def digest(self) -> str:
        """Digest of the configuration and of the files of functions that it names, wherever they lie."""
        functions: dict[str, str] = {}

        def portable(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {str(key): portable(item) for key, item in value.items()}
            if isinstance(value, list):
                return [portable(item) for item in value]
            if isinstance(value, str) and value.startswith("/") and "\n" not in value:
                path = Path(value.rpartition(".")[0] + ".py")
                if path.is_file():
                    functions[path.name] = digest_of_bytes(path.read_bytes())
                return Path(value).name
            return value

        content = portable(self.config)
        return digest_of_json([content, functions])

    @property
    def opened(self) -> OpenedTask:
        """The task with its data, read once a process."""
        return _opened(self.path, self.name)


@lru_cache(maxsize=128)
def _opened(path: Path, name: str) -> OpenedTask:
    return OpenedTask(path, name)


@dataclass(frozen=True, kw_only=True, slots=True)
class LmEvalTask:
    """A generation task of lm-eval's, or a group of them, marked by lm-eval's own functions a sample at a time.

    Its profiles are the task's filters; `means` are its metrics that are means over samples, with whether higher is
    better, and `macro` says that a group's figure is the mean of its subtasks', not of all samples. An unread answer
    that lm-eval replaces by chance is replaced by the sample's own draw.
    """

    name: str
    leaves: tuple[Leaf, ...]
    means: Mapping[str, bool]
    macro: bool = False

    @property
    def version(self) -> int:
        """lm-eval's, in thousandths where it is no whole number; the newest of a group's."""
        newest = max(leaf.version for leaf in self.leaves)
        return int(newest) if newest.is_integer() else round(newest * 1000)

    @property
    def headline(self) -> str:
        return next(iter(self.means))

    @property
    def max_tokens(self) -> int:
        return self.leaves[0].max_tokens

    @property
    def profile(self) -> str:
        return self.leaves[0].filters[0]

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        return {name: partial(self._marked, name) for name in self.leaves[0].filters}

    @property
    def replicas(self) -> tuple[str, ...]:
        return self.leaves[0].filters

    @property
    def metrics(self) -> tuple[Metric, ...]:
        if len(self.leaves) == 1:
            return tuple(self._mean(name) for name in self.means)
        by_leaf = [self._mean(name, leaf) for name in self.means for leaf in self.leaves]
        if not self.macro:
            return (*(self._mean(name) for name in self.means), *by_leaf)
        macros = {name: tuple(f"{leaf.name}/{name}" for leaf in self.leaves) for name in self.means}
        better = {name: "higher" if higher else "lower" for name, higher in self.means.items()}
        return (*(Metric(name=name, macro=names, better=better[name]) for name, names in macros.items()), *by_leaf)

    def _mean(self, name: str, leaf: Leaf | None = None) -> Metric:
        return Metric(
            name=f"{leaf.name}/{name}" if leaf else name,
            terms={name: 1},
            over={f"{name}/n": 1},
            group=leaf.name if leaf else None,
            better="higher" if self.means[name] else "lower",
        )

    def samples(self, split: str) -> list[Sample]:
        """The documents that lm-eval measures on, prompts built; raises `DataError` for another split than test."""
        if split != "test":
            raise DataError(f"task {self.name}: lm-eval's tasks have one split to measure on; say --split test")
        return [
            self._sample(leaf, index, questions)
            for leaf in self.leaves
            for index, questions in enumerate(leaf.opened.questions)
        ]

    def _sample(self, leaf: Leaf, index: int, questions: Sequence[tuple[Sample, str]]) -> Sample:
        question, _ = questions[0]
        pictures = [open_picture(picture) for picture in question.images]
        id = f"{leaf.name}/{index}" if len(self.leaves) > 1 else str(index)
        target: Any = leaf.opened.target(index)
        if leaf.compares:
            target = {"right": target, "continuations": [continuation for _, continuation in questions]}
        return Sample(
            id=id,
            prompt="\n".join(dict.fromkeys(sample.prompt for sample, _ in questions)),
            images=question.images,
            target=target,
            cluster=picture_digest(pictures) if pictures else id,
            meta={"group": leaf.name} if len(self.leaves) > 1 else {},
        )

    def details(self, samples: Sequence[Sample]) -> Details:
        """What lm-eval's results say of a task: its version, the digest of its configuration, examples in the prompt;
        and the metrics that are no mean over samples, which are not measured."""
        del samples
        subtasks = {
            leaf.name: {
                "version": leaf.version,
                "config": leaf.digest,
                "num_fewshot": leaf.config.get("num_fewshot") or 0,
            }
            for leaf in self.leaves
        }
        others = {name for leaf in self.leaves for name, is_mean, _ in metrics_in(leaf.config) if not is_mean}
        info = {"package": version("lm-eval"), "tasks": subtasks, "metrics_left_out": sorted(others)}
        return Details(metrics=self.metrics, info={"lm_eval_task": info})

    def score(self, sample: Sample, answer: str) -> Score:
        return self._marked(self.profile, sample, answer)

    def gold(self, sample: Sample) -> str:
        leaf, index = self._document(sample)
        return leaf.opened.right_text(index)

    def _document(self, sample: Sample) -> tuple[Leaf, int]:
        name, _, index = sample.id.rpartition("/")
        return next(leaf for leaf in self.leaves if not name or leaf.name == name), int(index)

    def _marked(self, filter_name: str, sample: Sample, answer: str) -> Score:
        leaf, index = self._document(sample)
        figures, (filtered, *_) = leaf.opened.results(index, [answer], filter_name)
        return self._score(figures, None if filtered == UNREAD else filtered)

    def _score(self, figures: Mapping[str, Any], parsed: Any) -> Score:
        counts: dict[str, float] = {}
        for name in self.means:
            if name in figures:
                counts |= {name: float(figures[name]), f"{name}/n": 1.0}
        parsed = parsed if isinstance(parsed, str | int | float | None) else str(parsed)
        return Score(value=counts.get(self.headline, 0.0), parsed=parsed, counts=counts)


@dataclass(frozen=True, kw_only=True, slots=True)
class LmEvalChoices(LmEvalTask):
    """A task of lm-eval's that compares the log-likelihoods of continuations, or a group of them.

    A text is a JSON list as `harness.types.Continued` has it; any other counts 0 in every metric.
    """

    @property
    def max_tokens(self) -> int:
        return 1

    def continuations(self, sample: Sample) -> list[tuple[str, str]]:
        leaf, index = self._document(sample)
        return [(question.prompt, continuation) for question, continuation in leaf.opened.questions[index]]

    def gold(self, sample: Sample) -> str:
        leaf, index = self._document(sample)
        return json.dumps(leaf.opened.right_likelihoods(index))

    def _marked(self, filter_name: str, sample: Sample, answer: str) -> Score:
        leaf, index = self._document(sample)
        responses = _likelihoods(answer, len(leaf.opened.questions[index]))
        if responses is None:
            return self._score(dict.fromkeys(self.means, 0.0), None)
        figures, _ = leaf.opened.results(index, responses, filter_name)
        return self._score(figures, max(range(len(responses)), key=lambda choice: responses[choice][0]))


def _likelihoods(text: str, count: int) -> list[tuple[float, bool]] | None:
    """The log-likelihoods in a text, None where it does not hold so many."""
    try:
        likelihoods = [(float(value), bool(greedy)) for value, greedy in json.loads(text)]
    except (ValueError, TypeError):
        return None
    return likelihoods if len(likelihoods) == count else None


def find_lm_eval_task(name: str) -> Task:
    """The task `lm_eval:NAME`, its configuration read and its data not yet. Raises `UnknownTaskError` where lm-eval has
    none of that name, and `UsageError` with the reason for one that cannot be a task of ours."""
    leaves, macro = _leaves(name.removeprefix(PREFIX), ())
    for leaf in leaves:
        if reason := refusal(leaf.config):
            raise UsageError(f"task {PREFIX}{leaf.name}: {reason}")
    sorts = {(leaf.compares, leaf.filters, leaf.max_tokens) for leaf in leaves}
    means = _shared_means(leaves)
    if len(sorts) > 1 or not means:
        names = ", ".join(f"{PREFIX}{leaf.name}" for leaf in leaves)
        raise UsageError(
            f"task {name}: its subtasks have no metric in common, or other outputs, filters or lengths of answers; "
            f"name those you want: {names}"
        )
    kind = LmEvalChoices if leaves[0].compares else LmEvalTask
    return kind(name=name, leaves=tuple(leaves), means=means, macro=macro)


def _shared_means(leaves: Sequence[Leaf]) -> dict[str, bool]:
    means = [{name: higher for name, is_mean, higher in metrics_in(leaf.config) if is_mean} for leaf in leaves]
    return {name: higher for name, higher in means[0].items() if all(name in others for others in means)}


def refusal(config: Mapping[str, Any]) -> str | None:
    """Why a configuration is no task of ours, None where it is one."""
    generation = config.get("generation_kwargs") or {}
    if "class" in config:
        return "it is a Python class of its own; tasks that a YAML file describes are taken"
    if config.get("output_type") == "loglikelihood_rolling":
        return "it measures the likelihood of whole texts (loglikelihood_rolling); use lm-eval's own command for it"
    if config.get("unsafe_code"):
        return "it runs code that the model writes (unsafe_code), which is never run here"
    if (config.get("dataset_kwargs") or {}).get("trust_remote_code"):
        return "its data come by code from the hub (trust_remote_code), which is never run here"
    if config.get("doc_to_audio"):
        return "it asks about sounds; our models see pictures and text"
    if int(config.get("repeats") or 1) > 1:
        return f"it asks for {config['repeats']} answers to a sample (repeats); one is measured here"
    if generation.get("do_sample") or float(generation.get("temperature") or 0) > 0:
        return "it draws answers by chance (do_sample, temperature); answers are greedy here"
    if not any(is_mean for _, is_mean, _ in metrics_in(config)):
        names = ", ".join(name for name, _, _ in metrics_in(config))
        return f"none of its metrics ({names}) is a mean over samples, so that none has an interval or a paired test"
    return None


def _leaves(name: str, groups: tuple[str, ...]) -> tuple[list[Leaf], bool]:
    """(the single tasks of that name, in order; whether the group of that name is the mean of their means)."""
    if name in groups:
        raise UsageError(f"task {PREFIX}{name}: the group is in itself; mend its YAML file")
    entry = _find(name)
    if entry.path is not None and "group" not in entry.config:
        return [Leaf(name=name, path=entry.path, config=entry.config)], False
    config = entry.config
    members = config.get("task", entry.tagged)
    changed = sorted(set(config) - GROUP_FIELDS)
    if not isinstance(members, list | tuple) or changed or not all(isinstance(member, str) for member in members):
        names = ", ".join(f"{PREFIX}{member}" for member in _member_names(members))
        raise UsageError(f"task {PREFIX}{name}: the group changes settings of its tasks; name single tasks: {names}")
    leaves: dict[str, Leaf] = {}
    for member in members:
        leaves |= {leaf.name: leaf for leaf in _leaves(member, (*groups, name))[0]}
    aggregates = config.get("aggregate_metric_list") or []
    aggregates = [aggregates] if isinstance(aggregates, Mapping) else aggregates
    return list(leaves.values()), any(entry.get("weight_by_size") is False for entry in aggregates)


def _member_names(members: Any) -> list[str]:
    entries = members if isinstance(members, list | tuple) else [members]
    return [
        str(entry.get("task") or entry.get("group")) if isinstance(entry, Mapping) else str(entry) for entry in entries
    ]


def _find(name: str) -> Entry:
    """What has that name: first in the user's own folder, then in lm-eval's."""
    if own := os.environ.get(PATH_VARIABLE):
        folder = Path(own).expanduser().resolve()
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder; --include-path names one with YAML files of lm-eval's tasks")
        index = read_index(folder)
        if name in index:
            return index[name]
    for path in sorted(STOCK.rglob(f"{glob.escape(name)}.yaml")):  # parsing all of lm-eval's files takes seconds
        if (config := read_config(path)).get("task") == name:
            return Entry(path=path, config=config)
    if name in (stock := _stock_index()):
        return stock[name]
    near = difflib.get_close_matches(name, stock, n=1)
    hint = f"; did you mean '{PREFIX}{near[0]}'?" if near else ""
    own = "--include-path names a folder of YAML files of your own"
    raise UnknownTaskError(f"lm-eval {version('lm-eval')} has no task '{name}'{hint} ({own})")


@lru_cache(maxsize=1)
def _stock_index() -> Mapping[str, Entry]:
    return read_index(STOCK)
