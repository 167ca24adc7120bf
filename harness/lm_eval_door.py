"""The door to lm-eval, its only importer: our models and tasks under lm-eval's contract.

`StropLM` is a model of ours for lm-eval's command line and evaluator, `lm_eval_task` one of our tasks. In return
`OpenedTask` is a task of lm-eval's, of which `harness.lm_eval_tasks` makes one of ours.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import lm_eval.tasks
import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.model import LM
from lm_eval.api.registry import (
    DEFAULT_METRIC_REGISTRY,
    get_metric_aggregation,
    is_higher_better,
    register_model,
)
from lm_eval.api.task import ConfigurableTask
from lm_eval.filters import build_filter_ensemble
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml
from PIL.Image import Image

from harness.errors import DataError, UsageError
from harness.models.load import load_vlm
from harness.models.options import AttnImplementation, Dtype
from harness.pictures import open_picture
from harness.profiles import details_of, scorer_of
from harness.store import Answering, Likely, Store, ask, ask_likelihoods
from harness.types import Advance, Interactive, Metric, Picture, Sample, Sampling, Score, Task
from harness.wording import first_line

STOCK = Path(lm_eval.tasks.__file__).parent
"""The YAML files that come with lm-eval."""

FEWSHOT_SEED = 1234
"""lm-eval's default for the examples that it draws."""

PLACEHOLDER = "<image>"
"""Stands for a picture in a prompt of lm-eval's."""

MAX_TOKENS = 256
"""Longest answer of a generation task that sets no `max_gen_toks`: the default of lm-eval's own models."""


@register_model("strop")
class StropLM(LM):  # type: ignore[misc]
    """A model of ours under lm-eval's contract, with our store behind it.

    Also by name: ``lm_eval --model strop --model_args pretrained=FOLDER_OR_HUB_ID``, where ``dtype`` and
    ``attn_implementation`` are arguments too.
    """

    MULTIMODAL = True

    def __init__(
        self,
        pretrained: str | None = None,
        *,
        model: Answering | None = None,
        store: Store | None = None,
        advance: Advance | None = None,
        device: str | None = None,
        dtype: Dtype = "auto",
        attn_implementation: AttnImplementation | None = None,
        **ignored: Any,
    ) -> None:
        super().__init__()
        del ignored  # lm-eval hands every model its batch size
        if model is None:
            if pretrained is None:
                raise ValueError("model 'strop' needs pretrained=FOLDER_OR_HUB_ID")
            model = load_vlm(pretrained, device=device, dtype=dtype, attn_implementation=attn_implementation)
        self.model: Answering = model
        self.store, self.advance = store, advance

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Greedy answers, each up to its first stop string; equal bounds are asked for together."""
        answers: dict[int, str] = {}
        by_bound: dict[int, list[int]] = {}
        for index, request in enumerate(requests):
            by_bound.setdefault(longest_answer(request.args[1]), []).append(index)
        for bound, indices in by_bound.items():
            samples = [_question(requests[index]) for index in indices]
            texts = ask(self.model, samples, Sampling(max_tokens=bound), self.store, self.advance)
            for index, (text,) in zip(indices, texts, strict=True):
                answers[index] = before_stop(text, requests[index].args[1].get("until"))
        return [answers[index] for index in range(len(requests))]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        if not isinstance(self.model, Likely):
            raise NotImplementedError(f"{type(self.model).__name__} gives no log-likelihoods")
        samples = [_question(request) for request in requests]
        return ask_likelihoods(self.model, samples, [str(request.args[1]) for request in requests], self.store)

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        raise NotImplementedError("rolling log-likelihoods are for texts without pictures; use lm-eval's 'hf' model")


def lm_eval_task(task: Task, split: str = "test") -> ConfigurableTask:
    """One of our tasks for lm-eval's own command line; reads the task's data.

    Pictures are given opened, each once: lm-eval's own models take nothing else. Raises `UsageError` for a task of
    episodes: lm-eval asks each document once.
    """
    if isinstance(task, Interactive):
        raise UsageError(f"task {task.name}: lm-eval asks once and has no episodes; measure it by `strop eval`")
    samples = task.samples(split)
    opened: dict[Picture, Image] = {}

    def show(sample: Sample) -> list[Image]:
        return [opened.get(picture) or opened.setdefault(picture, open_picture(picture)) for picture in sample.images]

    return _lm_eval_task(task, samples, details_of(task, samples).metrics, task.max_tokens, show)


def _itself(image: Any) -> Any:
    return image


def _lm_eval_task(
    task: Task,
    samples: Sequence[Sample],
    metrics: Sequence[Metric],
    longest: int,
    show: Callable[[Sample], Sequence[Any]],
) -> ConfigurableTask:
    """One of our tasks as lm-eval's. A document carries its index in `samples`, nothing that is gold, and the prompt
    behind a `PLACEHOLDER` for each picture.

    `show` opens a sample's pictures; an answer has `longest` tokens at most.
    """

    def dataset(**_: Any) -> Mapping[str, datasets.Dataset]:
        # a placeholder for each picture before the text, as lm-eval's own models take it; `_question` removes them
        documents = [
            {"index": index, "id": s.id, "prompt": PLACEHOLDER * len(s.images) + s.prompt}
            for index, s in enumerate(samples)
        ]
        return {"test": datasets.Dataset.from_list(documents)}

    score = scorer_of(task)

    def process(document: Mapping[str, Any], answers: Sequence[str]) -> dict[str, tuple[str | None, Score]]:
        sample = samples[document["index"]]
        # lm-eval's own models keep blanks around an answer; LLaVA's scripts take them off, as our models do
        grouped_score = (sample.meta.get("group"), score(sample, answers[0].strip()))
        return {metric.name: grouped_score for metric in metrics}

    return ConfigurableTask(
        config={
            "task": task.name,
            "custom_dataset": dataset,
            "test_split": "test",
            "output_type": "generate_until",
            "num_fewshot": 0,
            "doc_to_text": lambda document: document["prompt"],
            "doc_to_target": lambda document: "",
            "doc_to_image": lambda document: show(samples[document["index"]]),
            "generation_kwargs": {"until": [], "max_gen_toks": longest, "do_sample": False},
            "process_results": process,
            "metric_list": [
                {
                    "metric": metric.name,
                    "aggregation": partial(_aggregate, metric, {other.name: other for other in metrics}),
                    "higher_is_better": metric.better != "lower",
                }
                for metric in metrics
            ],
            "metadata": {"version": task.version},
        }
    )


def _aggregate(metric: Metric, every: Mapping[str, Metric], by_group: Sequence[tuple[str | None, Score]]) -> float:
    """A metric of ours over (group, score) pairs, for lm-eval's own table."""
    if metric.macro:
        return sum(_aggregate(every[name], every, by_group) for name in metric.macro) / len(metric.macro)
    scores = [score for group, score in by_group if metric.group in (None, group)]
    above = sum(weight * score.counts.get(name, 0.0) for name, weight in metric.terms.items() for score in scores)
    below = sum(weight * score.counts.get(name, 0.0) for name, weight in metric.over.items() for score in scores)
    return above / below if below else float("nan")


def longest_answer(generation: Mapping[str, Any]) -> int:
    """The most tokens of an answer that `generation_kwargs` allow, by whichever of lm-eval's names they have it."""
    names = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
    return int(next((generation[name] for name in names if name in generation), MAX_TOKENS))


def before_stop(text: str, stops: str | Sequence[str] | None) -> str:
    """The text before the first of the stop strings, as lm-eval's own models cut it: each in turn, empty ones never."""
    for stop in [stops] if isinstance(stops, str) else stops or ():
        if stop:
            text = text.split(stop)[0]
    return text


def _question(request: Instance) -> Sample:
    """A request as a sample; its pictures are what the task gave as `visual`."""
    visual = request.args[2].get("visual") if len(request.args) > 2 else None
    pictures = tuple(item if not hasattr(item, "convert") else partial(_itself, item) for item in visual or ())
    return Sample(
        id=f"{request.task_name}/{request.doc_id}",
        prompt=_without_placeholders(str(request.args[0]), len(pictures)),
        images=pictures,
        target=None,
        cluster=repr(pictures),
    )


def _without_placeholders(prompt: str, pictures: int) -> str:
    """The prompt without the marks for its pictures, which our chat templates put before the text. More marks than
    pictures are a question's own text, but for those that it begins with."""
    begin = PLACEHOLDER * pictures
    if prompt.startswith(begin):
        return prompt.removeprefix(begin)
    return prompt.replace(PLACEHOLDER, "") if prompt.count(PLACEHOLDER) == pictures else prompt


def read_config(path: Path) -> dict[str, Any]:
    """A YAML file with what it includes; functions stay paths, and no code of the task runs. Raises `DataError`."""
    try:
        return dict(load_yaml(path, resolve_func=False))
    except Exception as error:
        raise DataError(f"{path}: is no configuration of a task ({first_line(error)})") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What a name of lm-eval's leads to: the YAML file of a task or group and what it holds, or no file and the tasks
    that have the name as their tag."""

    path: Path | None
    config: Mapping[str, Any]
    tagged: tuple[str, ...] = ()


def read_index(folder: Path) -> Mapping[str, Entry]:
    """Every task, group and tag that the YAML files of a folder define, by name, as lm-eval's own index has them."""
    index = TaskManager(include_path=str(folder), include_defaults=False).task_index
    return {
        name: Entry(path=entry.yaml_path, config=entry.cfg or {}, tagged=tuple(sorted(entry.tags)))
        for name, entry in index.items()
    }


def metrics_in(config: Mapping[str, Any]) -> Iterator[tuple[str, bool, bool]]:
    """(name, whether it is a mean over samples, whether higher is better) of each metric of a configuration."""
    output = config.get("output_type", "generate_until")
    for entry in config.get("metric_list") or [{"metric": name} for name in DEFAULT_METRIC_REGISTRY[output]]:
        name = str(entry["metric"])
        if name.startswith("/"):  # the path of a function
            name = name.rpartition(".")[2]
        aggregation = entry.get("aggregation")
        is_mean = aggregation == "mean" if aggregation else get_metric_aggregation(name) is mean
        higher = entry.get("higher_is_better")
        yield name, is_mean, bool(is_higher_better(name) is not False if higher is None else higher)


class OpenedTask:
    """A task of lm-eval's with its data read: what it asks, document by document, and what it makes of responses.

    `questions[i]` are the requests of document i, each a sample and its continuation ("" of a generation task). Raises
    `DataError` where the task or its data cannot be loaded.
    """

    def __init__(self, path: Path, name: str) -> None:
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        try:
            self._task: ConfigurableTask = TaskManager(include_defaults=False).load(str(path))["tasks"][name]
            self._task.set_fewshot_seed(FEWSHOT_SEED)
            self._task.build_all_requests()
        except Exception as error:
            raise DataError(f"task lm_eval:{name}: cannot be loaded ({first_line(error)})") from error
        by_document: dict[int, list[Instance]] = {}
        for request in self._task.instances:
            by_document.setdefault(request.doc_id, []).append(request)
        self._requests = list(by_document.values())
        self.questions = [
            [(_question(request), self._continuation(request)) for request in requests] for requests in self._requests
        ]
        entries = self._task.config.filter_list or [{"name": "none", "filter": [{"function": "take_first"}]}]
        self._filters = {entry["name"]: build_filter_ensemble(entry["name"], _steps(entry)) for entry in entries}

    @staticmethod
    def _continuation(request: Instance) -> str:
        return str(request.args[1]) if request.request_type == "loglikelihood" else ""

    def results(self, index: int, responses: Sequence[Any], filter_name: str) -> tuple[Mapping[str, Any], list[Any]]:
        """(metric -> figure of one document, the filtered responses); `responses` are one a request: a text, or
        (log-likelihood, whether it is the greedy one). Texts are cut at the task's stop strings first."""
        instances = [copy(request) for request in self._requests[index]]
        for instance, response in zip(instances, responses, strict=True):
            if isinstance(response, str):
                response = before_stop(response, instance.args[1].get("until"))
            instance.resps, instance.filtered_resps = [response], {}
        with _seeded(index):
            self._filters[filter_name].apply(instances)
            filtered = [instance.filtered_resps[filter_name] for instance in instances]
            return self._task.process_results(instances[0].doc, filtered), filtered

    def target(self, index: int) -> Any:
        """What the task has as right: a text, a choice's index, or a list of these."""
        return self._task.doc_to_target(self._requests[index][0].doc)

    def right_text(self, index: int) -> str:
        """A right answer of a generation task."""
        document, target = self._requests[index][0].doc, self.target(index)
        if self._task.config.doc_to_choice is not None and isinstance(target, int):
            target = self._task.doc_to_choice(document)[target]
        return str(target[0] if isinstance(target, list) and target else target)

    def right_likelihoods(self, index: int) -> list[tuple[float, bool]]:
        """Log-likelihoods by which the right continuation is chosen, with or without those of continuations alone."""
        requests = self._requests[index]
        if self._task.OUTPUT_TYPE == "loglikelihood":
            return [(0.0, True)]
        document = requests[0].doc
        choices = self._task.doc_to_choice(document)
        target = self._task.doc_to_text(document) if self._task.multiple_input else self.target(index)
        target = target[0] if isinstance(target, list) else target
        right = choices.index(target) if isinstance(target, str) else int(target)
        conditioned = [(0.0, True) if choice == right else (-1000.0, False) for choice in range(len(choices))]
        return conditioned + [(-500.0, False)] * (len(requests) - len(choices))


def _steps(entry: Mapping[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    return [(step["function"], {key: step[key] for key in step if key != "function"}) for step in entry["filter"]]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Python's and numpy's generators from `seed` on, and after it as they were: some tasks of lm-eval's choose an
    option by chance where they read none."""
    state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)
