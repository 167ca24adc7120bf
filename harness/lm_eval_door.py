"""The door to lm-eval, its only importer: our models and tasks under lm-eval's contract.

`StropLM` is a model of ours for lm-eval's command line and evaluator, `lm_eval_task` one of our tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import datasets
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from lm_eval.api.task import ConfigurableTask
from PIL.Image import Image

from harness.models.vlm import Vlm, load_vlm
from harness.pictures import open_picture
from harness.profiles import details_of, scorer_of
from harness.store import Answering, Store, ask
from harness.types import Advance, Metric, Picture, Sample, Sampling, Score, Task

PLACEHOLDER = "<image>"
"""Stands for a picture in a prompt of lm-eval's."""

MAX_TOKENS = 256
"""Longest answer of a generation task that sets no `max_gen_toks`: the default of lm-eval's own models."""


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
        """Greedy answers, each up to its first stop string; equal bounds are asked for together."""
        answers: dict[int, str] = {}
        by_bound: dict[int, list[int]] = {}
        for index, request in enumerate(requests):
            by_bound.setdefault(int(request.args[1].get("max_gen_toks", MAX_TOKENS)), []).append(index)
        for bound, indices in by_bound.items():
            samples = [_question(requests[index]) for index in indices]
            texts = ask(self.model, samples, Sampling(max_tokens=bound), self.store, self.advance)
            for index, (text,) in zip(indices, texts, strict=True):
                answers[index] = before_stop(text, requests[index].args[1].get("until"))
        return [answers[index] for index in range(len(requests))]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        if not isinstance(self.model, Vlm):
            raise NotImplementedError(f"{type(self.model).__name__} gives no log-likelihoods")
        return self.model.log_likelihood(
            [_question(request) for request in requests], [str(request.args[1]) for request in requests]
        )

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        raise NotImplementedError("rolling log-likelihoods are for texts without pictures; use lm-eval's 'hf' model")


def lm_eval_task(task: Task, split: str = "test") -> ConfigurableTask:
    """One of our tasks for lm-eval's own command line; reads the task's data.

    Pictures are given opened, each once: lm-eval's own models take nothing else.
    """
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
