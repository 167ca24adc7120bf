"""Verifiers on answers that are there: each gives its verdicts to the same groups, and nothing is trained.

A verifier's verdicts are a stage of a ledger of their own: stopped anywhere, the same call goes on, and a verifier that
was tried before is not tried again.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

from harness.errors import DataError, RecipeError, UsageError
from harness.files import digest_of_file
from harness.models.weights import model_digest
from harness.runs.names import (
    CHECKPOINT,
    COLLECT,
    GROUPS,
    MERGE,
    REPLIES,
    checkpoint_folder,
    round_of,
    stage_name,
)
from harness.stats.preferences import PairOfAnswers
from harness.types import Checkpoint, Group, Sample
from loops.documents import apply_change, validated
from loops.groups import read_groups, write_groups
from loops.judging import judged_by, open_verifier
from loops.kinds import Study, Verifier, computed_by
from loops.ledger import Outcome, open_run
from loops.recipe import Recipe
from loops.revisions import revisions_of
from loops.setting import Setting
from loops.slots import VERIFY

VERSION = 1
"""Raised when the same verifier would give other verdicts to the same groups."""

ORACLE = "oracle"

_LABEL = re.compile(r"\w[\w-]*")

NO_COST = ("peak_memory_mb", "peak_device_memory_mb")
"""Costs that are not of more pairs more."""


@dataclass(frozen=True, kw_only=True)
class Collected:
    """Groups of answers in their study, whose policy gave them; `file` is where they lie, `draw` feeds generators."""

    study: Study
    groups: Sequence[Group]
    file: Path
    draw: int


@dataclass(frozen=True, kw_only=True)
class _SplitPool:
    """The samples of a task's split, for answers that no run collected."""

    identity: str
    samples: Sequence[Sample]
    apart: bool = False

    @property
    def has_gold(self) -> bool:
        return any(sample.target is not None for sample in self.samples)

    def require(self, *, seed: int, rounds: int, count: int) -> None:
        """There are no rounds, so nothing is asked for."""

    def of_round(self, *, seed: int, number: int, count: int) -> Sequence[Sample]:
        return self.samples[:count]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A verifier's verdicts, with what it tells of itself and what they took."""

    label: str
    verifier: Verifier
    level: str
    groups: Sequence[Group]
    facts: Mapping[str, float]
    costs: Mapping[str, float]


def collected_by_run(recipe: Recipe, run: Path, number: int | None, setting: Setting) -> Collected:
    """What round `number` of the recipe's run collected, by default its last; raises `UsageError` where it did not."""
    files = {round_of(path.parent.parent): path for path in run.glob(f"round-*/{COLLECT}/{GROUPS}")}
    rounds = sorted(each for each in files if each is not None)
    if not rounds or (number is not None and number not in rounds):
        which = f"round {number} of {run}" if number is not None else run
        raise UsageError(f"{which}: no collected answers in it; name a run whose stage collect is done")
    number = rounds[-1] if number is None else number
    setting = dataclasses.replace(setting, revisions=revisions_of(recipe, setting, run, None))
    study = recipe.study(setting)
    merged = run / stage_name(0, MERGE) / CHECKPOINT
    seed = merged if merged.is_dir() else study.seed_folder
    start = seed if number == 1 else checkpoint_folder(run, number - 1)
    policy = Checkpoint(path=start, digest=model_digest(start))
    return Collected(
        study=dataclasses.replace(study, policy=policy),
        groups=read_groups(files[number], study.samples(number)),
        file=files[number],
        draw=study.seed * 1_000 + number,
    )


def collected_in_folder(folder: Path, recipe: Recipe, split: str, setting: Setting) -> Collected:
    """Groups of somebody's own: `groups.jsonl` with rows of `id` and `answers`, whose samples are those of the recipe's
    source, of a task those of its `split`."""
    study, file = recipe.study(setting), folder / GROUPS
    if recipe.own_pictures:
        samples: Sequence[Sample] = getattr(study.pool, "samples", ())
    else:
        samples = study.setting.tasks[study.source].samples(split)
        pool = _SplitPool(identity=f"{study.source} {split}", samples=samples)
        study = dataclasses.replace(study, setting=dataclasses.replace(setting, pool=lambda source: pool))
    try:
        groups = read_groups(file, samples)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f'{file}: a row is {{"id": "...", "answers": ["...", "..."]}} ({error!r})') from error
    policy = Checkpoint(path=study.seed_folder, digest=model_digest(study.seed_folder))
    return Collected(study=dataclasses.replace(study, policy=policy), groups=groups, file=file, draw=0)


def read_verifiers(labels: Sequence[str], changes: Sequence[str], own: Verifier) -> dict[str, Verifier]:
    """Label -> verifier, of ``KIND`` or ``LABEL=KIND`` and changes ``LABEL.FIELD=VALUE``. The recipe's `own` kind has
    the recipe's fields. Raises `UsageError`, and `RecipeError` naming the field."""
    documents: dict[str, dict[str, object]] = {}
    for text in labels:
        label, _, kind = text.strip().rpartition("=")
        label = label or kind
        if not _LABEL.fullmatch(label) or label in documents:
            raise UsageError(f"--with {text!r}: name each verifier once, as KIND or LABEL=KIND in letters and digits")
        documents[label] = dict(own.model_dump(mode="json")) if kind == own.kind else {"kind": kind}
    for change in changes:
        label = change.partition(".")[0]
        if label not in documents:
            raise UsageError(f"--set {change}: {label!r} is none of {', '.join(documents)}; write LABEL.FIELD=VALUE")
        apply_change(documents, change)
    verifiers = {}
    for label, fields in documents.items():
        recipe = validated(Recipe, {"name": label, "verify": fields}, f"--with {label}")
        verifiers[label] = recipe.verify
    return verifiers


def try_verifiers(collected: Collected, verifiers: Mapping[str, Verifier], out: Path) -> list[Tried]:
    """The verdicts of each, the oracle's first where there is gold; what is in `out` already is not done again.

    Raises what a verifier raises; those before it are kept.
    """
    everyone = dict(verifiers)
    if collected.study.pool.has_gold and ORACLE not in everyone:
        everyone = {ORACLE: VERIFY.read({"kind": ORACLE}), **everyone}
    setting = dataclasses.replace(collected.study.setting, replies=out / REPLIES)
    studies = {
        label: dataclasses.replace(collected.study, verify=verifier, setting=setting)
        for label, verifier in everyone.items()
    }
    for label, study in studies.items():
        try:
            study.verify.refuse(study)
        except RecipeError as error:
            raise RecipeError(f"{label}: {error}") from error
    with open_run(out) as ledger:
        tried = []
        for label, study in studies.items():
            inputs = {
                "version": VERSION,
                "source": study.pool.identity,
                "groups": digest_of_file(collected.file),
                "verify": study.verify.inputs(study, collected.draw),
            }
            done = ledger.stage(label, inputs, partial(_try, study, collected, label))
            line = ledger.lines[label]
            costs = {name: value for name, value in line["cost"].items() if name not in NO_COST}
            samples = [group.sample for group in collected.groups]
            tried.append(
                Tried(
                    label=label,
                    verifier=study.verify,
                    level=study.level,
                    groups=read_groups(done.folder / GROUPS, samples),
                    facts=done.facts,
                    costs=costs,
                )
            )
        return tried


def _try(study: Study, collected: Collected, label: str, folder: Path) -> Outcome:
    verifier = open_verifier(study, collected.groups, collected.draw)
    began = time.monotonic()  # loading a model is no cost of more pairs more
    with study.setting.bars() as bars:
        judged = judged_by(verifier, study, collected.groups, bars(label, len(collected.groups)))
    write_groups(folder / GROUPS, judged)
    return Outcome(
        facts={"verifier": study.verify.kind, "sees_gold": study.verify.is_shown_gold, **verifier.facts},
        cost={**verifier.costs, "seconds": round(time.monotonic() - began, 2)},
        computed=computed_by(verifier),
    )


def pairs_of(tried: Tried, oracle: Tried | None) -> list[PairOfAnswers]:
    """Each two answers of a group that differ and say something, in the order of the groups: the same pairs of every
    verifier that was tried on them."""
    pairs = []
    for index, group in enumerate(tried.groups):
        marks = oracle.groups[index].verdicts if oracle else None
        for first, second in combinations(range(len(group.answers)), 2):
            texts = group.answers[first], group.answers[second]
            if texts[0] == texts[1] or not all(text.strip() for text in texts):
                continue
            rewards = [group.verdicts[place].reward for place in (first, second)]
            values = [marks[place].reward for place in (first, second)] if marks else [None, None]
            pairs.append(
                PairOfAnswers(
                    picture=group.sample.cluster,
                    gap=_difference(*rewards),
                    mark=_difference(*values),
                    words=len(texts[0].split()) - len(texts[1].split()),
                )
            )
    return pairs


def _difference(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second
