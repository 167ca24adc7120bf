"""Rounds: the seed is measured, then collect, verify, select, optimise and measure again, `rounds` times.

Each stage goes through the ledger with all that its result depends on. Models, encoders and trainers are loaded inside
the stage that needs them: a finished run is recognised without importing any of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from harness.autonomy import CONTROL, SAW_GOLD
from harness.errors import RunError, StropError
from harness.files import digest_of_json, write_text
from harness.models.card import EncoderCard, read_card
from harness.models.weights import adapter_folder, model_digest, model_folder
from harness.types import Checkpoint, Group, Sample
from harness.wording import counted
from loops.check_recipe import check_recipe
from loops.groups import read_groups, read_pairs, write_groups, write_pairs
from loops.ledger import Done, Ledger, Outcome, open_run
from loops.recipe import Recipe, read_document, validated
from loops.select.pairs import select
from loops.setting import Paired, Pool, Setting

if TYPE_CHECKING:
    from loops.verify.clip import Verifier

COLLECT_VERSION = VERIFY_VERSION = OPTIMISE_VERSION = BASELINES_VERSION = 1
SELECT_VERSION = LORA_VERSION = 2
"""Raised when a stage's code would give another result from the same inputs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """What a run came to: its checkpoints from the seed on, and how many stages were done now rather than before."""

    checkpoints: tuple[Checkpoint, ...]
    fresh_stages: int


def run_recipe(
    recipe: Recipe,
    out: Path,
    setting: Setting,
    *,
    answers: Path | None = None,
    shared: Path | None = None,
    checked: bool = False,
) -> Finished:
    """Run a recipe in a folder, or go on with it where it stopped. `answers` is a store to share with other runs,
    `shared` a folder of whole stages (`loops.shared`); `checked` says that `check_recipe` has been through it.

    A recipe that was mended goes on where what it changed is in no finished stage. Raises `RunError` where the folder
    belongs to another recipe, and `RecipeError` for what `loops.check_recipe` finds. What a stage raises says which one
    it is, and that those before it are kept.
    """
    differing = _differing(out, recipe)
    check_recipe(recipe, setting, new=not checked and differing != [])
    with open_run(out, shared) as ledger:
        run = _Run(recipe, ledger, setting, answers or out / "answers.jsonl")
        _claim(out, recipe, run.level(), _Kept(recipe, setting, ledger).all_stand)
        return run.all_rounds()


class _Run:
    """One recipe at work in one folder."""

    def __init__(self, recipe: Recipe, ledger: Ledger, setting: Setting, answers: Path) -> None:
        self.recipe, self.ledger, self.setting, self.answers = recipe, ledger, setting, answers
        self.fresh = 0

    def all_rounds(self) -> Finished:
        recipe = self.recipe
        folder = self.setting.shipped(recipe.model) or model_folder(recipe.model)
        adapter = adapter_folder(recipe.adapter) if recipe.adapter else None
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
        base = {"source": self.source.identity, "seed": recipe.seed, "round": number, **self.shown}

        collecting: dict[str, Any] = {"checkpoint": start.digest, "collect": recipe.collect.as_input()}
        if recipe.given_pairs:
            collecting = {"pairs": recipe.collect.samples}
        collected = self.stage(
            f"round-{number}/collect",
            {**base, "version": COLLECT_VERSION, **collecting},
            lambda folder: self.collect(folder, start, pool(), draw, number),
        )
        verified = self.stage(
            f"round-{number}/verify",
            {
                "version": VERIFY_VERSION,
                "source": [self.source.identity, self.task_version()],
                "collected": collected.digest,
                "verify": recipe.verify.as_input(),
                "encoder": self.encoder_digest(),
                **self.zero_input(),
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
                "version": LORA_VERSION if recipe.optimise.weights == "lora" else OPTIMISE_VERSION,
                "source": self.source.identity,
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
        try:
            done = self.ledger.stage(name, inputs, work)
        except StropError as error:
            kept = counted(len(self.ledger.lines), "stage")
            goes_on = f"; {kept} before it kept, the same command or a mended recipe goes on from there"
            error.args = (f"{error} (at {name}{goes_on if self.ledger.lines else ''})",)
            raise
        self.fresh += done.fresh
        return done

    @functools.cached_property
    def source(self) -> Pool:
        return self.setting.pool(self.recipe.source)

    def task_version(self) -> int | None:
        """Of the task that marks answers to the pool; None for pictures of the user's own, which no task marks."""
        return None if self.recipe.own_pictures else self.setting.tasks[self.recipe.source].version

    def pool(self, number: int) -> list[Sample]:
        return round_samples(self.source, self.recipe, number)

    def level(self) -> str:
        """The recipe's level, and whether its encoder learnt from this world's gold: so the board shows it."""
        gold = {self.recipe.source, *self.recipe.evaluate.tasks} & set(self.encoder_card().gold_of)
        return self.recipe.level + (SAW_GOLD if gold and self.recipe.level != CONTROL else "")

    def encoder_card(self) -> EncoderCard:
        return read_card(self.encoder_folder()) if self.recipe.verify.kind == "clip" else EncoderCard()

    def card_zero(self) -> float | None:
        """The encoder's zero where its maker set it for pictures of this kind."""
        card = self.encoder_card()
        return card.zero if self.recipe.source in card.gold_of else None

    def zero_input(self) -> dict[str, Any]:
        """What the verdicts depend on where sentences are held against a zero that is not simply 0."""
        verify, zero = self.recipe.verify, self.card_zero()
        if verify.kind != "clip" or verify.aggregate != "sum" or verify.zero is not None or zero == 0:
            return {}
        return {"zero": "calibrated" if zero is None else zero}

    def encoder_digest(self) -> str | None:
        if self.recipe.verify.kind != "clip":
            return None
        folder = self.encoder_folder()
        return model_digest(folder) if folder.is_dir() else str(folder)

    def encoder_folder(self) -> Path:
        name = self.recipe.verify.encoder
        return self.setting.shipped(name) or Path(name).expanduser()

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
        from loops.baselines import described, filtered, ranked, reranked

        asked = self.recipe.evaluate
        tasks = ranked([self.setting.tasks[name] for name in asked.tasks])
        if self.recipe.verify.kind != "clip" or not (self.recipe.rounds and tasks and (asked.filter or asked.rerank)):
            return

        def work(folder: Path) -> Outcome:
            from harness.measure import write_measured
            from harness.models.vlm import load_vlm
            from harness.results import read_results
            from harness.store import Store

            before = read_results(measured.folder)
            verifier = self.verifier(0, described(before, tasks[0], asked.split))
            costs = dict[str, float]()
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
            "verify": self.recipe.verify.as_input(),
            "encoder": self.encoder_digest(),
            **self.zero_input(),
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
                    max_tokens=asked.longest,
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
            **({} if asked.max_tokens is None else {"max_tokens": asked.longest}),
            **self.shown,
        }
        return self.stage(f"round-{number}/eval", inputs, work)

    def collect(self, folder: Path, start: Checkpoint, pool: Sequence[Sample], seed: int, number: int) -> Outcome:
        if isinstance(self.source, Paired):
            answers = self.source.answers
            groups = [Group(sample=sample, answers=answers[sample.id], notes=({}, {})) for sample in pool]
            write_groups(folder / "groups.jsonl", groups)
            differing = sum(len(set(group.answers)) > 1 for group in groups)
            return Outcome(facts={"groups": len(groups), "differing": differing}, cost={})
        from harness.models.vlm import load_vlm
        from loops.collect.controlled_hallucination import controlled_hallucination
        from loops.collect.sampling import sampled_answers
        from loops.collect.unfinished import MARK

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
        unfinished = sum(MARK in note for group in groups for note in group.notes)
        facts = {"groups": len(groups), "differing": differing, "unfinished": unfinished}
        return Outcome(facts=facts, cost=vlm.costs)

    def verify(self, folder: Path, collected: Path, pool: Sequence[Sample], seed: int, number: int) -> Outcome:
        groups = read_groups(collected / "groups.jsonl", pool)
        blind = [dataclasses.replace(group, sample=group.sample.blind()) for group in groups]
        verifier = self.verifier(seed, blind)
        if not verifier.sees_gold:
            groups = blind
        with self.setting.bars() as bars:
            verdicts = verifier.verify(groups, bars(f"round {number} verify", len(groups)))
        judged = [dataclasses.replace(group, verdicts=some) for group, some in zip(groups, verdicts, strict=True)]
        write_groups(folder / "groups.jsonl", judged)
        facts = {"verifier": verifier.name, "sees_gold": verifier.sees_gold, **verifier.facts}
        return Outcome(facts=facts, cost=_costs_of(verifier))

    def verifier(self, seed: int, groups: Sequence[Group]) -> Verifier:
        from loops.verify.clip import Clip, NoVerifier, Oracle, Random, Shorter

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
        from loops.verify.zero import Zero, find_zero

        encoder, zero = load_encoder(str(self.encoder_folder())), Zero()
        if asked.aggregate == "sum":
            zero = find_zero(encoder, groups, named=asked.zero, of_card=self.card_zero())
        return Clip(encoder=encoder, aggregate=asked.aggregate, zero=zero)

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
        facts = {"steps": trained.steps, "changed": trained.changed, **trained.figures}
        return Outcome(facts=facts, cost=trained.costs)


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


class _Unreached(Exception):
    """The first stage that a ledger does not have."""


class _Kept(_Run):
    """The same stages as far as a ledger has them, none of them done."""

    def __init__(self, recipe: Recipe, setting: Setting, ledger: Ledger) -> None:
        super().__init__(recipe, ledger, setting, ledger.root / "answers.jsonl")
        self.standing: set[str] = set()

    def stage(self, name: str, inputs: Mapping[str, Any], work: Callable[[Path], Outcome]) -> Done:
        line, folder = self.ledger.lines.get(name), self.ledger.root / name
        if not (line and line["inputs"] == digest_of_json(inputs) and folder.is_dir()):
            raise _Unreached
        self.standing.add(name)
        return Done(folder=folder, digest=line["outputs"], facts=line["facts"], fresh=False)

    def all_stand(self) -> bool:
        """Whether every stage of the ledger is one of this recipe's."""
        with contextlib.suppress(_Unreached):
            self.all_rounds()
        return self.standing == self.ledger.lines.keys()


def plan_recipe(recipe: Recipe, setting: Setting) -> Mapping[str, str]:
    """The stages of a recipe, each with a digest: where two recipes have one alike, they may share that stage."""
    plan = _Plan(recipe, setting)
    plan.all_rounds()
    return plan.keys


def _costs_of(verifier: Verifier) -> Mapping[str, float]:
    """What its encoder did, where it has one."""
    from loops.verify.clip import Clip

    return verifier.encoder.costs if isinstance(verifier, Clip) else {}


def round_samples(pool: Pool, recipe: Recipe, number: int) -> list[Sample]:
    """What round `number` asks: pictures of the pool, under the recipe's prompt where it has one."""
    samples = pool.of_round(seed=recipe.seed, number=number, count=recipe.collect.samples)
    prompt = recipe.collect.prompt
    return [sample if prompt is None else dataclasses.replace(sample, prompt=prompt) for sample in samples]


def _claim(out: Path, recipe: Recipe, level: str, all_stand: Callable[[], bool] = lambda: False) -> None:
    """Write the recipe into the folder with its level, or see that it is the one that is there, or that `all_stand`:
    all finished stages are its own too."""
    if (differing := _differing(out, recipe)) and not all_stand():
        raise RunError(
            f"{out} holds a run of another recipe (it differs in {', '.join(differing)}); name another --out"
        )
    fields = recipe.model_dump(mode="json")
    filed = {"name": fields.pop("name"), "level": level, **fields}
    write_text(out / "recipe.yaml", yaml.safe_dump(filed, sort_keys=False))


def _differing(out: Path, recipe: Recipe) -> list[str] | None:
    """The fields in which the recipe filed in a folder is another, None where none is filed; more rounds may be asked
    for."""
    path = out / "recipe.yaml"
    if not path.exists():
        return None
    filed = validated(Recipe, read_document(path, "recipe"), f"recipe {path}")
    names = [name for name in Recipe.model_fields if getattr(filed, name) != getattr(recipe, name)]
    return [name for name in names if name != "rounds"]
