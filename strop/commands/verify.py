"""`strop verify`: how good verifiers are on answers that were collected, without training."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import UsageError
from harness.runs.ids import DEFAULT_RUNS
from harness.runs.names import COLLECT, GROUPS, RECIPE, VERIFY, round_of
from harness.runs.reading import COST_FIRST
from strop.options import (
    AttnImplementationOption,
    DataOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    PluginPathOption,
    RunsOption,
    SeedModelOption,
    SplitOption,
    with_placement,
    writable_folder,
)
from strop.places import data_root, set_plugin_path
from strop.tables import print_table
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from rich.console import Console

    from harness.stats.preferences import PairOfAnswers
    from loops.trying_verifiers import Collected, Tried

PAIRS = 1_000
"""Costs are of so many pairs."""

NOTHING = "–"

_ROUND = re.compile(r"(.+):(\d+)")


def verify(
    answers: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FOLDER",
            help="A run, a round of one (runs/demo:1), or a folder with groups.jsonl (then also --source).",
            show_default=False,
        ),
    ],
    verifiers: Annotated[
        str, typer.Option("--with", help="Kinds of verifiers, separated by commas; LABEL=KIND where two are of a kind.")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="LABEL.FIELD=VALUE", help="Change a field of a verifier; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the verdicts, which are not asked for again; default: verifiers in RUN or FOLDER.",
            callback=writable_folder,
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Of a FOLDER: the task or the pictures (folder:PATH) that were asked about.")
    ] = None,
    split: SplitOption = "dev",
    model: SeedModelOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    attn_implementation: AttnImplementationOption = None,
    runs: RunsOption = DEFAULT_RUNS,
    data: DataOption = DEFAULT_DATA,
    plugin_path: PluginPathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score verifiers on collected answers, without training.

    Does a higher reward mean a better answer? Each verifier judges the same answers. On pairs of them: agreement with
    the oracle (the task's mark, from gold), by margin too; the area under the ROC curve; how well margins are chances;
    whether it likes long answers or first ones more than the oracle does; agreement with the other verifiers (Cohen's
    kappa); and what 1,000 pairs cost. Intervals are over pictures. Stopped, the same command goes on.

    **Examples**

    strop verify runs/demo --with clip,consistency,likelihood,shorter

    strop verify runs/demo:1 --with own=judge,peer=judge --set peer.model=pictos-peer --json

    strop verify my/answers --source pictos_chair --split dev --with clip,rule
    """
    from loops.trying_verifiers import read_verifiers, try_verifiers

    set_plugin_path(plugin_path)
    named = [f"model={json.dumps(model)}"] if model is not None else []
    placed = with_placement(named, device, dtype, attn_implementation)
    collected, folder = _collected(answers, runs, source, split, placed, data_root(data))
    kinds = read_verifiers(verifiers.split(","), changes or (), collected.study.verify)
    report = _report(collected, try_verifiers(collected, kinds, out or folder / "verifiers"))
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        _print(report)


def _collected(
    name: str, runs: Path, source: str | None, split: str, changes: Sequence[str], data: Any
) -> tuple[Collected, Path]:
    """The answers, and the folder that they belong to."""
    from loops.recipe import Recipe, load_recipe
    from loops.trying_verifiers import collected_by_run, collected_in_folder
    from strop.running import setting

    folder, number = _folder(name, runs)
    world = setting(data)
    if (folder / RECIPE).is_file():
        if source is not None:
            raise UsageError(f"--source {source}: is of a folder of answers; {folder} is a run and says it itself")
        return collected_by_run(load_recipe(folder / RECIPE, changes), folder, number, world), folder
    if source is None:
        raise UsageError(f"{folder}: is no run; name by --source what its answers are about")
    from loops.documents import apply_change, validated

    document: dict[str, Any] = {"name": folder.name, "source": source}
    for change in changes:
        apply_change(document, change)
    recipe = validated(Recipe, document, f"{folder}")
    return collected_in_folder(folder, recipe, split, world), folder


def _folder(name: str, runs: Path) -> tuple[Path, int | None]:
    """The folder of a run and a round of it, or a folder of answers."""
    numbered = _ROUND.fullmatch(name)
    for path in (Path(name), runs / name):
        for folder in (path, path.parent if round_of(path) is not None else path.parent.parent):
            if (folder / RECIPE).is_file() and (folder == path or _is_in_round(path, folder)):
                return folder, round_of(path if path.parent == folder else path.parent)
        if (path / GROUPS).is_file():
            return path, None
    if numbered:
        for path in (Path(numbered[1]), runs / numbered[1]):
            if (path / RECIPE).is_file():
                return path, int(numbered[2])
    raise UsageError(f"{name}: no run, and no folder with {GROUPS}; name one of them, or a run's round as runs/demo:1")


def _is_in_round(path: Path, run: Path) -> bool:
    """Whether a folder is a round of the run, or one of a round's stages with answers."""
    if path.parent == run:
        return round_of(path) is not None
    return path.name in (COLLECT, VERIFY) and round_of(path.parent) is not None


# What to say ----------------------------------------------------------------------------------------------------------


def _report(collected: Collected, tried: Sequence[Tried]) -> dict[str, Any]:
    from harness.stats.preferences import kappa, preferences
    from loops.trying_verifiers import ORACLE, pairs_of

    oracle = next((each for each in tried if each.label == ORACLE), None)
    pairs: dict[str, list[PairOfAnswers]] = {each.label: pairs_of(each, oracle) for each in tried}
    labels = [each.label for each in tried if each.label != ORACLE]
    return {
        "answers": str(collected.file),
        "model": collected.study.model,
        "source": collected.study.source,
        "pictures": len({group.sample.cluster for group in collected.groups}),
        "groups": len(collected.groups),
        "pairs": len(next(iter(pairs.values()), [])),
        "verifiers": [
            {
                "label": each.label,
                "fields": each.verifier.model_dump(mode="json"),
                "level": each.level,
                "facts": dict(each.facts),
                **dataclasses.asdict(preferences(pairs[each.label])),
                f"cost_of_{PAIRS}_pairs": _costs(each.costs, len(pairs[each.label])),
            }
            for each in tried
        ],
        "kappa": [
            {"a": a, "b": b, **(dataclasses.asdict(figure) if (figure := kappa(pairs[a], pairs[b])) else {})}
            for index, a in enumerate(labels)
            for b in labels[index + 1 :]
        ],
    }


def _costs(costs: Mapping[str, float], pairs: int) -> dict[str, float]:
    return {name: float(f"{PAIRS * value / pairs:.4g}") for name, value in costs.items() if value} if pairs else {}


def _print(report: Mapping[str, Any]) -> None:
    from rich.console import Console

    console = Console(markup=False, highlight=False, soft_wrap=True)
    verifiers = report["verifiers"]
    console.print(
        f"{report['pairs']:,} pairs of answers of {report['model']} to {report['pictures']:,} pictures of "
        f"{report['source']}  ({report['answers']})\n"
    )
    gold = any(each["agreement"] for each in verifiers)
    if gold:
        headings = ("verifier", "agrees", "surest quarter", "AUC", "Brier", "cal. error")
        print_table(console, "beside the oracle", headings, [_beside_oracle(each) for each in verifiers], 1)
    headings = ("verifier", "level", "judged", "ties", "longer", "first")
    print_table(console, "preferences", headings, [_preferences(each) for each in verifiers], 2)
    print_table(console, f"cost of {PAIRS:,} pairs", ("verifier", "cost"), [_cost(each) for each in verifiers], 2)
    _print_kappas(console, report["kappa"])
    for each in verifiers:
        if (level := each["level"]) != _short(level):
            console.print(f"{each['label']}: {level}")
    console.print(
        "In % (AUC, Brier, kappa as numbers), with 95 % intervals over pictures. agrees: of the pairs that the oracle "
        "tells apart, those that the verifier orders alike, a tie as a half; surest quarter: those with its largest "
        "margins. Brier: 0.25 knows nothing. cal. error: how far its chances are from what they come to. longer, "
        "first: how often the longer, the first collected answer gets more"
        + ("; in brackets by how much more often than the oracle has it." if gold else ".")
    )


def _beside_oracle(each: Mapping[str, Any]) -> tuple[str, ...]:
    quarters, error = each["by_margin"], each["calibration_error"]
    return (
        each["label"],
        _percent(each["agreement"]),
        _percent(quarters[-1] if quarters else None),
        _number(each["auc"]),
        _number(each["brier"]),
        NOTHING if error is None else f"{100 * error:.1f}",
    )


def _preferences(each: Mapping[str, Any]) -> tuple[str, ...]:
    biases = []
    for name in ("longer", "first"):
        excess = each[f"{name}_excess"]
        beside = f" ({_percent(excess, signed=True)})" if excess and excess["value"] is not None else ""
        biases.append(_percent(each[name], bare=True) + beside)
    return each["label"], _short(each["level"]), f"{each['judged']:,}", _percent(each["ties"], bare=True), *biases


def _short(level: str) -> str:
    """The level without what is remarked about it."""
    return level.partition(",")[0]


def _cost(each: Mapping[str, Any]) -> tuple[str, str]:
    costs = each[f"cost_of_{PAIRS}_pairs"]
    order = [*(name for name in COST_FIRST if name in costs), *sorted(costs.keys() - set(COST_FIRST))]
    return each["label"], ", ".join(f"{costs[name]:,.4g} {name}" for name in order)


def _percent(figure: Mapping[str, Any] | None, *, bare: bool = False, signed: bool = False) -> str:
    if figure is None or figure["value"] is None:
        return NOTHING
    form = "+.1f" if signed else ".1f"
    value = f"{100 * figure['value']:{form}}"
    if bare or figure["low"] is None:
        return value
    return f"{value} [{100 * figure['low']:{form}}, {100 * figure['high']:{form}}]"


def _number(figure: Mapping[str, Any] | None) -> str:
    if figure is None or figure["value"] is None:
        return NOTHING
    bounds = "" if figure["low"] is None else f" [{figure['low']:.3f}, {figure['high']:.3f}]"
    return f"{figure['value']:.3f}{bounds}"


def _print_kappas(console: Console, kappas: Sequence[Mapping[str, Any]]) -> None:
    """A triangle: their intervals are in the JSON."""
    labels = list(dict.fromkeys(label for each in kappas for label in (each["a"], each["b"])))
    values = {(each["a"], each["b"]): each.get("value") for each in kappas}
    lines = []
    for place, label in enumerate(labels[1:], start=1):
        row = (values[other, label] for other in labels[:place])
        lines.append((label, *(NOTHING if value is None else f"{value:.2f}" for value in row)))
    padded = [(*line, *[""] * (len(labels) - len(line))) for line in lines]
    print_table(console, "agreement among verifiers, kappa", ("", *labels[:-1]), padded, 1)
