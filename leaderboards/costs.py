"""What the loop of each cell of a grid took, and what was gained for that.

A loop is the stages collect, verify, select and optimise of all rounds. Measuring models and watching them is left out:
no loop needs it to go on. A stage that another cell did counts in full, as if the cell were alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.runs.grids import GridCell, GridRun
from harness.runs.names import COLLECT, OPTIMISE, SELECT, VERIFY
from harness.runs.reading import COST_FIRST, read_stages

LOOP = (COLLECT, VERIFY, SELECT, OPTIMISE)

MOST = "peak_"
"""How the names of costs begin that do not add up: of stages one after another the most counts."""

OPERATIONS = "estimated_flops"

PREFIXES = ("", "kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopCost:
    """What the loop of a training run took, the mean over a cell's `runs` that are finished: names and units are the
    ledger's."""

    cell: str
    label: Mapping[str, str]
    runs: int
    took: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """A unit of cost, such as a minute: what several are called, the costs that are added up in it, and how much of
    them is one."""

    name: str
    several: str
    costs: tuple[str, ...]
    size: float

    def of(self, took: Mapping[str, float]) -> float:
        """How many of them a loop took."""
        return sum(took.get(name, 0.0) for name in self.costs) / self.size


UNITS = (
    Unit(name="minute", several="minutes", costs=("seconds",), size=60),
    Unit(name="FLOP", several="FLOPs", costs=(OPERATIONS,), size=1),
    Unit(
        name="thousand endpoint tokens",
        several="thousands of endpoint tokens",
        costs=("endpoint_prompt_tokens", "endpoint_generated_tokens"),
        size=1_000,
    ),
    Unit(name="unit of price", several="price", costs=("price",), size=1),
)


def loop_cost(cell: GridCell) -> LoopCost | None:
    """What a cell's loop took; None where no run of it is finished."""
    runs = [_took(run) for run in cell.runs if run.state == "done"]
    if not runs:
        return None
    names = _ordered({name for run in runs for name in run})
    return LoopCost(
        cell=cell.name,
        label=cell.label,
        runs=len(runs),
        took={name: sum(run.get(name, 0.0) for run in runs) / len(runs) for name in names},
    )


def loop_cost_names(loops: Iterable[LoopCost]) -> tuple[str, ...]:
    """The names of what any of them took, as boards order them."""
    return _ordered({name for loop in loops for name, amount in loop.took.items() if amount})


def units_of(loops: Sequence[LoopCost]) -> list[Unit]:
    """The units in which all of these took something; of operations the largest of which any of them took one, so
    that gains for a unit keep their digits."""
    units = [unit for unit in UNITS if all(unit.of(loop.took) for loop in loops)]
    return [_readable(unit, max(unit.of(loop.took) for loop in loops)) for unit in units]


def _took(run: GridRun) -> dict[str, float]:
    """Of a stage that was done again the last time counts."""
    stages = {stage.name: stage for stage in read_stages(run.folder)}
    took: dict[str, float] = {}
    for name, stage in stages.items():
        if name.rpartition("/")[2] in LOOP:
            for cost, amount in (stage.shared_cost or stage.cost).items():
                before = took.get(cost, 0.0)
                took[cost] = max(before, amount) if cost.startswith(MOST) else before + amount
    return took


def _readable(unit: Unit, most: float) -> Unit:
    if OPERATIONS not in unit.costs:
        return unit
    thousands = min(int(math.log10(most) / 3 + 1e-9), len(PREFIXES) - 1)
    prefix = PREFIXES[thousands]
    return replace(unit, name=prefix + unit.name, several=prefix + unit.several, size=1_000.0**thousands)


def _ordered(names: set[str]) -> tuple[str, ...]:
    return (*(name for name in COST_FIRST if name in names), *sorted(names.difference(COST_FIRST)))
