"""Training of a joined model: the projector alone, then with it the language model (adapters, all of it, or not).

The tower stays as it is, and what it makes of each photograph is computed once. Every batch follows from the seed and
the number of its step, so that a stopped training goes on as if it had not been stopped.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file

from harness.errors import ModelError, UsageError
from harness.files import digest_of_json, read_json, write_json
from loops.build_vlm.lessons import NO_TARGET, Batch, Lesson, Tutor
from loops.optimise.parts import prepare
from loops.optimise.settings import TrainedParts

Report = Callable[[str, int, int, float], None]
"""Is told the stage, the steps done in all, of how many, and the running loss."""

WARM = 0.05
"""Share of a stage's steps over which its rate rises; it then falls to nothing by a cosine."""

TOLERANCE = 1e-3
"""By how much the loss of turns that share a picture may differ from that of each by itself, in nats a token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """How long and how fast is trained.

    `projector_steps` of the projector alone at `projector_rate`; then `steps` of it and of `weights`, the language
    model's, at `rate` (the projector's rate falls to the geometric mean of both). A step sees `batch` photographs with
    up to `each` captions; `rank` is that of adapters.
    """

    projector_steps: int = 100
    steps: int = 300
    batch: int = 8
    each: int = 3
    projector_rate: float = 1e-3
    rate: float = 2e-4
    weights: Literal["lora", "all", "none"] = "lora"
    rank: int = 32
    seed: int = 0
    every: int = 20

    @property
    def total(self) -> int:
        return self.projector_steps + self.steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What is learnt from: the lessons, the tower's features of their pictures (n, patches, d), and their tutor."""

    lessons: Sequence[Lesson]
    features: torch.Tensor
    tutor: Tutor


def train(model: Any, material: Material, schedule: Schedule, *, work: Path, report: Report) -> Any:
    """The trained model, adapters merged. `work` keeps the last checkpoint (safetensors) and a line of each.

    Stopped at any time, the same call goes on behind the last step that was done. Raises `UsageError` where `work`
    holds a training of other settings, and `ModelError` where the loss is no number.
    """
    identity = digest_of_json([asdict(schedule), [str(lesson) for lesson in material.lessons]])
    work.mkdir(parents=True, exist_ok=True)
    done = _steps_done(work, identity)
    shared = shares_pictures(model, material)
    for stage, start, stop in _stages(schedule):
        if done > stop:
            continue
        model = _marked(model, stage, schedule)
        optimiser = _optimiser(model, stage, schedule)
        if done > start:
            _restore(model, optimiser, work)
        progress = _Progress(work=work, identity=identity, stage=stage, done=max(done, start))
        progress.run(model, optimiser, material, schedule, span=(start, stop), shared=shared, report=report)
        done = stop
    return _whole(model).eval()


def compute_dtype(device: str) -> torch.dtype:
    """What the multiplications of a training step are computed in: bfloat16 on a GPU and on a processor that has them
    in hardware; a processor that only emulates it is several times slower than in float32."""
    processor = torch.cpu.get_capabilities()
    hardware = any(processor.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    return torch.bfloat16 if device.startswith("cuda") or (device == "cpu" and hardware) else torch.float32


def batch_loss(model: Any, batch: Batch, features: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy, in nats, of the tokens to be said. `features`: those of the batch's pictures."""
    device = model.get_input_embeddings().weight.device
    core = model.model
    ids, targets = batch.ids.to(device), batch.targets.to(device)
    words = core.get_input_embeddings()(ids)
    seen = core.multi_modal_projector(features.to(device=device, dtype=words.dtype))
    places = (ids == model.config.image_token_index)[..., None].expand_as(words)
    states = core.language_model(
        inputs_embeds=words.masked_scatter(places, seen.to(words.dtype)),
        attention_mask=batch.mask.to(device),
        position_ids=batch.positions.to(device),
        use_cache=False,
    ).last_hidden_state
    answered = targets != NO_TARGET
    return torch.nn.functional.cross_entropy(model.lm_head(states[answered]).float(), targets[answered])


@torch.no_grad()
def shares_pictures(model: Any, material: Material) -> bool:
    """Whether turns that share a picture's tokens are to the model what each is by itself: not where layers keep a
    state from token to token. Where they are not, each turn is a row of its own."""
    model.eval()
    turns = material.tutor.draw(material.lessons[0], 3, random.Random(0))
    together = material.tutor.batch([0], [turns])
    apart = material.tutor.batch([0] * len(turns), [[turn] for turn in turns])
    features = material.features[:1]
    losses = [
        float(batch_loss(model, batch, features.expand(len(batch.pictures), -1, -1))) for batch in (together, apart)
    ]
    return abs(losses[0] - losses[1]) < TOLERANCE


def visits(lessons: int, schedule: Schedule) -> Iterator[tuple[int, ...]]:
    """Which lessons each step is of: all of them in an order of the seed, then in another."""
    rng, waiting = random.Random(schedule.seed), list[int]()
    for _ in range(schedule.total):
        while len(waiting) < schedule.batch:
            waiting += rng.sample(range(lessons), lessons)
        yield tuple(waiting[: schedule.batch])
        del waiting[: schedule.batch]


@dataclass(kw_only=True, slots=True)
class _Progress:
    """How far a stage is, and what is kept of it."""

    work: Path
    identity: str
    stage: str
    done: int

    def run(
        self,
        model: Any,
        optimiser: torch.optim.Optimizer,
        material: Material,
        schedule: Schedule,
        *,
        span: tuple[int, int],
        shared: bool,
        report: Report,
    ) -> None:
        base = _base(model)
        trained = [weights for weights in base.parameters() if weights.requires_grad]
        rates = [group["lr"] for group in optimiser.param_groups]
        device = base.get_input_embeddings().weight.device.type
        base.train()
        running, updating, began = math.nan, False, time.monotonic()
        try:
            for step, lessons in enumerate(visits(len(material.lessons), schedule)):
                if not self.done <= step < span[1]:
                    continue
                batch, features = _batch(material, lessons, schedule, step, shared)
                with torch.autocast(device, torch.bfloat16, enabled=compute_dtype(device) == torch.bfloat16):
                    loss = batch_loss(base, batch, features)
                if not math.isfinite(float(loss.detach())):
                    raise ModelError(f"training: the loss of step {step} is no number; lower the rate")
                loss.backward()  # type: ignore[no-untyped-call]
                updating = True
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * _pace(step - span[0], span[1] - span[0])
                torch.nn.utils.clip_grad_norm_(trained, 1.0)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                self.done, updating = step + 1, False
                value = float(loss.detach())
                running = value if math.isnan(running) else 0.95 * running + 0.05 * value
                report(self.stage, self.done, schedule.total, running)
                if self.done % schedule.every == 0 or self.done == span[1]:
                    self.keep(base, optimiser, running, time.monotonic() - began)
                    began = time.monotonic()
        except KeyboardInterrupt as stop:
            if not updating:  # within an update the weights are of no step: the last checkpoint stays
                self.keep(base, optimiser, running, time.monotonic() - began)
            stop.add_note("the same command goes on where it stopped")
            raise

    def keep(self, base: Any, optimiser: torch.optim.Optimizer, loss: float, seconds: float) -> None:
        """A checkpoint: what is trained, the optimiser's moments of it, and last the number of steps done."""
        tensors = {}
        for name, weights in base.named_parameters():
            if weights.requires_grad:
                tensors[f"weights.{name}"] = weights.detach()
                for moment, values in optimiser.state[weights].items():
                    tensors[f"{moment}.{name}"] = values
        name = f"step{self.done}.safetensors"
        save_file(tensors, self.work / name)
        write_json(self.work / "state.json", {"identity": self.identity, "steps": self.done, "file": name})
        for older in self.work.glob("step*.safetensors"):
            if older.name != name:
                older.unlink()
        line = {"stage": self.stage, "steps": self.done, "loss": round(loss, 4), "seconds": round(seconds, 1)}
        with (self.work / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def _stages(schedule: Schedule) -> list[tuple[str, int, int]]:
    """(stage, first step, step behind its last)."""
    stages = [("projector", 0, schedule.projector_steps), ("both", schedule.projector_steps, schedule.total)]
    return [(name, start, stop) for name, start, stop in stages if stop > start]


def _marked(model: Any, stage: str, schedule: Schedule) -> Any:
    """The model with what the stage trains marked so, and adapters in it where they are."""
    if stage == "both" and schedule.weights == "lora":
        lora = {"r": schedule.rank, "lora_alpha": 2 * schedule.rank}
        recipe = TrainedParts(weights="lora", freeze=("vision_tower", "multi_modal_projector"), lora=lora)
        model = prepare(model, recipe, seed=schedule.seed)
    base = _base(model)
    for name, weights in base.named_parameters():
        learnt = "lora_" in name or (schedule.weights == "all" and stage == "both" and ".layers." in name)
        learnt = learnt and "vision_tower" not in name
        weights.requires_grad = learnt or "multi_modal_projector" in name
    return model


def _optimiser(model: Any, stage: str, schedule: Schedule) -> torch.optim.Optimizer:
    projector: list[torch.nn.Parameter] = []
    words: list[torch.nn.Parameter] = []
    for name, weights in _base(model).named_parameters():
        if weights.requires_grad:
            (projector if "multi_modal_projector" in name else words).append(weights)
    slower = math.sqrt(schedule.projector_rate * schedule.rate)
    groups = [{"params": projector, "lr": schedule.projector_rate if stage == "projector" else slower}]
    if words:
        groups.append({"params": words, "lr": schedule.rate})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01)


def _pace(step: int, steps: int) -> float:
    warm = max(1, round(WARM * steps))
    return min((step + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * min(1, step / steps)))


def _batch(
    material: Material, lessons: Sequence[int], schedule: Schedule, step: int, shared: bool
) -> tuple[Batch, torch.Tensor]:
    rng = random.Random(f"{schedule.seed}/{step}")
    turns = [material.tutor.draw(material.lessons[index], schedule.each, rng) for index in lessons]
    if not shared:
        lessons = [index for index, row in zip(lessons, turns, strict=True) for _ in row]
        turns = [[turn] for row in turns for turn in row]
    return material.tutor.batch(lessons, turns), material.features[list(lessons)]


def _steps_done(work: Path, identity: str) -> int:
    state = work / "state.json"
    if not state.is_file():
        return 0
    document = read_json(state)
    if document["identity"] != identity:
        raise UsageError(f"{work}: holds a training of other settings or photographs; name another --out, or remove it")
    return int(document["steps"])


def _restore(model: Any, optimiser: torch.optim.Optimizer, work: Path) -> None:
    stored = load_file(work / read_json(work / "state.json")["file"])
    with torch.no_grad():
        for name, weights in _base(model).named_parameters():
            if weights.requires_grad:
                weights.copy_(stored[f"weights.{name}"])
                moments = ("step", "exp_avg", "exp_avg_sq")
                optimiser.state[weights] = {moment: stored[f"{moment}.{name}"] for moment in moments}


def _base(model: Any) -> Any:
    """The LLaVA model itself, under peft's wrapper where there is one."""
    from harness.models.adapters import without_adapter

    return without_adapter(model)


def _whole(model: Any) -> Any:
    from harness.models.adapters import merged

    return merged(model) if hasattr(model, "get_base_model") else model
