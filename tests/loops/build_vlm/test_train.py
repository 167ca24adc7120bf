"""Turns that share a photograph are learnt as each by itself would be; a stopped training ends as one that was not."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from harness.errors import UsageError
from harness.models.prompts import prompt_reader
from harness.models.stopping import stop_tokens
from loops.build_vlm import train as module
from loops.build_vlm.join import Joined, join
from loops.build_vlm.lessons import Lesson, Tutor
from loops.build_vlm.train import Material, Schedule, batch_loss, train, visits
from tests.support.parts import language_model, tower

pytestmark = pytest.mark.slow

LESSONS = [
    Lesson(picture=Path(f"{number}.png"), captions=(f"a {word} square", f"it is {word}."), questions=(("red?", "no"),))
    for number, word in enumerate(("red", "blue", "green", "yellow"))
]
SCHEDULE = Schedule(projector_steps=3, steps=4, batch=2, each=2, every=2, rank=2)
TURNS = [("describe", "a red square"), ("describe", "two circles next to it"), ("red?", "yes")]


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    return join(tower(tmp_path / "tower"), language_model(tmp_path / "lm"))


def _material(joined: Joined) -> Material:
    reader = prompt_reader(joined.model.config, joined.processor)
    end = reader.end_token(stop_tokens(joined.model, joined.processor.tokenizer))
    features = torch.randn(4, 4, 32, generator=torch.Generator().manual_seed(0))
    return Material(lessons=LESSONS, features=features, tutor=Tutor(reader, end=end, prompts=("describe", "tell")))


def _silent(stage: str, done: int, total: int, loss: float) -> None:
    pass


def test_turns_that_share_a_picture_are_each_learnt_as_if_alone(joined: Joined) -> None:
    material = _material(joined)
    features = material.features[:1]
    together = material.tutor.batch([0], [TURNS])
    apart = material.tutor.batch([0, 0, 0], [[turn] for turn in TURNS])
    assert together.ids.shape[1] < apart.ids.shape[1] * 3 - 2 * 4, "the picture's four tokens stand once"
    with torch.no_grad():
        losses = [
            float(batch_loss(joined.model, batch, features.expand(len(batch.ids), -1, -1)))
            for batch in (together, apart)
        ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_a_row_is_what_the_model_itself_is_asked(joined: Joined) -> None:
    """The loss of one caption is the mean log-probability that LLaVA's own forward gives its tokens."""
    material, pixels = _material(joined), torch.randn(1, 3, 28, 28)
    with torch.no_grad():
        states = joined.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1][:, 1:]
        batch = material.tutor.batch([0], [TURNS[:1]])
        ours = float(batch_loss(joined.model, batch, states))
        logits = joined.model(input_ids=batch.ids, pixel_values=pixels).logits[0]
    target = batch.targets[0]
    own = torch.nn.functional.cross_entropy(logits, target, ignore_index=-100)
    assert ours == pytest.approx(float(own), abs=1e-5)
    answered = joined.processor.tokenizer.decode(target[target >= 0])
    assert answered == "a red square</s>", "the answer and its end, and nothing of the prompt"


def test_a_model_to_which_they_are_not_the_same_gets_a_row_for_each(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.shares_pictures(joined.model, _material(joined))
    monkeypatch.setattr(module, "TOLERANCE", -1.0)
    assert not module.shares_pictures(joined.model, _material(joined))
    batch, features = module._batch(_material(joined), (0, 1), SCHEDULE, 0, shared=False)
    assert len(batch.ids) == len(features) == 6, "two captions and a question of each"


@pytest.mark.parametrize("weights", ["lora", "all", "none"])
def test_the_loss_falls_and_the_tower_stays(weights: str, joined: Joined, tmp_path: Path) -> None:
    losses: list[float] = []

    def report(stage: str, done: int, total: int, loss: float) -> None:
        losses.append(loss)

    before = {name: values.clone() for name, values in joined.model.state_dict().items()}
    schedule = replace(SCHEDULE, weights=weights, projector_rate=5e-3, rate=5e-3)  # type: ignore[arg-type]
    after = train(joined.model, _material(joined), schedule, work=tmp_path / "work", report=report).state_dict()
    moved = {name.split(".")[1] for name, values in before.items() if not torch.equal(values, after[name])}
    assert moved == ({"multi_modal_projector"} if weights == "none" else {"multi_modal_projector", "language_model"})
    assert losses[-1] < losses[0]
    assert len(losses) == SCHEDULE.total


@pytest.mark.parametrize("step", [2, 3, 6], ids=["in the first stage", "between the stages", "in the second stage"])
def test_stopped_at_any_step_it_ends_where_it_would_have(step: int, tmp_path: Path) -> None:
    def run(work: Path, report: Callable[[str, int, int, float], None]) -> dict[str, torch.Tensor]:
        joined = join(tower(tmp_path / "tower"), language_model(tmp_path / "lm"))
        weights: dict[str, torch.Tensor] = train(
            joined.model, _material(joined), SCHEDULE, work=work, report=report
        ).state_dict()
        return weights

    def stop(stage: str, done: int, total: int, loss: float) -> None:
        if done == step:
            raise KeyboardInterrupt

    whole = run(tmp_path / "whole", _silent)
    with pytest.raises(KeyboardInterrupt) as stopped:
        run(tmp_path / "stopped", stop)
    assert stopped.value.__notes__ == ["the same command goes on where it stopped"]
    (kept,) = (tmp_path / "stopped").glob("step*.safetensors")
    assert kept.name == f"step{step}.safetensors"
    assert all(torch.isfinite(values).all() for values in load_file(kept).values())
    for name, values in run(tmp_path / "stopped", _silent).items():
        torch.testing.assert_close(values, whole[name], msg=name)


def test_another_training_in_the_folder_is_not_gone_on_with(joined: Joined, tmp_path: Path) -> None:
    train(joined.model, _material(joined), SCHEDULE, work=tmp_path, report=_silent)
    with pytest.raises(UsageError, match="holds a training of other settings or photographs; name another --out"):
        train(joined.model, _material(joined), replace(SCHEDULE, rate=1.0), work=tmp_path, report=_silent)


def test_every_photograph_is_seen_before_any_is_seen_again() -> None:
    steps = list(visits(4, replace(SCHEDULE, projector_steps=2, steps=4)))
    assert len(steps) == 6
    seen = [index for step in steps for index in step]
    assert [sorted(seen[start : start + 4]) for start in (0, 4, 8)] == [[0, 1, 2, 3]] * 3
    assert seen[:4] != seen[4:8] or seen[4:8] != seen[8:]


def test_a_visit_draws_captions_to_one_prompt_and_some_questions(joined: Joined) -> None:
    turns = _material(joined).tutor.draw(LESSONS[0], 2, random.Random(0))
    assert sorted(answer for _, answer in turns) == ["a red square", "it is red.", "no"]
    assert len({prompt for prompt, answer in turns if answer != "no"}) == 1
