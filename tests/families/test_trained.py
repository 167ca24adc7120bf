"""Each family is honed and comes back: TRL's loss is of the model's own log-probabilities, an adapter is loaded onto
its base, and what is merged and saved answers as it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.models.adapters import merged
from harness.models.load import load_vlm
from harness.models.options import ModelOptions
from harness.models.vlm import Vlm
from harness.types import Sample
from loops.groups import Pair
from loops.optimise import paired
from loops.optimise.dpo import Dpo
from loops.optimise.parts import prepare
from loops.optimise.training import optimise
from tests.families.conftest import Claims
from tests.support.families import FAMILIES
from tests.support.families.alone import QUESTIONS, forced, inputs, stops
from tests.support.families.limits import LIMITS, TWO_ROWS, WITHOUT_ENCODER
from tests.support.families.member import Member

pytestmark = pytest.mark.slow

CHOSEN, REJECTED = "a red square and a blue circle.", ("no", "there are two", "no")
STEP = {"max_steps": 1, "per_device_train_batch_size": 3, "learning_rate": 1e-2}
OPTIONS = ModelOptions(device="cpu", pictures="processor")
NEAR = 2e-3
"""Of a sum of log-probabilities in nats."""


@pytest.fixture(scope="session")
def recipe(family: str) -> Dpo:
    frozen = {"freeze": ()} if family in WITHOUT_ENCODER else {}
    return Dpo(weights="lora", lora={"r": 2}, trl=STEP, **frozen)


@pytest.fixture(scope="session")
def pairs(member: Member) -> list[Pair]:
    """One of each picture."""
    return [
        Pair(
            sample=Sample(
                id=str(number), prompt=QUESTIONS[number % 2], images=(lambda picture=picture: picture,), target=None,
                cluster=str(number),
            ),
            chosen=CHOSEN, rejected=REJECTED[number], reversed=False,
        )
        for number, picture in enumerate(member.pictures)
    ]  # fmt: skip


@pytest.fixture(scope="session")
def adapted(family: str, member: Member, recipe: Dpo) -> Any:
    """The member with adapters in it as training puts them, of random weights where training would reach them."""
    model = prepare(FAMILIES[family]().model, recipe, seed=0)
    model(**inputs(member, QUESTIONS[0], member.pictures[:1])).logits.sum().backward()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name and weights.grad is not None:
                weights.copy_(torch.randn(weights.shape, generator=generator) * 0.1)
    return model.eval()


def _likelihoods(vlm: Vlm, pairs: list[Pair]) -> list[float]:
    values = vlm.log_likelihood([pair.sample for pair in pairs], [pair.chosen for pair in pairs])
    return [value for value, _ in values]


def _sum(answer: tuple[torch.Tensor, torch.Tensor]) -> float:
    """The log-probability of an answer's tokens under the logits of each."""
    tokens, logits = answer
    return float(logits.log_softmax(-1).gather(1, tokens[:, None]).sum())


def _far(first: list[float], second: list[float]) -> float:
    return max(abs(one - other) for one, other in zip(first, second, strict=True))


def test_a_step_of_dpo_is_of_the_models_own_log_probabilities(
    family: str, member: Member, folder: Path, vlm: Vlm, recipe: Dpo, pairs: list[Pair], claims: Claims, tmp_path: Path
) -> None:
    with claims.within_limits("dpo"):
        out = tmp_path / "checkpoint"
        trained = optimise(pairs, recipe, start=folder, reference=folder, out=out, seed=0, options=OPTIONS)
        end = [vlm.reader.end_token(stops(member))]
        sums = []
        for pair, picture in zip(pairs, member.pictures, strict=True):
            sums.append(_sum(forced(member, pair.sample.prompt, [picture], pair.chosen, end)))
        assert trained.steps == 1
        assert trained.changed
        assert trained.computed["policy"]["pairs"] == (paired.TWO_ROWS if family in TWO_ROWS else paired.ONE_ROW)
        assert trained.figures["logps/chosen"] == pytest.approx(sum(sums) / len(sums), abs=NEAR)
        values = _likelihoods(load_vlm("honed", path=out, **OPTIONS.keywords), pairs)
        assert _far(values, _likelihoods(vlm, pairs)) > 10 * NEAR
        if "adapter" not in LIMITS.get(family, {}):
            again = load_vlm("start", path=folder, adapter=out.with_name("adapter"), **OPTIONS.keywords)
            assert _far(values, _likelihoods(again, pairs)) < NEAR


def test_an_adapter_is_loaded_onto_its_base_and_the_merged_model_from_its_own_folder(
    folder: Path, vlm: Vlm, adapted: Any, pairs: list[Pair], member: Member, claims: Claims, tmp_path: Path
) -> None:
    unmerged = Member(model=adapted.get_base_model(), processor=member.processor)
    own = [
        _sum(forced(unmerged, pair.sample.prompt, [picture], pair.chosen))
        for pair, picture in zip(pairs, member.pictures, strict=True)
    ]
    assert _far(own, _likelihoods(vlm, pairs)) > 10 * NEAR
    with claims.within_limits("adapter"):
        adapted.save_pretrained(tmp_path / "adapter")
        loaded = load_vlm("a", path=folder, adapter=tmp_path / "adapter", **OPTIONS.keywords)
        assert _far(_likelihoods(loaded, pairs), own) < NEAR
    with claims.within_limits("reload"):
        whole = Member(model=merged(adapted), processor=member.processor).save(tmp_path / "merged")
        loaded = load_vlm("m", path=whole, **OPTIONS.keywords)
        assert _far(_likelihoods(loaded, pairs), own) < NEAR
