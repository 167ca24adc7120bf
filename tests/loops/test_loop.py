"""Collect, verify, select, optimise: each does what its recipe says, and a run that is killed loses nothing."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from PIL.Image import Image
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from harness.errors import DataError, RecipeError, RunError
from harness.files import read_jsonl
from harness.models.mixing import Mix
from harness.results import read_results
from harness.runs.watches import Reading
from harness.types import Advance, Answer, Group, Sample, Sampling, Verdict
from leaderboards.build import build_board
from loops.collect.controlled_hallucination import ControlledHallucination, Ratio
from loops.collect.sampling import SampledAnswers
from loops.groups import Pair, read_groups, read_rows, write_groups, write_rows
from loops.kinds import Verifying
from loops.ledger import Ledger, Outcome
from loops.notes import notes_of_run
from loops.optimise.dpo import Dpo
from loops.optimise.parts import prepare
from loops.optimise.training import check_settings, optimise
from loops.recipe import Recipe
from loops.run import plan_recipe, run_recipe
from loops.select.pairs import BestAgainstWorst, select
from loops.setting import Bar, Pool, Setting
from loops.verify.clip import ByEncoder
from loops.verify.none import NoVerifier
from loops.verify.oracle import Oracle
from loops.verify.random import Random
from loops.verify.shorter import Shorter
from tasks.data.pools import WorldPool
from tasks.pictos.benchmarks import caption_pool, caption_samples
from tasks.pictos.models import shipped
from tasks.registry import TASKS, find_task, training_pool

# Collect --------------------------------------------------------------------------------------------------------------

SAID = "A cat on the left. Two dogs. A cup."


class Talker:
    """Says the same of every picture; keeps what it was asked."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.how: list[Mix] = []
        self.samplings: list[Sampling] = []

    def answers(
        self,
        samples: Sequence[Sample],
        sampling: Sampling,
        how: Sequence[Mix] | None = None,
        advance: Advance | None = None,
    ) -> list[list[Answer]]:
        self.samples += samples
        self.samplings.append(sampling)
        if how is None:
            return [[Answer(text=SAID)] * sampling.n for _ in samples]
        self.how = list(how)
        return [[Answer(text=f"{item.lead} A bear.".strip())] for item in how]


def _collected(recipe: ControlledHallucination, seed: int = 0, count: int = 200) -> tuple[Talker, list[Group]]:
    model = Talker()
    groups = recipe.ask(model, caption_samples("pool", count), seed=seed)  # type: ignore[arg-type]
    return model, groups


def test_a_group_is_the_answer_and_its_hallucination_with_what_made_it() -> None:
    model, groups = _collected(ControlledHallucination())
    for group, how in zip(groups, model.how, strict=True):
        assert group.answers == (SAID, f"{how.lead} A bear.".strip())
        assert group.notes == ({}, {"h_ratio": -(how.weight or 0), "lead": how.lead})


def test_leads_are_whole_sentences_of_the_answer_and_never_all_of_it() -> None:
    model, _ = _collected(ControlledHallucination())
    leads = [how.lead for how in model.how]
    assert set(leads) == {"", "A cat on the left.", "A cat on the left. Two dogs."}
    assert all(40 < leads.count(lead) < 95 for lead in set(leads)), "each beginning has the same chance"


def test_without_a_shared_prefix_there_is_no_lead() -> None:
    model, _ = _collected(ControlledHallucination(share_prefix=False))
    assert {how.lead for how in model.how} == {""}


def test_ratios_follow_the_seed_and_their_gaussian() -> None:
    recipe = ControlledHallucination(h_ratio=Ratio(mean=0.5, std=0.1))
    ratios = [[-(how.weight or 0) for how in _collected(recipe, seed, 1_000)[0].how] for seed in (1, 1, 2)]
    assert ratios[0] == ratios[1] != ratios[2]
    mean = sum(ratios[0]) / 1_000
    assert mean == pytest.approx(0.5, abs=0.015)
    assert (sum((ratio - mean) ** 2 for ratio in ratios[0]) / 1_000) ** 0.5 == pytest.approx(0.1, abs=0.01)


def test_sampled_answers_are_drawn_in_one_pass() -> None:
    model = Talker()
    recipe = SampledAnswers(answers=3, temperature=0.7, max_tokens=9)
    groups = recipe.ask(model, caption_samples("pool", 5), seed=4)  # type: ignore[arg-type]
    assert model.samplings == [Sampling(n=3, temperature=0.7, max_tokens=9, seed=4)]
    assert [(group.answers, group.notes) for group in groups] == [((SAID,) * 3, ({},) * 3)] * 5


@pytest.mark.parametrize(("mean", "at"), [(3.0, 1.0), (-2.0, 0.0)])
def test_ratios_are_clipped(mean: float, at: float) -> None:
    model, _ = _collected(ControlledHallucination(h_ratio=Ratio(mean=mean, std=0.1)))
    assert {-(how.weight or 0) for how in model.how} == {at}


def test_the_two_answers_are_drawn_with_different_numbers() -> None:
    first, second = _collected(ControlledHallucination(temperature=0.7, max_tokens=9), seed=4)[0].samplings
    assert (first.temperature, first.max_tokens) == (second.temperature, second.max_tokens) == (0.7, 9)
    assert first.seed != second.seed


# Verify ---------------------------------------------------------------------------------------------------------------


class Scripted:
    """An encoder whose score of a sentence is written down."""

    def __init__(self, scores: Mapping[str, float]) -> None:
        self.scores = scores

    def match(self, pictures: Sequence[Image], texts: Sequence[Sequence[str]]) -> list[list[float]]:
        assert len(pictures) == len(texts)
        return [[self.scores[text] for text in several] for several in texts]


def _opened(kind: Any, task: Any = None) -> Verifying:
    """A verifier at work on the answers to a task."""
    setting = SimpleNamespace(tasks={"task": task})
    opened: Verifying = kind.open(SimpleNamespace(setting=setting, source="task"), [], 0)
    return opened


SCORES = {"A cat.": 2.0, "Two dogs.": -1.0, "A cup.": 0.0}
(SCENE,) = caption_samples("pool", 1)


def _group(*answers: str, rewards: Sequence[float | None] = ()) -> Group:
    return Group(sample=SCENE, answers=answers, verdicts=tuple(Verdict(reward=reward) for reward in rewards))


def _clip(aggregate: str, *answers: str) -> list[float | None]:
    clip = ByEncoder(encoder=Scripted(SCORES), aggregate=aggregate)  # type: ignore[arg-type]
    (verdicts,) = clip.verify([_group(*answers)])
    return [verdict.reward for verdict in verdicts]


def _earned(score: float) -> float:
    return 1 / (1 + math.exp(-score)) - 0.5


def test_under_sum_a_right_sentence_earns_and_a_wrong_one_costs() -> None:
    right, both, neutral = _clip("sum", "A cat.", "A cat. Two dogs.", "A cat. A cup.")
    assert right == pytest.approx(_earned(2.0))
    assert both == pytest.approx(_earned(2.0) + _earned(-1.0))
    assert neutral == pytest.approx(right)


def test_under_sum_a_sentence_said_again_costs_as_a_wrong_one() -> None:
    once, twice, thrice = _clip("sum", "A cat.", "A cat. A cat.", "A cat. A cup. A cat. A cat.")
    assert twice == pytest.approx(_earned(2.0) - 0.5)
    assert thrice == pytest.approx(_earned(2.0) - 1.0)
    assert once is not None
    assert twice is not None
    assert twice < once


def test_mean_and_min_are_over_the_sentences() -> None:
    assert _clip("mean", "A cat. Two dogs. A cup.", "A cat.") == [pytest.approx(1 / 3), 2.0]
    assert _clip("min", "A cat. Two dogs. A cup.", "A cat.") == [-1.0, 2.0]


@pytest.mark.parametrize("aggregate", ["sum", "mean", "min"])
def test_silence_is_given_no_opinion(aggregate: str) -> None:
    assert _clip(aggregate, "", " ") == [None, None]


def test_many_groups_are_judged_in_parts_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loops.verify.clip.BATCH", 3)
    clip, counts = ByEncoder(encoder=Scripted(SCORES), aggregate="min"), list[int]()  # type: ignore[arg-type]
    result = clip.verify([_group(name) for name in ("A cat.", "Two dogs.") * 4], counts.append)
    assert [item.reward for (item,) in result] == [2.0, -1.0] * 4
    assert counts == [3, 3, 2]


def test_the_oracle_gives_the_tasks_own_mark() -> None:
    task = find_task("pictos_captions")
    names = sorted(SCENE.target)
    answers = (" ".join(f"A {name}." for name in names), f"A {names[0]}.", "")
    (verdicts,) = _opened(Oracle(), task).verify([_group(*answers)])
    assert [verdict.reward for verdict in verdicts] == [task.score(SCENE, answer).value for answer in answers]
    assert (verdicts[0].reward, verdicts[2].reward) == (1.0, 0.0)


def test_random_follows_its_seed_and_knows_nothing() -> None:
    groups = [_group("A cat.", "Two dogs.")] * 500
    left, again, other = (Random().open(None, [], seed).verify(groups) for seed in (1, 1, 2))
    assert left == again != other
    preferred = sum(first.reward > second.reward for first, second in left)  # type: ignore[operator]
    assert 200 < preferred < 300


def test_none_has_no_opinion() -> None:
    assert _opened(NoVerifier()).verify([_group("A cat.", "Two dogs.")]) == [
        (Verdict(reward=None), Verdict(reward=None))
    ]


# Select ---------------------------------------------------------------------------------------------------------------


def _selected(groups: Sequence[Group], **recipe: Any) -> tuple[list[tuple[str, str, bool]], dict[str, int]]:
    result = select(groups, BestAgainstWorst(**recipe))
    assert result.counts["groups"] == len(groups)
    assert result.counts["pairs"] == len(result.rows)
    counts = {name: count for name, count in result.counts.items() if count and name not in ("groups", "pairs")}
    return [(pair.chosen, pair.rejected, pair.reversed) for pair in result.rows], counts


AGREED = _group("a", "b", rewards=(0.9, 0.1))
DISAGREED = _group("c", "d", rewards=(0.2, 0.5))


@pytest.mark.parametrize(
    ("disagreement", "second", "counts"),
    [
        ("reverse", [("d", "c", True)], {"reversed": 1}),
        ("discard", [], {"discarded": 1}),
        ("keep", [("c", "d", False)], {}),
    ],
)
def test_disagreement_is_met_as_the_recipe_says(
    disagreement: str, second: list[tuple[str, str, bool]], counts: dict[str, int]
) -> None:
    assert _selected([AGREED, DISAGREED], disagreement=disagreement) == ([("a", "b", False), *second], counts)


def test_rewards_closer_than_the_margin_leave_a_pair_out() -> None:
    assert _selected([AGREED, DISAGREED], margin=0.5) == ([("a", "b", False)], {"unsure": 1})
    assert _selected([AGREED, DISAGREED], margin=0.9) == ([], {"unsure": 2})


def test_equal_rewards_teach_nothing() -> None:
    assert _selected([_group("a", "b", rewards=(0.5, 0.5))]) == ([], {"unsure": 1})


@pytest.mark.parametrize("rewards", [(None, None), (0.1, None), (None, 0.9)])
def test_without_an_opinion_a_pair_stays_as_collected(rewards: tuple[float | None, float | None]) -> None:
    assert _selected([_group("a", "b", rewards=rewards)], margin=0.5) == ([("a", "b", False)], {})


def test_equal_or_empty_answers_are_no_pair() -> None:
    groups = [_group(*answers, rewards=(1.0, 0.0)) for answers in (("a", "a"), ("", "a"), ("a", ""), ("", ""))]
    assert _selected(groups) == ([], {"equal": 4})


def test_a_pair_of_unequal_lengths_is_left_out() -> None:
    groups = [_group("one two three", "one", rewards=(1.0, 0.0)), _group("one two", "one", rewards=(1.0, 0.0))]
    assert _selected(groups, max_word_gap=1) == ([("one two", "one", False)], {"length": 1})
    assert len(_selected(groups)[0]) == 2


def test_of_several_answers_the_best_stands_against_the_worst() -> None:
    group = _group("a", "b", "c", "d", rewards=(0.4, 0.9, None, 0.1))
    assert _selected([group]) == ([("b", "d", False)], {})
    assert _selected([_group("a", "b", "c", rewards=(0.1, 0.5, 0.9))]) == ([("c", "a", True)], {"reversed": 1})


def test_of_several_answers_without_an_opinion_the_first_two_that_differ_are_a_pair() -> None:
    assert _selected([_group("a", "a", "", "b", rewards=(None,) * 4)]) == ([("a", "b", False)], {})


def test_of_several_answers_only_those_of_like_length_are_held_against_each_other() -> None:
    group = _group("one two three", "one two", "one", rewards=(1.0, 0.8, 0.0))
    assert _selected([group], max_word_gap=1) == ([("one two", "one", False)], {})
    assert _selected([group], max_word_gap=0) == ([], {"length": 1})


def test_keep_leaves_the_pairs_whose_rewards_differ_most_in_their_order() -> None:
    groups = [_group(str(gap), "x", rewards=(gap, 0.0)) for gap in (0.1, 0.7, 0.3, 0.9)]
    kept = [("0.7", "x", False), ("0.9", "x", False)]
    assert _selected(groups, keep=0.5) == (kept, {"beyond": 2})
    assert _selected(groups, keep=0.5, margin=0.8) == (kept[1:], {"unsure": 3})
    assert _selected(groups, keep=0.1)[0] == kept[1:]


def test_keep_counts_as_people_do_and_not_as_floats_do() -> None:
    groups = [_group(str(gap), "x", rewards=(float(gap), 0.0)) for gap in range(1, 101)]
    assert [len(_selected(groups, keep=share)[0]) for share in (0.29, 0.57, 0.07, 0.295)] == [29, 57, 7, 29]


def test_without_opinions_keep_takes_the_same_samples_of_any_answers() -> None:
    samples = [dataclasses.replace(SCENE, id=str(number)) for number in range(40)]

    def kept(answer: str) -> list[str]:
        groups = [dataclasses.replace(_group(answer, "x", rewards=(None, None)), sample=sample) for sample in samples]
        return [pair.sample.id for pair in select(groups, BestAgainstWorst(keep=0.25)).rows]

    assert kept("a") == kept("b")
    assert len(kept("a")) == 10
    assert kept("a") != [sample.id for sample in samples[:10]]


# On disk --------------------------------------------------------------------------------------------------------------


def test_a_coin_orders_the_pairs_that_the_verifier_chose() -> None:
    groups = [
        Group(
            sample=dataclasses.replace(SCENE, id=str(number)),
            answers=("a", "b"),
            verdicts=(Verdict(reward=float(number % 5)), Verdict(reward=0.0)),
        )
        for number in range(200)
    ]
    chosen = select(groups, BestAgainstWorst(disagreement="reverse", keep=0.5)).rows
    tossed = [select(groups, BestAgainstWorst(disagreement="coin", keep=0.5), seed=seed).rows for seed in (1, 2)]
    assert [[pair.sample.id for pair in pairs] for pairs in tossed] == [[pair.sample.id for pair in chosen]] * 2
    assert all(30 < sum(pair.reversed for pair in pairs) < 70 for pairs in tossed)
    assert [pair.chosen for pair in tossed[0]] != [pair.chosen for pair in tossed[1]]
    assert {(pair.chosen, pair.rejected, pair.reversed) for pair in tossed[0]} == {("a", "b", False), ("b", "a", True)}


def test_shorter_prefers_the_answer_of_fewer_words_and_opens_no_picture() -> None:
    group = dataclasses.replace(_group("A cat.", "A cat and a dog.", ""), sample=SCENE.blind())
    (verdicts,) = _opened(Shorter()).verify([dataclasses.replace(group, sample=dataclasses.replace(SCENE, images=()))])
    assert [verdict.reward for verdict in verdicts] == [-2.0, -5.0, 0.0]


def test_groups_and_pairs_are_read_as_they_were_written(tmp_path: Path) -> None:
    group = Group(sample=SCENE, answers=("a", "é"), verdicts=(Verdict(reward=None, why="x"), Verdict(reward=1.5)),
                  notes=({}, {"h_ratio": 0.5}))  # fmt: skip
    pair = Pair(sample=SCENE, chosen="a", rejected="b", reversed=True)
    write_groups(tmp_path / "groups.jsonl", [group])
    write_rows(tmp_path / "pairs.jsonl", [pair])
    assert read_groups(tmp_path / "groups.jsonl", [SCENE]) == [group]
    assert read_rows(tmp_path / "pairs.jsonl", [SCENE]) == [pair]
    assert "target" not in (tmp_path / "groups.jsonl").read_text()
    with pytest.raises(RunError, match=rf"sample {SCENE.id} is not in this recipe's pool"):
        read_rows(tmp_path / "pairs.jsonl", [])


# Optimise -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seed_model(tiny: Path) -> Path:
    return tiny


TRL = {"learning_rate": 1e-3, "num_train_epochs": 1, "per_device_train_batch_size": 4}
PAIRS = [
    Pair(sample=sample, chosen=f"A {sorted(sample.target)[0]}.", rejected="Two cats.", reversed=False)
    for sample in caption_samples("pool", 8)
]


def _trained(seed_model: Path, out: Path, *, seed: int = 3, **recipe: Any) -> dict[str, torch.Tensor]:
    optimise(PAIRS, Dpo(trl=TRL, **recipe), start=seed_model, reference=seed_model, out=out, seed=seed)
    return load_file(out / "model.safetensors")


@pytest.mark.parametrize("weights", ["all", "lora"])
def test_training_follows_from_its_inputs_and_not_from_what_ran_before(
    seed_model: Path, tmp_path: Path, weights: str
) -> None:
    lora = {"lora": {"r": 2}} if weights == "lora" else {}
    for number in range(2):
        torch.manual_seed(number)
        _trained(seed_model, tmp_path / str(number) / "checkpoint", weights=weights, **lora)
    first, other = ((tmp_path / name / "checkpoint/model.safetensors").read_bytes() for name in "01")
    assert first == other
    assert first != (seed_model / "model.safetensors").read_bytes()


def test_frozen_parts_stay_and_the_others_move(seed_model: Path, tmp_path: Path) -> None:
    before = load_file(seed_model / "model.safetensors")
    after = _trained(seed_model, tmp_path / "checkpoint", freeze=("vision_tower", "multi_modal_projector"))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any("vision_tower" in name or "multi_modal_projector" in name for name in moved)
    assert {name for name in before if "self_attn" in name and "language_model" in name} <= moved
    assert set(before) == set(after)


FROZEN = ("vision_tower", "multi_modal_projector")


@pytest.mark.parametrize("freeze", [(), FROZEN[:1], FROZEN])
@pytest.mark.parametrize("lora", [{}, {"exclude_modules": ["q_proj"]}, {"bias": "all"}])
def test_no_tensor_of_a_frozen_part_is_trained_under_an_adapter_either(
    seed_model: Path, freeze: tuple[str, ...], lora: dict[str, Any]
) -> None:
    model = AutoModelForImageTextToText.from_pretrained(seed_model, dtype=torch.float32)
    adapted = prepare(model, Dpo(weights="lora", freeze=freeze, lora={"r": 2, **lora}), seed=0)
    trained = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert [name for name in trained if any(piece in name for piece in freeze)] == []
    assert any("language_model" in name and "lora_A" in name for name in trained)
    assert any("vision_tower" in name for name in trained) == (freeze == ())


def test_the_adapter_of_a_run_holds_no_tensor_of_a_frozen_part(seed_model: Path, tmp_path: Path) -> None:
    before = load_file(seed_model / "model.safetensors")
    after = _trained(seed_model, tmp_path / "checkpoint", weights="lora", lora={"r": 2})
    assert not any("vision_tower" in name for name in load_file(tmp_path / "adapter" / "adapter_model.safetensors"))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not any("vision_tower" in name for name in moved)


def test_a_frozen_part_that_the_model_does_not_have_is_a_fault_of_the_recipe(seed_model: Path, tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"^optimise\.freeze vision_towr: no weights .*; it has .*model\.vision_tower"
    ):
        _trained(seed_model, tmp_path / "checkpoint", freeze=("vision_towr",))


def test_a_setting_that_peft_does_not_know_is_a_fault_of_the_recipe(seed_model: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"optimise\.lora: .*'rank'"):
        _trained(seed_model, tmp_path / "checkpoint", weights="lora", lora={"rank": 2})


def test_a_setting_that_trl_does_not_know_is_a_fault_of_the_recipe(seed_model: Path, tmp_path: Path) -> None:
    recipe = Dpo(trl={"learning_rat": 1.0})
    with pytest.raises(RecipeError, match=r"^optimise\.trl\.learning_rat 1.0: "):
        optimise(PAIRS, recipe, start=seed_model, reference=seed_model, out=tmp_path / "checkpoint", seed=0)


def test_a_number_of_trls_that_is_a_text_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(RecipeError, match=r"optimise\.trl\.learning_rate: must be like 1e-06, found 'fast'"):
        check_settings(Dpo(trl={"learning_rate": "fast"}))


class Tracker(TrainerCallback):  # type: ignore[misc]
    """A tracker that is installed; keeps the figures that are logged to it."""

    logged: ClassVar[list[tuple[str, str, dict[str, float]]]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        self.logged.append((args.run_name, args.project, logs))


class Missing(TrainerCallback):  # type: ignore[misc]
    def __init__(self) -> None:
        raise RuntimeError("MissingCallback requires missing to be installed. Run `pip install missing`.")


def test_a_tracker_gets_trls_figures_under_the_name_of_run_and_round(
    seed_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "tensorboard", Tracker)
    monkeypatch.setattr(Tracker, "logged", [])
    recipe = Dpo(trl={**TRL, "report_to": "tensorboard", "logging_steps": 1})
    out = tmp_path / "checkpoint"
    optimise(PAIRS, recipe, start=seed_model, reference=seed_model, out=out, seed=0, run_name="small round 1")
    assert {messages[:2] for messages in Tracker.logged} == {("small round 1", "strop")}
    losses = [logs["loss"] for _, _, logs in Tracker.logged if "loss" in logs]
    assert len(losses) == 2, "eight pairs in batches of four"


def test_no_tracker_is_told_anything_unasked(seed_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tracker, "logged", [])
    for name in INTEGRATION_TO_CALLBACK:
        monkeypatch.setitem(INTEGRATION_TO_CALLBACK, name, Tracker)
    _trained(seed_model, tmp_path / "checkpoint")
    assert Tracker.logged == []


@pytest.mark.parametrize(
    ("tracker", "message"),
    [
        ("wandb", "MissingCallback requires missing to be installed. Run `pip install missing`. Install what is"),
        ("wandby", "wandby is not supported, only "),
    ],
)
def test_a_tracker_that_is_not_there_is_a_fault_of_the_recipe_before_anything_is_done(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracker: str, message: str
) -> None:
    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "wandb", Missing)
    recipe = RECIPE.model_copy(update={"optimise": Dpo(trl={"report_to": [tracker]})})
    with pytest.raises(RecipeError, match="^" + re.escape(f"optimise.trl.report_to: {message}")):
        run_recipe(recipe, tmp_path / "run", setting)
    assert not (tmp_path / "run").exists()


# Rounds ---------------------------------------------------------------------------------------------------------------


@contextmanager
def _no_bars() -> Iterator[Bar]:
    yield lambda description, total: lambda count: None


@pytest.fixture(scope="module")
def setting(seed_model: Path) -> Setting:
    return Setting(
        tasks={name: find_task(name) for name in TASKS},
        pool=training_pool,
        shipped=lambda name: seed_model if name == "tiny" else None,
        bars=_no_bars,
    )


RECIPE = Recipe.model_validate(
    {
        "name": "small",
        "model": "tiny",
        "rounds": 1,
        "collect": {"samples": 24, "temperature": 1.5, "max_tokens": 12, "unfinished": "keep", "max_unfinished": 1},
        "verify": {"kind": "random"},
        "optimise": {"trl": TRL},
        "evaluate": {"limit": 12, "tasks": ["pictos_captions"]},
        "watch": None,
    }
)

STAGES = ["round-0/eval", *(f"round-1/{name}" for name in ("collect", "verify", "select", "optimise", "eval"))]


def _stages(out: Path) -> list[str]:
    return [json.loads(line)["stage"] for line in (out / "ledger.jsonl").read_text().splitlines()]


def test_a_run_by_an_encoder_says_what_the_encoder_is_worth_without_training(setting: Setting, tmp_path: Path) -> None:
    world = dataclasses.replace(setting, shipped=lambda name: setting.shipped(name) or shipped(name))
    questions = {"kind": "clip", "aggregate": "mean"}
    changes = {
        "verify": questions,
        "rounds": 2,
        "evaluate": {"limit": 6, "tasks": ["pictos_pope", "pictos_chair"], "rounds": "last", "rerank": 2, "wordy": 0.5},
    }
    recipe = Recipe.model_validate(RECIPE.model_dump() | changes)
    run_recipe(recipe, tmp_path / "run", world)
    stages = _stages(tmp_path / "run")
    assert stages[:3] == ["round-0/eval", "round-0/baselines", "round-0/wordy"]
    assert "round-2/eval" in stages and "round-1/eval" not in stages, "the seed and the last round are measured"
    seed, by_filter, best = (
        read_results(tmp_path / "run" / "round-0" / name).task("pictos_chair")
        for name in ("eval", "baselines/filter", "baselines/rerank")
    )
    assert [row.answer for row in by_filter.rows] == [row.answer for row in seed.rows]
    assert all(set(row.ranked) == {"verifier"} for row in by_filter.rows)
    assert [row.id for row in best.rows] == [row.id for row in seed.rows]
    wordy = read_results(tmp_path / "run" / "round-0" / "wordy")
    assert [task.task for task in wordy.tasks] == ["pictos_chair"], "questions with one word have no such baseline"
    assert wordy.provenance["model"]["end_bias"] == -0.5
    assert run_recipe(recipe, tmp_path / "run", world).fresh_stages == 0
    build_board([tmp_path / "run"], tmp_path / "board")
    text = (tmp_path / "board" / "board.md").read_text()
    assert all(f"| small, words of round 2 | {name} |" in text for name in ("quiet", "filter", "rerank", "wordy"))


def test_unknown_tasks_are_a_fault_of_the_recipe_before_anything_is_done(setting: Setting, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"source": "pictos_caption"})
    with pytest.raises(RecipeError, match="no task is called 'pictos_caption'; there are pictos_pope"):
        run_recipe(recipe, tmp_path / "run", setting)
    assert not (tmp_path / "run").exists()


def test_a_seed_beyond_the_end_of_the_pool_is_told_before_anything_is_done(setting: Setting, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"seed": 10**6})
    with pytest.raises(RecipeError, match="seed 1000000: the training pool of pictos_captions ends"):
        run_recipe(recipe, tmp_path / "run", setting)
    assert not (tmp_path / "run").exists()


def test_a_setting_that_trl_does_not_know_is_found_before_anything_is_done(setting: Setting, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"optimise": Dpo(trl={"learning_rat": 1.0})})
    with pytest.raises(RecipeError, match=r"^optimise\.trl\.learning_rat 1.0: "):
        run_recipe(recipe, tmp_path / "run", setting)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_killed_in_every_stage_ends_as_one_that_never_was(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_recipe(RECIPE, tmp_path / "whole", setting)
    assert (whole.fresh_stages, _stages(tmp_path / "whole")) == (6, STAGES)
    assert whole.checkpoints[1].parent == whole.checkpoints[0].digest != whole.checkpoints[1].digest

    done = Ledger.stage
    for killed_in in STAGES:
        with monkeypatch.context() as patched:
            patched.setattr(Ledger, "stage", _killed_at_the_end_of(killed_in, done))
            torch.manual_seed(len(killed_in))
            with pytest.raises(KeyboardInterrupt):
                run_recipe(RECIPE, tmp_path / "killed", setting)
        assert killed_in not in (_stages(tmp_path / "killed") if killed_in != STAGES[0] else [])
    resumed = run_recipe(RECIPE, tmp_path / "killed", setting)

    assert (resumed.fresh_stages, _stages(tmp_path / "killed")) == (1, STAGES)
    assert [checkpoint.digest for checkpoint in resumed.checkpoints] == [
        checkpoint.digest for checkpoint in whole.checkpoints
    ]
    for name in ("whole", "killed"):
        build_board([tmp_path / name], tmp_path / f"{name}-board")
    for path in ("round-1/optimise/checkpoint/model.safetensors", "round-1/collect/groups.jsonl", "answers.jsonl"):
        assert (tmp_path / "killed" / path).read_bytes() == (tmp_path / "whole" / path).read_bytes()
    boards = [(tmp_path / f"{name}-board/board.csv").read_bytes() for name in ("whole", "killed")]
    assert boards[0] == boards[1]

    # A finished run does nothing, loads no model, and refuses another recipe; more rounds go on from it.
    with monkeypatch.context() as patched:
        patched.setattr("harness.models.load.load_vlm", None)
        again = run_recipe(RECIPE, tmp_path / "whole", setting)
    assert (again.fresh_stages, again.checkpoints) == (0, whole.checkpoints)
    other = RECIPE.model_copy(update={"seed": 1})
    with pytest.raises(RunError, match=r"holds a run of another recipe \(it differs in seed\); name another --out"):
        run_recipe(other, tmp_path / "whole", setting)
    more = run_recipe(RECIPE.model_copy(update={"rounds": 2}), tmp_path / "whole", setting)
    assert (more.fresh_stages, len(more.checkpoints)) == (5, 3)
    assert more.checkpoints[:2] == whole.checkpoints


def _killed_at_the_end_of(name: str, done: Callable[..., Any]) -> Callable[..., Any]:
    """`Ledger.stage`, but killed in the stage `name` after its work has written everything."""

    def stage(self: Ledger, stage: str, inputs: Mapping[str, Any], work: Callable[[Path], Outcome]) -> Any:
        def killed(folder: Path) -> Outcome:
            work(folder)
            raise KeyboardInterrupt

        return done(self, stage, inputs, killed if stage == name else work)

    return stage


@pytest.mark.slow
def test_runs_that_share_stages_end_as_runs_that_do_not(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = RECIPE.model_copy(update={"name": "other", "verify": NoVerifier()})
    alone = run_recipe(other, tmp_path / "alone", setting)
    run_recipe(RECIPE, tmp_path / "first", setting, shared=tmp_path / "shared")
    second = run_recipe(other, tmp_path / "second", setting, shared=tmp_path / "shared")

    lines = [json.loads(line) for line in (tmp_path / "second/ledger.jsonl").read_text().splitlines()]
    taken = [line["stage"] for line in lines if "shared_cost" in line]
    assert taken == ["round-0/eval", "round-1/collect"]
    assert [checkpoint.digest for checkpoint in second.checkpoints] == [
        checkpoint.digest for checkpoint in alone.checkpoints
    ]
    for name in ("alone", "second"):
        build_board([tmp_path / name], tmp_path / f"{name}-board")
    boards = [(tmp_path / f"{name}-board/board.csv").read_bytes() for name in ("alone", "second")]
    assert boards[0] == boards[1]

    plans = [plan_recipe(item, setting) for item in (RECIPE, other)]
    assert [name for name in plans[0] if plans[0][name] == plans[1][name]] == taken
    assert list(plans[0]) == STAGES

    # a third that is the second under another folder trains nothing
    with monkeypatch.context() as patched:
        patched.setattr("harness.models.load.load_vlm", None)
        assert run_recipe(other, tmp_path / "third", setting, shared=tmp_path / "shared").checkpoints[1].digest == (
            second.checkpoints[1].digest
        )


@pytest.mark.slow
def test_no_gold_reaches_a_run_that_is_not_the_oracles(setting: Setting, tmp_path: Path) -> None:
    """With targets that nothing can read, collection and every verifier but the oracle still work."""

    class Untouchable:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"gold was read: {name}")

    def pool(source: str) -> Pool:
        def scenes(start: int, count: int) -> list[Sample]:
            return [dataclasses.replace(item, target=Untouchable()) for item in caption_pool(start, count)]

        return WorldPool(name=source, size=1_000, scenes=scenes)

    guarded = dataclasses.replace(setting, pool=pool)
    run_recipe(RECIPE, tmp_path / "blind", guarded)
    oracle = RECIPE.model_copy(update={"verify": Oracle()})
    with pytest.raises(DataError, match="score fails on the answer"):
        run_recipe(oracle, tmp_path / "oracle", guarded)


@pytest.mark.slow
def test_nothing_to_train_on_is_said_with_a_remedy(setting: Setting, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"select": BestAgainstWorst(margin=0.9999)})
    with pytest.raises(RunError, match=r"select left nothing to train on; lower select\.margin"):
        run_recipe(recipe, tmp_path, setting)
    assert _stages(tmp_path) == STAGES[:4]


@pytest.mark.slow
def test_an_unread_board_of_a_half_run_is_still_a_board(setting: Setting, tmp_path: Path) -> None:
    run_recipe(RECIPE.model_copy(update={"rounds": 0}), tmp_path / "run", setting)
    build_board([tmp_path / "run"], tmp_path / "board")
    assert "small" in (tmp_path / "board/board.csv").read_text()
    with pytest.raises(DataError):
        build_board([tmp_path / "board"], tmp_path / "other")


def test_a_run_may_hold_sampled_answers_against_each_other(setting: Setting, tmp_path: Path) -> None:
    collect = {**RECIPE.collect.model_dump(), "kind": "sampling", "answers": 3}
    recipe = Recipe.model_validate(RECIPE.model_dump() | {"collect": collect, "select": {"keep": 0.5}})
    assert run_recipe(recipe, tmp_path / "run", setting).fresh_stages == len(STAGES)
    collected = read_jsonl(tmp_path / "run" / "round-1" / "collect" / "groups.jsonl")
    assert [len(row["answers"]) for row in collected] == [3] * 24
    assert len(list(read_jsonl(tmp_path / "run" / "round-1" / "select" / "pairs.jsonl"))) == 12


# Watching -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_ends_after_the_round_in_which_a_monitor_fires_that_it_names(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fired = Reading(monitor="collapse", fired=True, why="planted", figures={})
    monkeypatch.setattr("loops.monitors.MONITORS", {"collapse": lambda rounds, watch: fired})
    fields = {"rounds": 2, "watch": {"limit": 4}, "evaluate": {"limit": 2, "tasks": ["pictos_pope", "pictos_chair"]}}
    recipe, out = Recipe.model_validate(RECIPE.model_dump() | fields), tmp_path / "run"
    stopping = recipe.model_copy(update={"stop_when": ("collapse",)})

    finished = run_recipe(stopping, out, setting)
    assert _stages(out)[0] == "round-0/eval" and _stages(out)[-2:] == ["round-1/watch", "round-1/eval"]
    assert "stopped after round 1 by stop_when: collapse (planted)" in notes_of_run(out)
    assert run_recipe(stopping, out, setting) == dataclasses.replace(finished, fresh_stages=0)

    watched = read_results(out / "round-1/watch")
    assert {(task.split, len(task.rows)) for task in watched.tasks} == {("dev", 4)}
    assert all("watch/confidence" in row.counts for row in watched.task("pictos_pope").rows)
    build_board([out], tmp_path / "board")
    assert "| small | 0 | 1 | pictos\\_pope macro/f1 " in (tmp_path / "board/board.md").read_text()

    longer = run_recipe(recipe, out, setting)
    assert longer.checkpoints[:2] == finished.checkpoints and len(longer.checkpoints) == 3, "it went on from there"
