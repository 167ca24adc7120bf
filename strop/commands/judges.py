"""`strop judges`: how far a judge can be believed, on pairs whose verdict is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import UsageError
from harness.models.options import ModelOptions
from harness.wording import counted
from strop.models import KEPT, open_judge
from strop.options import (
    AttnImplementationOption,
    DataOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    JudgeEndpointOption,
    JudgeOption,
)
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.examination import Share
    from harness.judge import Judge

RULE = "rule"
"""The judge of that name is no model: it is the rule of PHYSICS."""


def judges(
    judge: JudgeOption = None,
    judge_endpoint: JudgeEndpointOption = None,
    evaluations: Annotated[
        list[Path] | None,
        typer.Option(
            help="Instead of a judge: folders of PHYSICS's stored evaluations, whose judge is measured on what it has "
            "seen; repeatable."
        ),
    ] = None,
    questions: Annotated[Path | None, typer.Option(help="The problems of --evaluations.")] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of each kind.")] = 40,
    repeats: Annotated[int, typer.Option(min=2, help="How often each pair is asked.")] = 2,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    attn_implementation: AttnImplementationOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Measure a judge before it is believed: against itself, on numbers, on near misses.

    Pairs of LaTeX answers are made whose verdict is known. The judge is asked of each as by `strop score physics`,
    twice, and once in the other order. What it says is kept in the data folder, each time by itself, and so are its
    figures, which then stand beside every result that it judged. `--judge rule` measures the rule of PHYSICS.

    **Examples**

    strop judges --judge my/judge --judge-endpoint http://localhost:8000/v1

    strop judges --evaluations outputs/gpt-4o --questions problems.jsonl.gz
    """
    from harness.examination import as_plain, keep

    options = ModelOptions(device=device, dtype=dtype, attn_implementation=attn_implementation)
    if (judge is None) == (not evaluations):
        raise UsageError("name a judge by --judge, or the stored verdicts of one by --evaluations")
    if evaluations:
        named, shares = "the judge of the stored evaluations", _stored(evaluations, questions, data)
    elif judge == RULE:
        named, shares = RULE, _by_rule(pairs, repeats)
    else:
        opened = open_judge(judge, judge_endpoint, options)
        assert opened is not None
        named, shares = opened.id, _asked(opened, pairs, repeats, data)
        keep(data, opened.id, {"pairs": pairs, "repeats": repeats, "shares": as_plain(shares)})
    if as_json:
        typer.echo(json.dumps({"judge": named, "shares": as_plain(shares)}, ensure_ascii=False))
    else:
        _print(named, shares)


def _asked(judge: Judge, pairs: int, repeats: int, data: Path) -> list[Share]:
    from harness.examination import FOLDER, examine
    from harness.store import Store
    from strop.progress import progress_bars
    from tasks.physics.judge import verdicts_of_judge
    from tasks.physics.known_pairs import known_pairs

    with progress_bars() as bars:

        def verdicts(texts: Sequence[tuple[str, str]], time: int) -> list[bool | None]:
            store = Store(data.expanduser() / FOLDER / f"{time}.{KEPT}")
            said = verdicts_of_judge(judge, texts, store, lambda total: bars(f"asking, {time + 1}", total))
            return [said[pair] for pair in texts]

        return examine(verdicts, known_pairs(pairs), repeats)


def _by_rule(pairs: int, repeats: int) -> list[Share]:
    from harness.examination import examine
    from tasks.physics.known_pairs import known_pairs
    from tasks.physics.rule import judge_pairs

    def verdicts(texts: Sequence[tuple[str, str]], time: int) -> list[bool | None]:
        said = judge_pairs(texts)
        return [said[pair].equal for pair in texts]

    return examine(verdicts, known_pairs(pairs), repeats)


def _stored(folders: Sequence[Path], questions: Path | None, data: Path) -> list[Share]:
    from harness.examination import examine_stored
    from tasks.physics.answers import open_answers
    from tasks.physics.evaluations import verdicts_of
    from tasks.physics.known_pairs import stored_kind
    from tasks.physics.marks import OFFICIAL
    from tasks.physics.task import Physics

    stored = []
    for folder in folders:
        opened = open_answers(folder, data=data, questions=questions, profile=OFFICIAL, partial=True)[OFFICIAL]
        task = opened.task
        assert isinstance(task, Physics) and task.evaluations is not None
        problems = {sample.id: sample.target for sample in opened.samples}
        # what SymPy alone found equal, the language model was not asked
        stored += [
            (box, answer, kind.endswith("true"))
            for box, answer, kind in verdicts_of(task.evaluations, problems)
            if kind != "sympy_true"
        ]
    return examine_stored(stored, stored_kind)


def _print(judge: str, shares: Sequence[Share]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"judge {judge}", min_width=40)
    for heading in ("", "share", "95 % interval", "of", "should be"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for share in shares:
        if share.value is None or share.low is None or share.high is None:
            table.add_row(share.name, "none (0/0)", "", "0", "")
            continue
        interval = f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"
        table.add_row(share.name, f"{100 * share.value:.1f}", interval, str(share.total), f"{100 * share.better}")
    console = Console(markup=False)
    console.print(table)
    unread = next((share.total - share.count for share in shares if share.name == "read"), 0)
    if unread:
        replies = counted(unread, "reply", "replies")
        console.print(f"{replies} could not be read, and count as unequal", highlight=False, soft_wrap=True)
