"""Evaluation through lm-eval: the only module that imports it.

Our models reach lm-eval as an `LM`, our tasks as task objects; lm-eval builds the requests, asks, filters and
aggregates. Its caches, its bootstraps and its task index stay off (they can serve one model's answers for another's,
take hours on F1, and read 14,000 files); answers come from our store, intervals from `harness.stats`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import datasets
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate as lm_eval_evaluate
from lm_eval.tasks import TaskManager
from PIL.Image import Image

from harness.errors import DataError
from harness.marking import Sureness, mark_with_readings
from harness.models.vlm import Vlm, load_vlm
from harness.pictures import open_picture
from harness.profiles import details_of, scorer_of
from harness.provenance import data_digest
from harness.ranked import OWN
from harness.results import TaskResult
from harness.store import Answering, Store, ask
from harness.task_faults import samples_of, try_task
from harness.thoughts import answer_of
from harness.types import Advance, Metric, Picture, Ranked, Sample, Sampling, Score, Task

PLACEHOLDER = "<image>"
"""What stands for a picture in a prompt of lm-eval's."""

Progress = Callable[[str, int], Advance]
"""Given a task's name and its number of samples, returns what is told of every step."""


@register_model("strop")
class StropLM(LM):  # type: ignore[misc]
    """A model of ours under lm-eval's contract, with our store behind it.

    Also by name: ``lm_eval --model strop --model_args pretrained=FOLDER_OR_HUB_ID``.
    """

    MULTIMODAL = True

    def __init__(
        self,
        pretrained: str | None = None,
        *,
        model: Answering | None = None,
        store: Store | None = None,
        advance: Advance | None = None,
        **ignored: Any,
    ) -> None:
        super().__init__()
        del ignored  # lm-eval hands every model its batch size and device
        if model is None:
            if pretrained is None:
                raise ValueError("model 'strop' needs pretrained=FOLDER_OR_HUB_ID")
            model = load_vlm(pretrained)
        self.model: Answering = model
        self.store, self.advance = store, advance

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Greedy answers; equal generation settings are asked for together."""
        answers: dict[int, str] = {}
        groups: dict[int, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(int(request.args[1].get("max_gen_toks", 64)), []).append(index)
        for longest, indices in groups.items():
            samples = [_asked(requests[index]) for index in indices]
            found = ask(self.model, samples, Sampling(max_tokens=longest), self.store, self.advance)
            answers.update((index, texts[0]) for index, texts in zip(indices, found, strict=True))
        return [answers[index] for index in range(len(requests))]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        if not isinstance(self.model, Vlm):
            raise NotImplementedError(f"{type(self.model).__name__} gives no log-likelihoods")
        return self.model.log_likelihood(
            [_asked(request) for request in requests], [str(request.args[1]) for request in requests]
        )

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        raise NotImplementedError("rolling log-likelihoods are for texts without pictures; use lm-eval's 'hf' model")


def evaluate(
    model: Answering,
    tasks: Sequence[Task],
    *,
    split: str,
    limit: int | None = None,
    max_tokens: Mapping[str, int] = MappingProxyType({}),
    store: Store | None = None,
    progress: Progress | None = None,
) -> list[TaskResult]:
    """Ask every sample of the tasks (the first `limit` of each) and mark the answers.

    `max_tokens` bounds the answers of the tasks that it names, in the place of the task's own bound.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    results = []
    sureness: dict[_Said, list[float]] = {}  # tasks may mark the same answers
    asked = []
    for task in tasks:  # all of them are tried before the first is asked
        samples = samples_of(task, split)[:limit]
        if not samples:
            raise DataError(f"task {task.name}: it has no samples in the split {split}")
        details = details_of(task, samples)
        try_task(task, samples, details.metrics)
        asked.append((task, samples, details))
    for task, samples, details in asked:
        scores: dict[int, Score] = {}
        longest = max_tokens.get(task.name, task.max_tokens)
        ours = _lm_eval_task(task, samples, details.metrics, scores, longest)
        lm = StropLM(model=model, store=store, advance=progress(task.name, len(samples)) if progress else None)
        # not `simple_evaluate`: it seeds the process and asks the machine for its compilers and packages, for seconds
        loaded = TaskManager(include_defaults=False).load([ours])
        found = lm_eval_evaluate(lm=lm, task_dict=loaded, bootstrap_iters=0, log_samples=True)
        logged = sorted(found["samples"][task.name], key=lambda row: row["doc_id"])
        answers = [_said(row["filtered_resps"]) for row in logged]
        sentences = _sureness(model, task, samples, answers, sureness)
        marked = mark_with_readings(task, samples, answers, split=split, sureness=sentences)
        results.append(
            replace(
                marked,
                info={**marked.info, "lm_eval": _figures(found["results"][task.name], details.metrics)},
                data=data_digest(samples),
                sampling=asdict(Sampling(max_tokens=longest)),
                frontier=task.frontier if isinstance(task, Ranked) and any(sentences) else None,
            )
        )
    return results


_Said = tuple[tuple[Picture, ...], str, str]
"""Pictures, prompt and answer."""


def _sureness(
    model: Answering,
    task: Task,
    samples: Sequence[Sample],
    answers: Sequence[str],
    known: dict[_Said, list[float]],
) -> Sequence[Sureness]:
    """How sure the model is of each sentence of each answer; nothing of a task that is not `Ranked`, nor of a model
    that gives no log-probabilities (one that is served). What is not yet in `known` is put there."""
    if not (isinstance(task, Ranked) and isinstance(model, Vlm)):
        return [{}] * len(samples)
    said: list[_Said] = [
        (sample.images, sample.prompt, answer) for sample, answer in zip(samples, answers, strict=True)
    ]
    new = {key: sample for key, sample in zip(said, samples, strict=True) if key not in known}
    # without the thought before it, as chat templates leave it out of what was said
    values = model.sentence_log_likelihoods(list(new.values()), [answer_of(answer).answer for _, _, answer in new])
    known |= dict(zip(new, values, strict=True))
    return [{OWN: known[key]} for key in said]


def lm_eval_task(task: Task, split: str = "test") -> ConfigurableTask:
    """One of our tasks for lm-eval's own command line; reads the task's data.

    Pictures are given opened, each once: lm-eval's own models take nothing else.
    """
    samples = task.samples(split)
    opened: dict[Picture, Image] = {}

    def show(sample: Sample) -> list[Image]:
        return [opened.get(picture) or opened.setdefault(picture, open_picture(picture)) for picture in sample.images]

    return _lm_eval_task(task, samples, details_of(task, samples).metrics, {}, task.max_tokens, show)


def _said(answers: Sequence[str]) -> str:
    """The answer without the blanks around it, which lm-eval's own models keep: LLaVA's scripts take them off as ours
    do, and its rule for options reads no letter behind one."""
    return answers[0].strip()


def _itself(image: Any) -> Any:
    return image


def _unopened(sample: Sample) -> list[Picture]:
    return list(sample.images)


def _lm_eval_task(
    task: Task,
    samples: Sequence[Sample],
    metrics: Sequence[Metric],
    scores: dict[int, Score],
    longest: int,
    show: Callable[[Sample], Sequence[Any]] = _unopened,
) -> ConfigurableTask:
    """One of our tasks as lm-eval's. A document carries its place in `samples`, nothing that is gold, and the prompt
    behind a `PLACEHOLDER` for each picture.

    Each answer is marked once, when lm-eval processes it, and its mark put into `scores` under the sample's place.
    `show` gives a sample's pictures as the model takes them; an answer has `longest` tokens at most.
    """

    def dataset(**_: Any) -> Mapping[str, datasets.Dataset]:
        # each picture's place before the text, as lm-eval's own models take it; `_asked` takes off as many
        documents = [
            {"index": index, "id": s.id, "prompt": PLACEHOLDER * len(s.images) + s.prompt}
            for index, s in enumerate(samples)
        ]
        return {"test": datasets.Dataset.from_list(documents)}

    score = scorer_of(task)

    def process(document: Mapping[str, Any], answers: Sequence[str]) -> dict[str, tuple[str | None, Score]]:
        index = document["index"]
        scores[index] = score(samples[index], _said(answers))
        marked = (samples[index].meta.get("group"), scores[index])
        return {metric.name: marked for metric in metrics}

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


def _aggregate(metric: Metric, every: Mapping[str, Metric], marked: Sequence[tuple[str | None, Score]]) -> float:
    """A metric of ours over (group, score) pairs, for lm-eval's own table."""
    if metric.macro:
        return sum(_aggregate(every[name], every, marked) for name in metric.macro) / len(metric.macro)
    scores = [score for group, score in marked if metric.group in (None, group)]
    above = sum(weight * score.counts.get(name, 0.0) for name, weight in metric.terms.items() for score in scores)
    below = sum(weight * score.counts.get(name, 0.0) for name, weight in metric.over.items() for score in scores)
    return above / below if below else float("nan")


def _figures(found: Mapping[str, Any], metrics: Sequence[Metric]) -> dict[str, float | None]:
    """lm-eval's own aggregates, kept beside ours in the results file: the two must agree."""
    values = {metric.name: found.get(f"{metric.name},none") for metric in metrics}
    return {name: None if value is None or value != value else float(value) for name, value in values.items()}


def _asked(request: Instance) -> Sample:
    """A request as a sample; its pictures are what the task gave as `visual`."""
    visual = request.args[2]["visual"] if len(request.args) > 2 else ()
    pictures = tuple(item if not hasattr(item, "convert") else partial(_itself, item) for item in visual)
    return Sample(
        id=f"{request.task_name}/{request.doc_id}",
        prompt=str(request.args[0]).removeprefix(PLACEHOLDER * len(pictures)),
        images=pictures,
        target=None,
        cluster=repr(pictures),
    )
