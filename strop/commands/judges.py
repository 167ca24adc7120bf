"""`strop judges`: how far a judge can be believed, on pairs whose verdict is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

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
    from loops.verify.judge_forms import Form as VerifierForm

RULE = "rule"
"""The judge of that name is no model: it is the rule of PHYSICS."""


Form = Literal["equality", "reading", "captions", "sentences", "rubric", "pairwise"]


def judges(
    judge: JudgeOption = None,
    judge_endpoint: JudgeEndpointOption = None,
    form: Annotated[
        Form,
        typer.Option(
            help="What it is asked, in the words in which it judges. equality: whether two LaTeX answers are the same "
            "(PHYSICS); reading: which option an answer in words settles on (ScienceQA, MathVista); captions: how much "
            "of a caption is true, and of what is there said (IC); sentences, rubric, pairwise: as a recipe's verifier "
            "`judge`, of captions of Pictos beside their pictures."
        ),
    ] = "equality",
    evaluations: Annotated[
        list[Path] | None,
        typer.Option(
            help="Instead of a judge: folders of PHYSICS's stored evaluations, whose judge is measured on what it has "
            "seen; repeatable."
        ),
    ] = None,
    questions: Annotated[Path | None, typer.Option(help="The problems of --evaluations.")] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Cases of each kind.")] = 40,
    repeats: Annotated[int, typer.Option(min=2, help="How often each case is asked.")] = 2,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    attn_implementation: AttnImplementationOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Measure a judge before it is believed: against itself, on numbers, on near misses.

    Cases are made whose verdict is known. The judge is asked of each as where it judges, twice, and once with the two
    texts exchanged or the options in reverse. What it says is kept in the data folder, each time by itself, and so are
    its figures, which then stand beside every result that it judged. `--judge rule` measures the rule of PHYSICS.

    **Examples**

    strop judges --judge my/judge --judge-endpoint http://localhost:8000/v1

    strop judges --judge my/judge --form reading

    strop judges --judge pictos-peer --form sentences

    strop judges --evaluations outputs/gpt-4o --questions problems.jsonl.gz
    """
    from harness.examination import as_plain, keep

    options = ModelOptions(device=device, dtype=dtype, attn_implementation=attn_implementation)
    if (judge is None) == (not evaluations):
        raise UsageError("name a judge by --judge, or the stored verdicts of one by --evaluations")
    if (evaluations or judge == RULE) and form != "equality":
        raise UsageError(f"--form {form} is asked of a model; leave it away")
    if evaluations:
        named, shares = "the judge of the stored evaluations", _stored(evaluations, questions, data)
    elif judge == RULE:
        named, shares = RULE, _by_rule(pairs, repeats)
    else:
        opened = open_judge(judge, judge_endpoint, options)
        assert opened is not None
        named, shares = opened.id, _asked(opened, form, pairs, repeats, data)
        keep(data, opened.id, form, {"cases": pairs, "repeats": repeats, "shares": as_plain(shares)})
    if as_json:
        typer.echo(json.dumps({"judge": named, "form": form, "shares": as_plain(shares)}, ensure_ascii=False))
    else:
        _print(named, shares)


def _asked(judge: Judge, form: Form, count: int, repeats: int, data: Path) -> list[Share]:
    from harness.examination import BETTER, FOLDER, TRUE, KnownPair, KnownTexts, examine, exchanged
    from harness.store import Store
    from loops.verify.known_texts import verdicts_of_texts
    from strop.progress import progress_bars
    from tasks.ic.known_captions import KnownCaption, known_captions, verdicts_of_captions
    from tasks.physics.judge import verdicts_of_judge
    from tasks.physics.known_pairs import known_pairs
    from tasks.pictos import known_captions as of_scenes
    from tasks.reading.known_answers import KnownAnswer, known_answers, verdicts_of_readings, with_options_reversed

    def store(time: int) -> Store:
        return Store(data.expanduser() / FOLDER / f"{time}.{KEPT}")

    with progress_bars() as bars:

        def of_pairs(cases: Sequence[KnownPair], time: int) -> list[bool | None]:
            texts = [(case.left, case.right) for case in cases]
            said = verdicts_of_judge(judge, texts, store(time), lambda total: bars(f"asking, {time + 1}", total))
            return [said[pair] for pair in texts]

        def of_answers(cases: Sequence[KnownAnswer], time: int) -> list[bool | None]:
            return verdicts_of_readings(judge, cases, store(time), lambda total: bars(f"asking, {time + 1}", total))

        def of_captions(cases: Sequence[KnownCaption], time: int) -> list[bool | None]:
            return verdicts_of_captions(judge, cases, store(time), bars(f"asking, {time + 1}", len(cases)))

        def of_texts(cases: Sequence[KnownTexts], time: int) -> list[bool | None]:
            replies = sum(len(case.texts) for case in cases) if form == "rubric" else len(cases)
            advance = bars(f"asking, {time + 1}", replies)
            return verdicts_of_texts(judge, cast("VerifierForm", form), cases, store(time), advance)

        if form == "sentences":
            return examine(of_texts, of_scenes.known_sentences(count), repeats, headings=TRUE)
        if form in ("rubric", "pairwise"):
            turn = KnownTexts.reversed_where_one_is_better if form == "pairwise" else None
            return examine(of_texts, of_scenes.known_captions(count), repeats, turn, BETTER)
        if form == "reading":
            return examine(of_answers, known_answers(count), repeats, with_options_reversed)
        if form == "captions":
            return examine(of_captions, known_captions(count), repeats)
        return examine(of_pairs, known_pairs(count), repeats, exchanged)


def _by_rule(count: int, repeats: int) -> list[Share]:
    from harness.examination import KnownPair, examine, exchanged
    from tasks.physics.known_pairs import known_pairs
    from tasks.physics.rule import judge_pairs

    def verdicts(cases: Sequence[KnownPair], time: int) -> list[bool | None]:
        said = judge_pairs((case.left, case.right) for case in cases)
        return [said[case.left, case.right].equal for case in cases]

    return examine(verdicts, known_pairs(count), repeats, exchanged)


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
        console.print(f"{replies} could not be read, and count as no", highlight=False, soft_wrap=True)
