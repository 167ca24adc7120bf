"""Rounds: the seed is measured, then collect, verify, select, optimise and measure again, `rounds` times.

Each stage goes through the ledger with all that its result depends on. Models, encoders and trainers are loaded inside
the stage that needs them: a finished run is recognised without importing any of them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from harness.errors import RecipeError, RunError
from harness.files import digest_of_json, write_text
from harness.models.weights import model_digest, model_folder
from harness.types import Checkpoint, Sample
from loops.groups import read_groups, read_pairs, write_groups, write_pairs
from loops.ledger import Done, Ledger, Outcome, open_run
from loops.recipe import Recipe
from loops.select import select
from loops.setting import Setting

if TYPE_CHECKING:
    from loops.verify.verifiers import Verifier

COLLECT_VERSION = VERIFY_VERSION = OPTIMISE_VERSION = BASELINES_VERSION = 1
SELECT_VERSION = 2
"""Raised when a stage's code would give another result from the same inputs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """What a run came to: its checkpoints from the seed on, and how many stages were done now rather than before."""

    checkpoints: tuple[Checkpoint, ...]
    fresh_stages: int


def run_recipe(
    recipe: Recipe, out: Path, setting: Setting, *, answers: Path | None = None, shared: Path | None = None
) -> Finished:
    """Run a recipe in a folder, or go on with it where it stopped. `answers` is a store to share with other runs,
    `shared` a folder of whole stages (`loops.shared`).

    Raises `RunError` where the folder belongs to another recipe, and `RecipeError` for names that do not exist.
    """
    missing = [name for name in (recipe.source, *recipe.evaluate.tasks) if name not in setting.tasks]
    if missing:
        raise RecipeError(f"no task is called '{missing[0]}'; there are {', '.join(setting.tasks)}")
    encoder = recipe.verify.encoder
    if (
        recipe.verify.kind == "clip"
        and not (setting.shipped(encoder) or Path(encoder)).is_dir()
        and "::" not in encoder
    ):
        raise RecipeError(f"verify.encoder {encoder}: no such folder; name a shipped one or an ARCHITECTURE::TAG")
    if recipe.rounds and not (out / "recipe.yaml").exists():
        # a task without a training pool, or with one that ends too soon, is told now, not after the seed's evaluation
        if not setting.pool(recipe.source, sum(pool_slice(recipe, recipe.rounds)) - 1, 1):
            raise RecipeError(
                f"seed {recipe.seed}: the training pool of {recipe.source} ends before its pictures; take a smaller one"
            )
        from loops.optimise.dpo import check_settings

        check_settings(recipe.optimise)
    with open_run(out, shared) as ledger:
        _claim(out, recipe)
        run = _Run(recipe, ledger, setting, answers or out / "answers.jsonl")
        return run.all_rounds()


def pool_slice(recipe: Recipe, number: int) -> tuple[int, int]:
    """Start and length of the part of the pool that round `number` collects on: of no other round of this run and, in
    the first ten rounds, of no run of another seed."""
    return (recipe.seed * 10 + number - 1) * recipe.collect.samples, recipe.collect.samples


class _Run:
    """One recipe at work in one folder."""

    def __init__(self, recipe: Recipe, ledger: Ledger, setting: Setting, answers: Path) -> None:
        self.recipe, self.ledger, self.setting, self.answers = recipe, ledger, setting, answers
        self.fresh = 0

    def all_rounds(self) -> Finished:
        recipe = self.recipe
        folder = self.setting.shipped(recipe.model) or model_folder(recipe.model)
        adapter = Path(recipe.adapter) if recipe.adapter else None
        seed = Checkpoint(path=folder, digest=model_digest(folder, adapter))
        if adapter and recipe.rounds:
            seed = self.merged(seed, adapter)
            adapter = None
        measured = self.evaluate(0, seed, adapter)
        self.baselines(seed, adapter, measured)
        checkpoints = [seed]
        for number in range(1, recipe.rounds + 1):
            checkpoints.append(self.round(number, checkpoints))
            if recipe.evaluate.rounds == "all" or number == recipe.rounds:
                self.evaluate(number, checkpoints[-1], None)
        return Finished(checkpoints=tuple(checkpoints), fresh_stages=self.fresh)

    def round(self, number: int, before: Sequence[Checkpoint]) -> Checkpoint:
        """One round from the last checkpoint to the next."""
        recipe, start = self.recipe, before[-1]
        pool = functools.cache(lambda: self.pool(number))  # scenes take seconds to compose: a finished round needs none
        draw = recipe.seed * 1_000 + number
        base = {"source": recipe.source, "seed": recipe.seed, "round": number, **self.shown}

        collected = self.stage(
            f"round-{number}/collect",
            {**base, "version": COLLECT_VERSION, "checkpoint": start.digest, "collect": recipe.collect.model_dump()},
            lambda folder: self.collect(folder, start, pool(), draw, number),
        )
        verified = self.stage(
            f"round-{number}/verify",
            {
                "version": VERIFY_VERSION,
                "source": [recipe.source, self.setting.tasks[recipe.source].version],
                "collected": collected.digest,
                "verify": recipe.verify.model_dump(),
                "encoder": self.encoder_digest(),
                "seed": draw if recipe.verify.kind == "random" else None,
            },
            lambda folder: self.verify(folder, collected.folder, pool(), draw, number),
        )
        selected = self.stage(
            f"round-{number}/select",
            {
                "version": SELECT_VERSION,
                "verified": verified.digest,
                "select": recipe.select.model_dump(),
                **({"seed": draw} if recipe.select.disagreement == "coin" else {}),
            },
            lambda folder: self.select(folder, verified.folder, pool(), draw),
        )
        reference = before[0] if recipe.optimise.reference == "seed" else start
        trained = self.stage(
            f"round-{number}/optimise",
            {
                "version": OPTIMISE_VERSION,
                "source": recipe.source,
                "pairs": selected.digest,
                "start": start.digest,
                "reference": reference.digest,
                **self.shown,
                "optimise": recipe.optimise.model_dump(),
                "seed": draw,
            },
            lambda folder: self.optimise(folder, selected.folder, pool(), start, reference, draw, number),
        )
        return self.checkpoint(trained, start.digest)

    def checkpoint(self, done: Done, parent: str | None) -> Checkpoint:
        """What a stage left in its folder."""
        path = done.folder / "checkpoint"
        return Checkpoint(path=path, digest=model_digest(path), parent=parent)

    @property
    def shown(self) -> Mapping[str, Any]:
        """What a stage that shows pictures depends on, where the recipe leaves it not to the model."""
        return {"pictures": self.recipe.pictures} if self.recipe.pictures else {}

    def stage(self, name: str, inputs: Mapping[str, Any], work: Callable[[Path], Outcome]) -> Done:
        done = self.ledger.stage(name, inputs, work)
        self.fresh += done.fresh
        return done

    def pool(self, number: int) -> list[Sample]:
        return list(self.setting.pool(self.recipe.source, *pool_slice(self.recipe, number)))

    def encoder_digest(self) -> str | None:
        if self.recipe.verify.kind != "clip":
            return None
        folder = self.encoder_folder()
        return model_digest(folder) if folder.is_dir() else str(folder)

    def encoder_folder(self) -> Path:
        name = self.recipe.verify.encoder
        return self.setting.shipped(name) or Path(name)

    def merged(self, seed: Checkpoint, adapter: Path) -> Checkpoint:
        """The seed with its adapter, saved whole, since rounds train and refer to whole checkpoints."""

        def work(folder: Path) -> Outcome:
            from harness.models.vlm import load_vlm

            vlm = load_vlm(self.recipe.model, path=seed.path, adapter=adapter)
            vlm.model.save_pretrained(folder / "checkpoint")
            vlm.processor.save_pretrained(folder / "checkpoint")
            return Outcome(facts={}, cost={})

        done = self.stage("round-0/merge", {"model": seed.digest}, work)
        return self.checkpoint(done, None)

    def baselines(self, seed: Checkpoint, adapter: Path | None, measured: Done) -> None:
        """What the verifier is worth without training, where it is one that looks at pictures."""
        from loops.baselines import filtered, ranked, reranked

        asked = self.recipe.evaluate
        tasks = ranked([self.setting.tasks[name] for name in asked.tasks])
        if self.recipe.verify.kind != "clip" or not (self.recipe.rounds and tasks and (asked.filter or asked.rerank)):
            return

        def work(folder: Path) -> Outcome:
            from harness.measure import write_measured
            from harness.models.vlm import load_vlm
            from harness.results import read_results
            from harness.store import Store

            before, verifier, costs = read_results(measured.folder), self.verifier(0), dict[str, float]()
            if asked.filter:
                write_measured(folder / "filter", filtered(before, tasks, asked.split, verifier))
            if asked.rerank:
                vlm = load_vlm(self.recipe.model, path=seed.path, adapter=adapter, pictures=self.recipe.pictures)
                with self.setting.bars() as bars:
                    best = reranked(
                        before,
                        tasks,
                        asked.split,
                        verifier,
                        vlm,
                        answers=asked.rerank,
                        store=Store(self.answers),
                        bar=lambda task, total: bars(f"best of {asked.rerank} {task}", total),
                    )
                write_measured(folder / "rerank", best)
                costs.update(vlm.costs)
            return Outcome(facts={"rerank": asked.rerank}, cost={**costs, **_costs_of(verifier)})

        inputs = {
            "version": BASELINES_VERSION,
            "measured": measured.digest,
            "verify": self.recipe.verify.model_dump(),
            "encoder": self.encoder_digest(),
            "filter": asked.filter,
            "rerank": asked.rerank,
            **self.shown,
        }
        self.stage("round-0/baselines", inputs, work)

    def evaluate(self, number: int, checkpoint: Checkpoint, adapter: Path | None) -> Done:
        asked = self.recipe.evaluate
        tasks = [self.setting.tasks[name] for name in asked.tasks]
        name = self.recipe.model if number == 0 else f"{self.recipe.name} round {number}"

        def work(folder: Path) -> Outcome:
            from harness.measure import measure
            from harness.models.vlm import load_vlm

            vlm = load_vlm(name, path=checkpoint.path, adapter=adapter, pictures=self.recipe.pictures)
            with self.setting.bars() as bars:
                figures = measure(
                    vlm,
                    tasks,
                    folder,
                    split=asked.split,
                    limit=asked.limit,
                    parent=checkpoint.parent,
                    store=self.answers,
                    progress=lambda task, total: bars(f"round {number} eval {task}", total),
                )
            headlines = {task.name: figures[task.name][task.headline]["value"] for task in tasks}
            return Outcome(facts=headlines, cost=vlm.costs)

        inputs = {
            "checkpoint": checkpoint.digest,
            "parent": checkpoint.parent,
            "model": name,  # as the results are named
            "tasks": [[task.name, task.version] for task in tasks],
            "split": asked.split,
            "limit": asked.limit,
            **self.shown,
        }
        return self.stage(f"round-{number}/eval", inputs, work)

    def collect(self, folder: Path, start: Checkpoint, pool: Sequence[Sample], seed: int, number: int) -> Outcome:
        from harness.models.vlm import load_vlm
        from loops.collect.controlled_hallucination import controlled_hallucination
        from loops.collect.sampling import sampled_answers

        vlm = load_vlm(self.recipe.model, path=start.path, pictures=self.recipe.pictures)
        # a controlled hallucination is a second pass over the pool, sampled answers are drawn in one
        collector, passes = {
            "controlled_hallucination": (controlled_hallucination, 2),
            "sampling": (sampled_answers, 1),
        }[self.recipe.collect.kind]
        with self.setting.bars() as bars:
            advance = bars(f"round {number} collect", passes * len(pool))
            groups = collector(vlm, pool, self.recipe.collect, seed=seed, advance=advance)
        write_groups(folder / "groups.jsonl", groups)
        differing = sum(len(set(group.answers)) > 1 for group in groups)
        return Outcome(facts={"groups": len(groups), "differing": differing}, cost=vlm.costs)

    def verify(self, folder: Path, collected: Path, pool: Sequence[Sample], seed: int, number: int) -> Outcome:
        verifier = self.verifier(seed)
        groups = read_groups(collected / "groups.jsonl", pool)
        if not verifier.sees_gold:
            groups = [dataclasses.replace(group, sample=group.sample.blind()) for group in groups]
        with self.setting.bars() as bars:
            verdicts = verifier.verify(groups, bars(f"round {number} verify", len(groups)))
        judged = [dataclasses.replace(group, verdicts=some) for group, some in zip(groups, verdicts, strict=True)]
        write_groups(folder / "groups.jsonl", judged)
        facts = {"verifier": verifier.name, "sees_gold": verifier.sees_gold}
        return Outcome(facts=facts, cost=_costs_of(verifier))

    def verifier(self, seed: int) -> Verifier:
        from loops.verify.verifiers import Clip, NoVerifier, Oracle, Random, Shorter

        asked = self.recipe.verify
        if asked.kind == "oracle":
            return Oracle(task=self.setting.tasks[self.recipe.source])
        if asked.kind == "random":
            return Random(seed=seed)
        if asked.kind == "shorter":
            return Shorter()
        if asked.kind == "none":
            return NoVerifier()
        from harness.models.encoder import load_encoder

        return Clip(encoder=load_encoder(str(self.encoder_folder())), aggregate=asked.aggregate)

    def select(self, folder: Path, verified: Path, pool: Sequence[Sample], seed: int) -> Outcome:
        selection = select(read_groups(verified / "groups.jsonl", pool), self.recipe.select, seed=seed)
        write_pairs(folder / "pairs.jsonl", selection.pairs)
        return Outcome(facts=selection.counts, cost={})

    def optimise(
        self,
        folder: Path,
        selected: Path,
        pool: Sequence[Sample],
        start: Checkpoint,
        reference: Checkpoint,
        seed: int,
        number: int,
    ) -> Outcome:
        pairs = read_pairs(selected / "pairs.jsonl", pool)
        if not pairs:
            raise RunError(
                "select left no pairs to train on; lower select.margin, raise collect.samples or collect.h_ratio.mean"
            )
        from loops.optimise.dpo import optimise_dpo

        with self.setting.bars() as bars:
            trained = optimise_dpo(
                pairs,
                self.recipe.optimise,
                start=start.path,
                reference=reference.path,
                out=folder / "checkpoint",
                seed=seed,
                run_name=f"{self.recipe.name} seed {self.recipe.seed} round {number}",
                pictures=self.recipe.pictures,
                advance=bars(f"round {number} optimise", len(pairs)),
            )
        return Outcome(facts={"steps": trained.steps, **trained.figures}, cost=trained.costs)


class _Plan(_Run):
    """The same stages, none of them done: a digest of inputs stands for what a stage would write."""

    def __init__(self, recipe: Recipe, setting: Setting) -> None:
        self.recipe, self.setting, self.fresh = recipe, setting, 0
        self.keys: dict[str, str] = {}

    def stage(self, name: str, inputs: Mapping[str, Any], work: Callable[[Path], Outcome]) -> Done:
        self.keys[name] = digest_of_json([name.rpartition("/")[2], inputs])
        return Done(folder=Path(name), digest=self.keys[name], facts={}, fresh=False)

    def checkpoint(self, done: Done, parent: str | None) -> Checkpoint:
        return Checkpoint(path=done.folder, digest=done.digest, parent=parent)


def plan_recipe(recipe: Recipe, setting: Setting) -> Mapping[str, str]:
    """The stages of a recipe, each with a digest: where two recipes have one alike, they may share that stage."""
    plan = _Plan(recipe, setting)
    plan.all_rounds()
    return plan.keys


def _costs_of(verifier: Verifier) -> Mapping[str, float]:
    """What its encoder did, where it has one."""
    from loops.verify.verifiers import Clip

    return verifier.encoder.costs if isinstance(verifier, Clip) else {}


def _claim(out: Path, recipe: Recipe) -> None:
    """Write the recipe into the folder, or see that it is the one that is there; more rounds may be asked for."""
    path = out / "recipe.yaml"
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    if path.exists():
        there = yaml.safe_load(path.read_text(encoding="utf-8"))
        differing = [name for name, value in recipe.model_dump(mode="json").items() if there.get(name) != value]
        if [name for name in differing if name != "rounds"]:
            raise RunError(
                f"{out} holds a run of another recipe (it differs in {', '.join(differing)}); name another --out"
            )
    write_text(path, text)
