"""GRPO trains on answers that the model in training gives here: its own numbers, its verifier's rewards, no gold."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from transformers import LlavaForConditionalGeneration

from harness.errors import RecipeError, RunError
from harness.models.load import load_vlm
from harness.types import Answer, Checkpoint, Sample, Verdict
from loops.collect.sampling import SampledAnswers
from loops.groups import read_groups
from loops.kinds import Each, Round, Study, Trained
from loops.optimise import agreement, training
from loops.optimise.checkpoints import load_reference, load_start
from loops.optimise.grpo import Grpo
from loops.optimise.training import optimise, take_a_step
from loops.recipe import Recipe, load_recipe
from loops.rounds.online import Judge, Learn, OnlineOptimiser, online
from loops.stages import fold
from strop.running import setting
from tasks.data.root import DataRoot
from tasks.pictos.benchmarks import caption_samples
from tests.support.recipes import JUDGE_FREE
from tests.support.shell import Strop
from tests.support.tiny import save_tiny

SAMPLES = [sample.blind() for sample in caption_samples("pool", 4)]
TRL = {"per_device_train_batch_size": 16, "lr_scheduler_type": "constant", "learning_rate": 0.1}
DRAWN = {"collect.kind": "sampling", "collect.answers": 4, "select.keep": 1.0, "optimise.kind": "grpo"}


class Digits:
    """Rewards an answer in which there is a number; of some others there is no opinion."""

    def __init__(self, *, unsure: bool = False) -> None:
        self.shares: list[float] = []
        self.unsure = unsure

    def begin(self, samples: Sequence[Sample], answers: Sequence[Answer]) -> None:
        assert len(samples) == len(answers) == 4

    def __call__(self, samples: Sequence[Sample], answers: Sequence[Sequence[Answer]]) -> list[list[float | None]]:
        rewards = [[self._reward(answer.text) for answer in row] for row in answers]
        self.shares.append(fmean(reward == 1.0 for row in rewards for reward in row))
        return rewards

    def _reward(self, text: str) -> float | None:
        return 1.0 if any(map(str.isdigit, text)) else None if self.unsure and len(text) % 2 else 0.0


def _recipe(collect: SampledAnswers = SampledAnswers(answers=4, temperature=1.0, max_tokens=2), **fields: Any) -> Grpo:
    study = Recipe(name="mine", collect=collect).study(setting(DataRoot(), progress=False))
    return Grpo(**{"trl": TRL, **fields}).within(study)


def _built(recipe: Grpo, start: Path, scratch: Path, judge: Judge, other: Path | None = None) -> Any:
    begun = load_start(start, recipe, seed=0)
    reference = load_reference(other, recipe) if other else None
    settings = training.trl_settings(recipe, str(scratch), seed=0, run_name="")
    built = training.agreed_trainer(
        begun.model, reference, SAMPLES, recipe, settings, begun.reader, begun.end, judge=judge
    )  # fmt: skip
    return built.trainer


@pytest.mark.slow
def test_what_the_verifier_rewards_is_given_more_often(tiny: Path, tmp_path: Path) -> None:
    collect = SampledAnswers(answers=8, temperature=1.0, max_tokens=2)
    judge, recipe = Digits(), _recipe(collect, trl={**TRL, "per_device_train_batch_size": 32, "max_steps": 6})
    out = tmp_path / "checkpoint"
    trained = optimise(SAMPLES, recipe, start=tiny, out=out, seed=0, judge=judge)
    assert trained.steps == len(judge.shares) == 6
    assert fmean(judge.shares[:2]) < 0.5 < 0.75 < judge.shares[-1]
    after = load_vlm("trained", path=out).generate(SAMPLES, collect.sampling(seed=7, n=8))
    assert fmean(any(map(str.isdigit, text)) for texts in after for text in texts) > 0.75
    assert trained.costs["generated_tokens"] >= 6 * 32 + 4
    # each answer once forwards and backwards, beside what drawing read
    assert 0 < trained.costs["trained_tokens"] < trained.costs["forward_tokens"]


@pytest.mark.slow
def test_the_loss_is_that_of_its_paper_about_the_models_own_numbers(tiny: Path, tmp_path: Path) -> None:
    """Shao et al. 2024, equation 3 at the first step, where the ratio of new to old policy is 1: of each answer the
    mean over its tokens of advantage less beta times the estimated divergence from the reference; an answer without an
    opinion has no advantage, and none of the baseline's weight."""
    collect = SampledAnswers(answers=4, temperature=0.7, max_tokens=3)
    recipe = _recipe(collect, trl={**TRL, "beta": 0.5, "loss_type": "grpo"})
    other = save_tiny(tmp_path / "other", seed=2)
    trainer = _built(recipe, tiny, tmp_path, Digits(unsure=True), other)
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    (batch,) = trainer.get_train_dataloader()
    inputs = trainer._prepare_inputs(batch)
    loss = float(trainer._compute_loss(trainer.model, inputs).detach())
    expected, advantages = [], inputs["advantages"]
    for number, (ids, mask) in enumerate(zip(inputs["completion_ids"], inputs["completion_mask"], strict=True)):
        prompt = inputs["prompt_ids"][number][inputs["prompt_mask"][number].bool()].tolist()
        row = trainer.train_dataset[int(inputs["row"][number])]
        row = {**row, "prompt_ids": prompt, "completion_ids": ids[mask.bool()].tolist()}
        policy, reference = (
            agreement._read(model, trainer.collator, row, "completion_ids", 0.7).log_probs
            for model in (trainer.model, trainer.ref_model)
        )
        away = reference - policy
        expected.append(float((0.5 * (away.exp() - away - 1) - advantages[number].cpu()).mean()))
    assert loss == pytest.approx(fmean(expected), abs=1e-3)
    rewards = list(trainer.rewards)
    assert None in rewards
    wanted = []
    for start in range(0, 16, 4):
        opinions = [reward for reward in rewards[start : start + 4] if reward is not None]
        spread = stdev(opinions) if len(opinions) > 1 else 0.0
        wanted += [
            0.0 if reward is None else (reward - fmean(opinions)) / (spread + 1e-4)
            for reward in rewards[start : start + 4]
        ]
    assert sorted(advantages.tolist()) == pytest.approx(sorted(wanted), abs=1e-3)


@pytest.mark.slow
def test_a_model_that_changes_its_logits_behind_trls_back_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = LlavaForConditionalGeneration.forward

    @functools.wraps(own)
    def halved(self: Any, *inputs: Any, **named: Any) -> Any:
        output = own(self, *inputs, **named)
        output.logits = output.logits / 2
        return output

    monkeypatch.setattr(LlavaForConditionalGeneration, "forward", halved)
    with pytest.raises(RecipeError, match=r"^optimise: TRL computes -.* for the log-probability of an answer of "):
        _built(_recipe(), tiny, tmp_path, Digits())


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{"trl": {**TRL, "beta": 0.1}}, {"weights": "lora", "lora": {"r": 2}}], ids=str)
def test_a_step_can_be_tried_before_anything_is_asked(tiny: Path, fields: dict[str, Any]) -> None:
    recipe = _recipe(**fields)
    begun = load_start(tiny, recipe, seed=0)
    reference = None if begun.switched_off else load_reference(tiny, recipe)
    take_a_step(begun.model, reference, recipe.trial_rows(SAMPLES[0]), recipe, begun.reader, begun.end)


@pytest.mark.slow
def test_a_round_is_one_stage_with_the_answers_and_what_they_earned(tiny: Path, strop: Strop, tmp_path: Path) -> None:
    fields = {
        **DRAWN, "model": tiny, "rounds": 1, "collect.samples": 4, "collect.max_tokens": 4,
        "collect.unfinished": "keep", "verify.kind": "shorter",
        "optimise.trl": "{per_device_train_batch_size: 8, max_steps: 2}",
        "evaluate.tasks": "[pictos_captions]", "evaluate.limit": 2,
    }  # fmt: skip
    words = [word for name, value in fields.items() for word in ("--set", f"{name}={value}")]
    ran = strop("run", "judge_free", "--out", "out", *words)
    assert ran.code == 0, ran.err
    lines = [json.loads(line) for line in (tmp_path / "out/ledger.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines] == ["round-0/eval", "round-1/optimise", "round-1/eval"]
    facts = lines[1]["facts"]
    assert (facts["steps"], facts["answers"], facts["without_opinion"]) == (2, 16, 0.0)
    assert (facts["verifier"], facts["sees_gold"]) == ("shorter", False)
    groups = read_groups(tmp_path / "out/round-1/optimise/groups.jsonl", caption_samples("pool", 4))
    earned = [verdict.reward for group in groups for verdict in group.verdicts]
    assert facts["reward"] == pytest.approx(fmean(reward for reward in earned if reward is not None), abs=1e-3)
    assert strop("run", "judge_free", "--out", "out", *words).code == 0
    assert len((tmp_path / "out/ledger.jsonl").read_text().splitlines()) == 3


class Looking(OnlineOptimiser):
    """Trains nothing; keeps what it was shown."""

    kind: str = "looking"

    def drawing(self, study: Study) -> SampledAnswers:
        return SampledAnswers(temperature=1.0, max_unfinished=0.5, unfinished="drop")

    def open(self, context: Round) -> Learn:
        def learn(samples: Sequence[Sample], judge: Judge, out: Path, advance: Any) -> Trained:
            assert all(sample.target is None for sample in samples)
            judge.begin(samples, [Answer(text="A cat.")] * len(samples))
            answers = [Answer(text="A cat."), Answer(text="A dog and", finished=False)]
            assert judge(samples, [answers] * len(samples)) == [[1.0, None]] * len(samples)
            with pytest.raises(RunError, match=r"^101 of 102 answers were cut at collect\.max_tokens 80; raise it, or"):
                judge(samples[:1], [[Answer(text="A", finished=False)] * 100])
            out.mkdir()
            return Trained(steps=1)

        return learn


@pytest.mark.parametrize("sees_gold", [False, True])
def test_a_verifier_is_shown_gold_only_where_it_says_so(tiny: Path, tmp_path: Path, sees_gold: bool) -> None:
    shown: list[Any] = []
    recipe = load_recipe(JUDGE_FREE, ["collect.kind=sampling", "collect.samples=1", "verify.kind=random"])

    class Peeping(type(recipe.verify)):  # type: ignore[misc]
        def open(self, study: Study, groups: Any, draw: int) -> Each:
            shown.extend(group.sample.target for group in groups)

            def judge(sample: Sample, answer: str) -> Verdict:
                shown.append(sample.target)
                return Verdict(reward=1.0)

            return Each(judge=judge)

    Peeping.sees_gold = sees_gold
    study = recipe.model_copy(update={"verify": Peeping(), "optimise": Looking()}).study(
        setting(DataRoot(), progress=False)
    )
    start = Checkpoint(path=tiny, digest="seed")
    (stage,) = _stages(online(Round(study=study, number=1, seed=start, start=start), Looking()), tmp_path)
    assert stage.facts["without_opinion"] == 0.5
    assert [target is None for target in shown] == [True, not sees_gold, not sees_gold]


def _stages(stages: Any, folder: Path) -> list[Any]:
    outcomes: list[Any] = []

    class Enough(Exception):
        pass

    def do(stage: Any) -> Any:
        outcomes.append(stage.work(folder))
        raise Enough

    with pytest.raises(Enough):
        fold(stages, do)
    return outcomes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"select.keep": 0.25}, "so that select has no effect; leave out select.keep"),
        ({"select.kind": "survivors"}, "so that select has no effect; leave out select.kind"),
        ({"collect.kind": "guided"}, "collect.kind guided: optimise.kind grpo draws its answers anew in every step"),
        ({"collect.max_thought_tokens": 9}, "collect.max_thought_tokens 9: "),
        ({"collect.endpoint": "http://x/v1", "collect.served": "m"}, "collect.endpoint http://x/v1: "),
        ({"verify.kind": "none"}, "verify.kind none: rewards nothing, so that optimise.kind grpo would learn nothing"),
        ({"optimise.trl": "{num_generations: 8}"}, "optimise.trl.num_generations 8: collect.answers decides it"),
        ({"optimise.trl": "{temperature: 0.5}"}, "optimise.trl.temperature 0.5: collect.temperature decides it"),
        ({"optimise.trl": "{use_vllm: true}"}, "optimise.trl.use_vllm: answers are drawn here as in evaluation"),
        ({"optimise.trl": "{sync_ref_model: true}"}, "optimise.trl.sync_ref_model: "),
        ({"collect.answers": 3}, "collect.answers 3: a training draws 16 answers at a time "),
        ({"collect.samples": 3}, "collect.samples 3: a training draws answers to 4 pictures at a time"),
        ({"optimise.trl": "{label_smoothing: 0.1}"}, "it takes the fields of TRL's GRPOConfig"),
        ({"optimise.trl": "{loss_type: sigmoid}"}, "optimise.trl.loss_type 'sigmoid': "),
        ({"optimise.trl": "{beta: -1}"}, "optimise.trl.beta: must be above 0, found -1"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_go_with_it_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        _refused({**DRAWN, **changes})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def _refused(fields: dict[str, Any]) -> None:
    recipe = load_recipe(JUDGE_FREE, [f"{name}={value}" for name, value in fields.items()])
    study = recipe.study(setting(DataRoot(), progress=False))
    recipe.optimise.refuse(study)
    assert isinstance(recipe.optimise, Grpo)
    training.check_settings(recipe.optimise.within(study))
