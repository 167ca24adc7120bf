"""The reference policy is the checkpoint, exactly, whether it is a copy of it or the model with its adapter off."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from harness.files import read_json, write_json
from harness.models import adapters
from harness.models.adapters import with_adapter
from harness.models.loading import load_weights
from loops.groups import Pair
from loops.optimise import checkpoints, settings, training
from loops.optimise.collate import PairCollator
from loops.optimise.dpo import Dpo
from loops.optimise.training import optimise
from tasks.pictos.benchmarks import caption_samples
from tests.support.tiny import save_tiny

pytestmark = pytest.mark.slow

TRL = {"learning_rate": 1e-3, "num_train_epochs": 1, "per_device_train_batch_size": 4}
LORA: dict[str, Any] = {"weights": "lora", "lora": {"r": 2}}
PAIRS = [
    Pair(sample=sample, chosen=f"A {sorted(sample.target)[0]}.", rejected="Two cats.", reversed=False)
    for sample in caption_samples("pool", 6)
]


def _train(start: Path, out: Path, other: Path | None = None, **recipe: Any) -> dict[str, torch.Tensor]:
    chosen = Dpo(trl=TRL, **recipe)
    optimise(PAIRS, chosen, start=start, reference=(other or start) if chosen.relative else None, out=out, seed=3)
    return load_file(out / "model.safetensors")


@pytest.fixture(scope="module")
def large_typed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint stored in bfloat16."""
    folder = save_tiny(tmp_path_factory.mktemp("bf16") / "tiny", seed=1)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("dtype", "lora"),
    [("float32", {}), ("bfloat16", {"use_dora": True}), ("bfloat16", {"init_lora_weights": False})],
    ids=str,
)
def test_the_model_with_its_adapter_off_trains_as_a_copy_of_the_checkpoint_does(
    tiny: Path, tmp_path: Path, dtype: str, lora: dict[str, Any]
) -> None:
    """Every bit of what is trained, over several steps: so every log-probability of the reference was the same."""
    recipe = {"weights": "lora", "dtype": dtype, "lora": {"r": 2, **lora}}
    off = _train(tiny, tmp_path / "off" / "checkpoint", **recipe)
    copy = _train(tiny, tmp_path / "copy" / "checkpoint", shutil.copytree(tiny, tmp_path / "same"), **recipe)
    before = load_file(tiny / "model.safetensors")
    assert all(torch.equal(off[name], copy[name]) for name in copy)
    assert any(not torch.equal(off[name].float(), before[name].to(off[name].dtype).float()) for name in off)


def test_another_checkpoint_as_reference_is_that_checkpoint(tiny: Path, tmp_path: Path) -> None:
    other = save_tiny(tmp_path / "other", seed=2)
    begun, built = _built(tiny, other, LORA)
    copy = load_weights(other, name="other", dtype=torch.float32)
    for row in built.train_dataset:
        for side in ("chosen", "rejected"):
            asked = pytest.approx(row[f"ref_{side}_logps"], abs=1e-4)
            assert float(_log_probs(copy, begun, row, side).sum()) == asked
            assert float(_log_probs(begun.model, begun, row, side).sum()) != asked


@pytest.mark.parametrize("weights", ["all", "lora"])
@pytest.mark.parametrize("reference", ["seed", "none"])
@pytest.mark.parametrize("length_normalised", [False, True])
def test_the_loss_is_the_fields_own_formula(
    tiny: Path, tmp_path: Path, weights: str, reference: Any, length_normalised: bool
) -> None:
    """-log sigmoid of beta times the difference, chosen minus rejected, of log-probabilities less the reference's: of
    sums over an answer's tokens, or of means."""
    other = save_tiny(tmp_path / "other", seed=2)
    recipe = {"weights": weights, "lora": {"r": 2}, "reference": reference, "length_normalised": length_normalised}
    begun, trainer = _built(tiny, other, recipe)
    rows = [trainer.train_dataset[number] for number in range(2)]
    copy = load_weights(other, name="other", dtype=torch.float32)
    losses = []
    for row in rows:
        scores = []
        for side in ("chosen", "rejected"):
            ratios = _log_probs(begun.model, begun, row, side)
            if reference == "seed":
                ratios = ratios - _log_probs(copy, begun, row, side)
            scores.append(ratios.mean() if length_normalised else ratios.sum())
        losses.append(-torch.nn.functional.logsigmoid(trainer.beta * (scores[0] - scores[1])))
    batch = trainer.data_collator(rows)
    with torch.no_grad():
        loss = trainer.compute_loss(trainer.model.eval(), batch)
    assert float(loss) == pytest.approx(float(torch.stack(losses).mean()), abs=1e-4)


def test_training_without_a_reference_learns_and_holds_one_copy_of_the_weights(tiny: Path, tmp_path: Path) -> None:
    alone = _train(tiny, tmp_path / "alone" / "checkpoint", reference="none", length_normalised=True)
    before = load_file(tiny / "model.safetensors")
    assert any(not torch.equal(alone[name], before[name]) for name in before)
    _, trainer = _built(tiny, tiny, {"weights": "all", "reference": "none"})
    assert not list(trainer.ref_model.parameters())


def test_training_holds_one_copy_of_the_weights_unless_the_reference_follows(tmp_path: Path) -> None:
    base, other = (save_tiny(tmp_path / str(seed), seed=seed) for seed in (1, 2))
    weights = sum(values.nbytes for values in load_file(base / "model.safetensors").values())
    biases = LORA | {"lora": {"r": 2, "bias": "all"}}
    following = {"weights": "all", "trl": {**TRL, "sync_ref_model": True}}
    for recipe, reference, copies in (
        (LORA, base, 1), ({"weights": "all"}, base, 1), (biases, base, 1), (LORA, other, 1), (following, base, 2),
    ):  # fmt: skip
        begun, trainer = _built(base, reference, recipe)
        adapter = sum(values.nbytes for name, values in begun.model.named_parameters() if ".lora_" in name)
        models = [model for model in (trainer.model, trainer.ref_model) if model is not None]
        assert _stored(models) == copies * weights + adapter
        assert list(getattr(begun.model, "peft_config", {"default": None})) == ["default"], "and one adapter"


def test_an_adapter_is_float32_in_a_base_of_16_bits_and_its_checkpoint_is_of_the_base(
    large_typed: Path, tmp_path: Path
) -> None:
    recipe = Dpo(**LORA, dtype="bfloat16", trl=TRL)
    begun = checkpoints.load_start(large_typed, recipe, seed=0)
    trained = {values.dtype for values in begun.model.parameters() if values.requires_grad}
    others = {values.dtype for values in begun.model.parameters() if not values.requires_grad}
    assert (trained, others) == ({torch.float32}, {torch.bfloat16})
    saved = _train(large_typed, tmp_path / "checkpoint", **LORA, dtype="bfloat16")
    assert {values.dtype for values in saved.values()} == {torch.bfloat16}
    assert {values.dtype for values in load_file(tmp_path / "adapter/adapter_model.safetensors").values()} == {
        torch.float32
    }


def test_an_adapter_on_weights_of_4_bits_stays_float32(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = checkpoints.load_weights
    monkeypatch.setattr(checkpoints, "load_weights", lambda *args, **named: _as_if_quantised(load(*args, **named)))
    begun, _ = _built(tiny, tiny, LORA)
    assert begun.model.is_loaded_in_4bit
    assert {values.dtype for values in begun.model.parameters()} == {torch.float32}


def test_an_adapter_is_added_in_float32_and_rounded_once(large_typed: Path, tmp_path: Path) -> None:
    recipe = LORA | {"lora": {"r": 2, "use_dora": True}}
    _train(large_typed, tmp_path / "checkpoint", **recipe, dtype="bfloat16")
    before, saved = (_weights(folder, torch.bfloat16) for folder in (large_typed, tmp_path / "checkpoint"))
    exact = with_adapter(load_weights(large_typed, name="m", dtype=torch.float32), tmp_path / "adapter").state_dict()
    for name, values in saved.items():
        nearest = exact[name].bfloat16()
        neighbours = [torch.nextafter(nearest, torch.full_like(nearest, end)) for end in (-torch.inf, torch.inf)]
        assert ((values == nearest) | (values == neighbours[0]) | (values == neighbours[1])).all()
    assert any(not torch.equal(values, before[name]) for name, values in saved.items())


@pytest.mark.parametrize("recipe", [LORA | {"dtype": "bfloat16"}, LORA, {"weights": "all"}], ids=str)
def test_a_small_change_of_weights_of_16_bits_is_kept(
    large_typed: Path, tmp_path: Path, recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it on the whole, where rounding to the nearest would leave nearly the checkpoint before."""
    small = Dpo(**{"trl": TRL | {"learning_rate": 1e-5}, "freeze": (), **recipe})
    folders = [large_typed, tmp_path / "kept" / "checkpoint", tmp_path / "exact" / "checkpoint"]
    for out in folders[1:]:
        optimise(PAIRS, small, start=large_typed, reference=large_typed, out=out, seed=3)
        for module in (adapters, checkpoints):
            monkeypatch.setattr(module, "rounded", lambda values, *_: values)
    before, kept, exact = (load_file(folder / "model.safetensors") for folder in folders)
    assert {values.dtype for values in kept.values()} == {torch.bfloat16}
    change = _all(exact) - _all(before)
    assert _share(_all(kept) - _all(before), change) == pytest.approx(1, abs=0.25)
    assert _share(_all(exact).bfloat16() - _all(before), change) < 0.5


def _all(weights: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([weights[name].double().flatten() for name in sorted(weights)])


def _share(part: torch.Tensor, change: torch.Tensor) -> float:
    """How much of a change is in a part of it, as a projection."""
    return float((part * change).sum() / (change * change).sum())


def test_a_merged_checkpoint_answers_as_base_and_adapter_within_its_precision(
    large_typed: Path, tmp_path: Path
) -> None:
    """In bfloat16 a weight is rounded by 1 in 512 at most; eight bits over two layers stay within a tenth of a nat."""
    _train(large_typed, tmp_path / "checkpoint", **LORA, dtype="bfloat16")
    begun, trainer = _built(large_typed, large_typed, LORA)
    row = trainer.train_dataset[0]
    exact = with_adapter(load_weights(large_typed, name="m", dtype=torch.float32), tmp_path / "adapter")
    rounded = load_weights(tmp_path / "checkpoint", name="m", dtype=torch.float32)
    gap = (_log_probs(exact, begun, row) - _log_probs(rounded, begun, row)).abs()
    assert 0 < gap.max() < 0.1


def test_activations_are_computed_twice_for_a_large_model_only(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = {**LORA, "dtype": "float32"}
    kept = _train(tiny, tmp_path / "kept" / "checkpoint", **lora)
    assert not checkpoints.load_start(tiny, Dpo(**lora), seed=0).checkpointing
    monkeypatch.setattr(settings, "LARGE", 1000)
    assert checkpoints.load_start(tiny, Dpo(**lora), seed=0).checkpointing
    seen: list[bool] = []
    trl_settings = training.trl_settings
    monkeypatch.setattr(training, "trl_settings", lambda *args, **named: _noted(seen, trl_settings(*args, **named)))
    again = _train(tiny, tmp_path / "again" / "checkpoint", **lora)
    assert seen == [True]
    assert all(torch.equal(kept[name], again[name]) for name in kept)
    optimise(PAIRS, Dpo(trl=TRL | {"gradient_checkpointing": False}, **lora), start=tiny, reference=tiny,
                 out=tmp_path / "own" / "checkpoint", seed=3)  # fmt: skip
    assert seen == [True, False], "the recipe's own field decides"


def _as_if_quantised(model: Any) -> Any:
    model.is_loaded_in_4bit = True
    return model


@pytest.mark.parametrize("weights", ["all", "lora"])
def test_a_checkpoint_ends_answers_and_caches_as_the_model_that_it_was_trained_from(
    tiny: Path, tmp_path: Path, weights: str
) -> None:
    """TRL would leave out a stop token of the language model's, and switch its cache off."""
    start = shutil.copytree(tiny, tmp_path / "start")
    config = read_json(start / "config.json")
    config["text_config"] |= {"eos_token_id": 40, "pad_token_id": 41}
    write_json(start / "config.json", config)
    model = load_weights(start, name="m", dtype=torch.float32)
    model.save_pretrained(start)
    _train(start, tmp_path / "out" / "checkpoint", weights=weights)
    for name in ("config.json", "generation_config.json"):
        assert read_json(tmp_path / "out" / "checkpoint" / name) == read_json(start / name)


def _weights(folder: Path, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = load_weights(folder, name="m", dtype=dtype).state_dict()
    return weights


def _noted(seen: list[bool], settings: Any) -> Any:
    seen.append(settings.gradient_checkpointing)
    return settings


def _built(start: Path, reference: Path, recipe: dict[str, Any]) -> tuple[checkpoints.Start, Any]:
    """What a training starts from, and its trainer before the first step."""
    chosen = Dpo(**{"trl": TRL, **recipe})
    begun = checkpoints.load_start(start, chosen, seed=3)
    itself = (begun.untouched if chosen.ahead else begun.switched_off) and reference == start
    other = None if itself or not chosen.relative else checkpoints.load_reference(reference, chosen)
    settings = training.trl_settings(chosen, str(start), seed=3, run_name="")
    return begun, training.agreed_trainer(begun.model, other, PAIRS, chosen, settings, begun.reader, begun.end).trainer


def _log_probs(model: Any, begun: checkpoints.Start, row: Any, side: str = "chosen") -> torch.Tensor:
    from loops.optimise.agreement import _read

    return _read(model, PairCollator(reader=begun.reader, end=begun.end), row, side).log_probs


def _stored(models: Iterable[torch.nn.Module]) -> int:
    """Bytes of the models' weights, each storage counted once."""
    storages = {
        values.untyped_storage().data_ptr(): values.untyped_storage().nbytes()
        for model in models
        for values in model.parameters()
    }
    return sum(storages.values())
