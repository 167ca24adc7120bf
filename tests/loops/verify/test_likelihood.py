"""What the picture adds to the log-probability of an answer, by the judged model or by another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.models.load import load_vlm
from harness.store import Store
from harness.types import Checkpoint, Group, Sample
from loops.judging import open_verifier
from loops.verify.likelihood import ByLikelihood
from tasks.pictos.benchmarks import caption_samples
from tests.loops.verify.conftest import StudyOf

SCENES = caption_samples("pool", 2)


class Believer:
    """Gives each word -1 where it sees a picture and -2 where not, and cats as much either way."""

    digest, settings, costs, computed = "believer", "none", {"forward_passes": 1}, {"device": "cpu"}

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.tokenizer = lambda text, **_: SimpleNamespace(input_ids=text.split())

    def log_likelihood(self, samples: Sequence[Sample], answers: Sequence[str]) -> list[tuple[float, bool]]:
        self.samples += samples
        return [
            (-sum(1.0 if sample.images or word == "cat" else 2.0 for word in answer.split()), False)
            for sample, answer in zip(samples, answers, strict=True)
        ]


def judged(per: str, *answers: str, store: Store | None = None) -> tuple[Believer, list[float | None]]:
    model = Believer()
    verifier = ByLikelihood(model=model, per=per, store=store or Store())  # type: ignore[arg-type]
    (verdicts,) = verifier.verify([Group(sample=SCENES[0].blind(), answers=answers)])
    return model, [verdict.reward for verdict in verdicts]


def test_an_answer_earns_what_the_picture_adds_to_it_per_token_or_in_all() -> None:
    assert judged("answer", "a dog", "a cat", "cat cat", " ")[1] == [2.0, 1.0, 0.0, None]
    assert judged("token", "a dog", "a cat", "cat cat", " ")[1] == [1.0, 0.5, 0.0, None]


def test_without_the_picture_a_text_is_asked_about_once_for_all_pictures() -> None:
    model = Believer()
    groups = [Group(sample=scene.blind(), answers=("a dog", "a dog")) for scene in SCENES]
    ByLikelihood(model=model).verify(groups)  # type: ignore[arg-type]
    assert [bool(sample.images) for sample in model.samples] == [True, True, False]


def test_what_was_computed_is_kept(tmp_path: Path) -> None:
    first = judged("token", "a dog", store=Store(tmp_path / "replies.jsonl"))
    again = judged("answer", "a dog", store=Store(tmp_path / "replies.jsonl"))
    assert (len(first[0].samples), len(again[0].samples), again[1]) == (2, 0, [2.0])


def test_the_judged_model_is_the_one_that_its_round_starts_from(tiny: Path, study_of: StudyOf) -> None:
    study = study_of({"kind": "likelihood", "per": "answer"}, model="pictos-seed")
    judged_study = dataclasses.replace(study, policy=Checkpoint(path=tiny, digest="tiny"))
    assert study.verify.inputs(judged_study, 0)["model"] == "tiny"
    verifier = open_verifier(judged_study, [], 0)
    (verdicts,) = verifier.verify([Group(sample=SCENES[0].blind(), answers=("A cat.",))])
    model = load_vlm(str(tiny))
    blind = Sample(id="1", prompt=SCENES[0].prompt, images=(), target=None, cluster="1")
    values = [model.log_likelihood([sample], ["A cat."])[0][0] for sample in (SCENES[0], blind)]
    assert verdicts[0].reward == pytest.approx(values[0] - values[1], abs=1e-4)
    assert verifier.costs == model.costs


def test_a_level_says_whose_likelihood_it_is(study_of: StudyOf) -> None:
    studies = [study_of({"kind": "likelihood", "model": name}) for name in ("self", "pictos-peer", "pictos-seed")]
    assert [study.level for study in studies] == ["L4", "L3", "L3, judge of the honed model's own weights"]
