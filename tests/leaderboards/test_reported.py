"""Claims about published figures: every one has a source and is read as printed or not at all, and none is set beside
results that are not of its benchmark."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from harness.errors import DataError, UsageError
from harness.results import TaskResult
from harness.stats import Estimate
from harness.types import Metric
from leaderboards.beside import Published, position
from leaderboards.build import build_board
from leaderboards.reported import (
    COLUMNS,
    DIRECTIONS,
    FOLDER,
    SOURCE_KINDS,
    STAGES,
    UNITS,
    Reported,
    as_csv,
    of_benchmark,
    paired,
    read_table,
    read_tables,
)
from strop.app import app
from tasks.registry import all_yardsticks
from tests.support.worlds import captions, write_folder, write_run, yes_no

pytestmark = pytest.mark.slow

F1 = Metric(name="macro/f1", terms={"right": 1}, over={"asked": 1})

ALL_RIGHT = [1] * 8910

ONE = Reported(
    system="Hone", model="Tiny-1B", variant="round 1", stage="after", benchmark="POPE", metric="mean F1",
    value=Decimal("86.80"), unit="%", better="higher", source="a README, its table 2", source_kind="README", note="",
)  # fmt: skip


def figures_of(system: str, model: str, benchmark: str, variant: str = "") -> set[tuple[str, str, str]]:
    """(metric, stage, value as printed) of a row of the published tables."""
    row_key = (system, model, benchmark, variant)
    return {
        (figure.metric, figure.stage, str(figure.value))
        for figure in read_tables()
        if (figure.system, figure.model, figure.benchmark, figure.variant) == row_key
    }


def pope(marks: Sequence[int], task: str = "pope", pictures: str = "COCO_val2014_") -> TaskResult:
    """Answers to POPE's questions, 18 a picture, marked so that the mean F1 is the share of ones."""
    result = yes_no(marks, task=task, headline="macro/f1", metrics=(F1,))
    rows = tuple(replace(row, cluster=f"{pictures}{number // 18:012d}.jpg") for number, row in enumerate(result.rows))
    return replace(result, rows=rows)


def table(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("".join(f"{line}\n" for line in (",".join(COLUMNS), *lines)), encoding="utf-8")
    return path


def published(figures: Sequence[Reported]) -> Published:
    """These figures with every yardstick of the tasks."""
    return Published(figures=figures, yardsticks=all_yardsticks())


def beside(out: Path) -> list[dict[str, str]]:
    with (out / "reported.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


# The tables ----------------------------------------------------------------------------------------------------------


def test_every_system_and_model_of_the_tables_is_there() -> None:
    figures = read_tables()
    assert len(figures) == 89
    assert {figure.system for figure in figures if figure.system} == {
        *("SeVa", "STIC", "POVID", "CSR", "self-rewarding", "SIMA", "RLAIF-V", "HA-DPO", "EvoLMM", "MM-UPT", "M-STAR"),
    }
    assert {figure.model for figure in figures if not figure.system} == {
        *("LLaVA-1.5-7B", "LLaVA-1.5-13B", "LLaVA-1.5-7B-lora", "LLaVA-1.5-13B-lora"),
        *("LLaVA-1.6-vicuna-7B", "LLaVA-1.6-mistral-7B", "Qwen2.5-VL-3B", "Qwen2.5-VL-7B", "Qwen2.5-VL-72B"),
        *("SmolVLM-2.2B", "SmolVLM2-2.2B"),
    }


LLAVA_7B, LLAVA_13B, QWEN_7B = "LLaVA-1.5-7B", "LLaVA-1.5-13B", "Qwen2.5-VL-7B"


@pytest.mark.parametrize(
    ("system", "model", "variant", "benchmark", "metric", "before", "after"),
    [
        ("SeVa", LLAVA_7B, "d500", "POPE", "mean F1", "85.9", "86.8"),
        ("SeVa", LLAVA_7B, "d500", "SHR", "SHR", "36.7", "32.7"),
        ("SeVa", LLAVA_7B, "d500", "SQA-IMG", "accuracy", "66.8", "67.4"),
        ("STIC", LLAVA_7B, "with describe-and-respond", "SQA-IMG", "accuracy", "66.8", "69.5"),
        ("STIC", LLAVA_7B, "with describe-and-respond", "MathVista", "accuracy", "25.1", "27.2"),
        ("POVID", LLAVA_7B, "", "POPE", "mean F1", "85.90", "86.90"),
        ("POVID", LLAVA_7B, "", "SQA-IMG", "accuracy", "66.8", "68.8"),
        ("CSR", LLAVA_7B, "round 3", "POPE", "mean F1", "85.90", "87.01"),
        ("CSR", LLAVA_7B, "round 3", "SQA-IMG", "accuracy", "66.8", "70.7"),
        ("CSR", LLAVA_13B, "", "POPE", "mean F1", "85.90", "87.30"),
        ("CSR", LLAVA_13B, "", "SQA-IMG", "accuracy", "71.6", "75.1"),
        ("SIMA", LLAVA_7B, "", "SQA-IMG", "accuracy", "66.8", "69.1"),
        ("HA-DPO", LLAVA_7B, "", "SHR", "SHR", "36.7", "34.0"),
        ("EvoLMM", QWEN_7B, "", "ScienceQA", "accuracy", "88.30", "89.50"),
        ("EvoLMM", QWEN_7B, "", "MathVista", "accuracy", "68.46", "70.52"),
        ("MM-UPT", QWEN_7B, "", "MathVista", "accuracy", "66.3", "72.9"),
        ("M-STAR", "MiniCPM-V-2.5", "", "MathVista", "accuracy", "52.4", "59.5"),
    ],
)
def test_a_system_has_the_figures_before_and_after_it(
    system: str, model: str, variant: str, benchmark: str, metric: str, before: str, after: str
) -> None:
    figures = figures_of(system, model, benchmark, variant)
    assert figures == {(metric, "before", before), (metric, "after", after)}


@pytest.mark.parametrize(
    ("system", "model", "variant", "before", "after"),
    [
        ("POVID", LLAVA_7B, "", "66.8/12.7", "31.8/5.4"),
        ("CSR", LLAVA_7B, "round 3", "48.8/14.9", "21.0/6.0"),
        ("CSR", LLAVA_13B, "", "48.3/14.1", "28.0/7.3"),
        ("SIMA", LLAVA_7B, "", "50.8/11.7", "40.9/10.4"),
        ("self-rewarding", LLAVA_7B, "CSR's baseline", "", "24.0/6.7"),
    ],
)
def test_chair_comes_by_caption_and_by_mention(system: str, model: str, variant: str, before: str, after: str) -> None:
    expected = {
        (metric, stage, value)
        for stage, both in (("before", before), ("after", after))
        if both
        for metric, value in zip(("CHAIRs", "CHAIRi"), both.split("/"), strict=True)
    }
    assert figures_of(system, model, "CHAIR", variant) == expected


def test_figures_that_fit_no_other_shape_are_there() -> None:
    splits = {"random": ("89.60", "90.53"), "popular": ("86.20", "87.90"), "adversarial": ("79.76", "81.46")}
    assert figures_of("HA-DPO", LLAVA_7B, "POPE") == {
        (f"{split} accuracy", stage, value)
        for split, values in splits.items()
        for stage, value in zip(STAGES, values, strict=True)
    }
    assert figures_of("RLAIF-V", LLAVA_7B, "Object HalBench", "4 rounds") == {
        ("response", "before", "53.6"), ("mention", "before", "25.2"),
        ("response", "after", "8.5"), ("mention", "after", "4.3"),
    }  # fmt: skip
    by_a_user = {("response", "after", "24.13"), ("mention", "after", "11.73")}
    assert figures_of("RLAIF-V", LLAVA_7B, "Object HalBench", "one round, by a user") == by_a_user
    assert figures_of("self-rewarding", LLAVA_7B, "POPE", "CSR's baseline") == {("mean F1", "after", "86.88")}
    assert figures_of("self-rewarding", LLAVA_7B, "SQA-IMG", "CSR's baseline") == {("accuracy", "after", "69.6")}


def test_the_models_alone_are_there() -> None:
    expected = {
        "POPE": ("LLaVA-1.5-7B 85.9, LLaVA-1.5-13B 85.9, LLaVA-1.5-7B-lora 86.4, LLaVA-1.5-13B-lora 86.7, "
                 "LLaVA-1.6-vicuna-7B 86.5, LLaVA-1.6-mistral-7B 86.7"),
        "SQA-IMG": ("LLaVA-1.5-7B 66.8, LLaVA-1.5-13B 71.6, LLaVA-1.5-7B-lora 68.4, LLaVA-1.5-13B-lora 71.2, "
                    "LLaVA-1.6-vicuna-7B 70.1, LLaVA-1.6-mistral-7B 72.8"),
        "MathVista": ("LLaVA-1.5-7B 25.1, LLaVA-1.5-13B 27.6, LLaVA-1.6-vicuna-7B 34.6, LLaVA-1.6-mistral-7B 37.7, "
                      "Qwen2.5-VL-3B 62.3, Qwen2.5-VL-7B 68.2, Qwen2.5-VL-72B 74.8, SmolVLM-2.2B 43.9, "
                      "SmolVLM2-2.2B 51.5"),
        "ScienceQA": "SmolVLM-2.2B 84.5, SmolVLM2-2.2B 90",
    }  # fmt: skip
    figures = [figure for figure in read_tables() if not figure.system]
    for benchmark, text in expected.items():
        assert (
            ", ".join(f"{figure.model} {figure.value}" for figure in figures if figure.benchmark == benchmark) == text
        )


def test_every_figure_names_its_source() -> None:
    assert all(figure.source and figure.source_kind in SOURCE_KINDS for figure in read_tables())
    assert {
        figure.source_kind for figure in read_tables() if figure.system in ("POVID", "CSR", "SIMA", "self-rewarding")
    } == {"secondary notes"}


def test_a_metric_is_better_in_one_direction_in_every_table() -> None:
    directions = {(figure.benchmark, figure.metric, figure.better) for figure in read_tables()}
    assert len(directions) == len({(benchmark, metric) for benchmark, metric, _ in directions})


# Reading -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.csv")), ids=lambda path: path.name)
def test_a_shipped_table_is_written_as_it_was_read(path: Path) -> None:
    assert as_csv(read_table(path)).encode() == path.read_bytes()


words = st.text(st.characters(blacklist_categories=("Z", "C")), min_size=1, max_size=12)
some_figures = st.lists(
    st.builds(
        Reported, system=words, model=words, variant=words | st.just(""), stage=st.sampled_from(STAGES),
        benchmark=words, metric=words, value=st.decimals(0, 100, places=2), unit=st.sampled_from(UNITS),
        better=st.sampled_from(DIRECTIONS), source=words, source_kind=st.sampled_from(SOURCE_KINDS),
        note=words | st.just(""),
    ),
    max_size=6,
    unique_by=lambda figure: (*figure.claim, figure.stage),
)  # fmt: skip


@given(figures=some_figures)
def test_any_table_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, figures: list[Reported]) -> None:
    path = tmp_path_factory.mktemp("any") / "table.csv"
    path.write_text(as_csv(figures), encoding="utf-8", newline="")
    assert read_table(path) == tuple(figures)


LINE = "Hone,Tiny-1B,round 1,after,POPE,mean F1,86.8,%,higher,a README,README,"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (LINE.replace("86.8", "86,8"), "13 cells where 12 are wanted; quote cells that hold a comma"),
        (LINE.replace("86.8", "86.8 %"), "value must be a number from 0 to 100 as printed, found '86.8 %'"),
        (LINE.replace("86.8", "NaN"), "value must be a number from 0 to 100 as printed, found 'NaN'"),
        (LINE.replace("86.8", "868"), "value must be a number from 0 to 100 as printed, found '868'"),
        (LINE.replace("86.8", "８6.8"), "value must be a number from 0 to 100 as printed, found '８6.8'"),
        (LINE.replace("a README", ""), "source is blank; every figure needs one"),
        (LINE.replace("POPE", " POPE"), "benchmark is ' POPE'; take the extra spaces or line breaks away"),
        (LINE.replace("after", "later"), "stage must be one of before, after, found 'later'"),
        (LINE.replace(",README", ",blog"), f"source_kind must be one of {', '.join(SOURCE_KINDS)}, found 'blog'"),
        (LINE.removeprefix("Hone"), "a figure after something was done needs the system that did it; fill in system"),
        (LINE.replace("Tiny-1B", '"Tiny"1B'), "not valid CSV"),
    ],
)
def test_a_malformed_cell_is_named_by_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = table(tmp_path, LINE.replace("POPE", "CHAIR"), line)
    with pytest.raises(DataError) as error:
        read_table(path)
    assert str(error.value).startswith(f"{path}:3: {message}")
    assert "\n" not in str(error.value)


def test_a_figure_given_twice_is_named_with_the_first(tmp_path: Path) -> None:
    path = table(tmp_path, LINE, LINE.replace("86.8", "86.9"))
    with pytest.raises(DataError, match=r"table\.csv:3: this figure is already given at line 2; keep one of the two"):
        read_table(path)


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    for content, message in (
        (b"system,model\n", r"table\.csv:1: the columns must be system,model,variant,.* found 'system,model'"),
        (b"", r"table\.csv:1: the columns must be"),
        (b"\xff", r"table\.csv: not UTF-8 text"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_table(path)
    with pytest.raises(DataError, match=r"absent\.csv: cannot be read \(No such file or directory\)"):
        read_table(tmp_path / "absent.csv")


def test_before_and_after_meet_and_a_lone_figure_stays_alone() -> None:
    before, other = replace(ONE, stage="before"), replace(ONE, model="Tiny-2B")
    assert paired([before, other, ONE]) == [{"before": before, "after": ONE}, {"after": other}]


def test_a_benchmark_is_found_in_any_case_and_a_wrong_one_is_met_with_the_nearest() -> None:
    assert of_benchmark([ONE], "pope") == (ONE,)
    with pytest.raises(UsageError, match="no published figures on 'pop'; did you mean 'POPE'"):
        of_benchmark([ONE], "pop")


# Marks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "mark"),
    [("85.8", "below"), ("85.9", "inside"), ("86.00", "inside"), ("86.8", "inside"), ("86.81", "above")],
)
def test_the_ends_of_an_interval_belong_to_it(printed: str, mark: str) -> None:
    estimate = Estimate(value=0.86, low=0.859, high=0.868, n=9000)
    assert position(replace(ONE, value=Decimal(printed)).fraction, estimate) == mark


def test_without_an_interval_there_is_no_mark() -> None:
    assert position(0.86, Estimate(value=0.86, low=None, high=None, n=1)) == ""


def test_a_figure_measured_on_cropped_pictures_says_so_beside_published_ones(tmp_path: Path) -> None:
    for sight, noted in (("cropped", True), ("padded", False), (None, False)):
        about = {"model": {"digest_of": "weights", "pictures": sight}} if sight else {}
        folder = write_folder(tmp_path / str(sight), pope(ALL_RIGHT), entries=about)
        out = tmp_path / f"out-{sight}"
        build_board([folder], out, published=published([ONE]))
        for name in ("board.md", "board.html"):
            text = (out / name).read_text(encoding="utf-8")
            assert (f"{sight}, pictures cropped" in text) == noted
            assert ("cut them to their middle squares" in text) == noted


def test_a_figure_is_marked_beside_a_row_of_its_benchmark(tmp_path: Path) -> None:
    # All answered alike, about 495 pictures: 1 - z^2 / (495 + z^2) and 1.
    folder = write_folder(tmp_path / "mine", pope(ALL_RIGHT))
    figures = [ONE, replace(ONE, value=Decimal(100), model="Tiny-2B"), replace(ONE, metric="pooled F1")]
    build_board([folder], tmp_path / "out", published(figures))
    rows = beside(tmp_path / "out")
    assert [(row["published_model"], row["printed"], row["published"], row["place"]) for row in rows] == [
        ("Tiny-1B", "86.80", "0.868000", "below"),
        ("Tiny-2B", "100", "1.000000", "inside"),
    ]
    assert {(row["run"], row["metric"], row["n"], row["low"], row["high"]) for row in rows} == {
        ("mine", "macro/f1", "8910", "0.992299", "1.000000")
    }
    text = (tmp_path / "out/board.md").read_text(encoding="utf-8")
    assert "| Hone | Tiny-1B | round 1 | mean F1 ↑ | after | 86.80 % | 100.0 \\[99.2, 100.0\\] outside, below |" in text
    assert "| Hone | Tiny-2B | round 1 | mean F1 ↑ | after | 100 % | 100.0 \\[99.2, 100.0\\] inside |" in text


@pytest.mark.parametrize("pictos", ["pictos_pope", "pictos_chair", "pictos_captions", "pictos_scienceqa"])
def test_pictos_is_never_held_against_the_real_benchmarks(tmp_path: Path, pictos: str) -> None:
    assert pictos not in {yardstick.task for yardstick in all_yardsticks()}
    task = pope(ALL_RIGHT, task=pictos)
    board = build_board([write_run(tmp_path / "run", [[task]])], tmp_path / "out", published(read_tables()))
    assert board is not None
    assert board.sections == ()
    assert board.notes == (
        f"No published figures beside this board: none are on {pictos} "
        "(only on pope, chair, scienceqa, scienceqa_img, mathvista).",
    )
    assert beside(tmp_path / "out") == []
    assert board.notes[0] in (tmp_path / "out/board.html").read_text(encoding="utf-8")


PICTOS_POPE = "its pictures are not COCO val2014's, which the published figures are on"
CAPTIONS = [captions("cat !dog", "cup")]


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ([pope(ALL_RIGHT, pictures="pictos-")], f"pope: {PICTOS_POPE}"),
        ([pope([1, 0])], "pope: macro/f1 is over 2 answers, the published figures over 8910 or 9000"),
        ([replace(pope(ALL_RIGHT), info={"built": "built by Strop"})],
         "pope: its questions were built by Strop, and are not the published ones"),
        (CAPTIONS, "chair: its truth is not that of COCO 2014"),
        ([replace(task, profile="official/instances", info={"images_of_truth": 123_287}) for task in CAPTIONS],
         "chair: its truth leaves out what the human captions name"),
    ],
    ids=["other pictures", "a part", "own questions", "another truth", "half the truth"],
)  # fmt: skip
def test_results_of_the_right_name_on_other_questions_are_refused(
    tmp_path: Path, tasks: Sequence[TaskResult], reason: str
) -> None:
    board = build_board([write_folder(tmp_path / "mine", *tasks)], tmp_path / "out", published(read_tables()))
    assert board is not None
    assert board.sections == ()
    (note,) = board.notes
    assert note.startswith(f"No published figures beside this board: mine, {reason}")


def mathvista(extracted: int, profile: str) -> TaskResult:
    """A thousand right answers, with so many stored extractions."""
    return replace(
        yes_no([1] * 1000, task="mathvista"), info={"extracted": extracted} if extracted else {}, profile=profile
    )


NO_EXTRACTION = "0 of its 1000 answers have the extraction that published figures read"


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (mathvista(0, "strict"), f"mathvista: {NO_EXTRACTION}"),
        (mathvista(0, "official"), f"mathvista: {NO_EXTRACTION}"),
        (mathvista(0, "strict+my/judge"), f"mathvista: {NO_EXTRACTION}"),
        (
            mathvista(990, "strict"),
            "mathvista: its answers are read by strict, those of the published figures by official",
        ),
        (replace(pope(ALL_RIGHT), profile="vlmeval"), "pope: its answers are read by vlmeval, those of the published"),
    ],
    ids=["asked", "asked, by the old headline", "judged", "by another profile", "POPE by another profile"],
)
def test_a_figure_is_set_beside_none_that_was_read_otherwise(tmp_path: Path, task: TaskResult, reason: str) -> None:
    board = build_board([write_folder(tmp_path / "mine", task)], tmp_path / "out", published(read_tables()))
    assert board is not None
    assert board.sections == ()
    assert board.notes[0].startswith(f"No published figures beside this board: mine, {reason}")
    assert beside(tmp_path / "out") == []


def test_mathvista_read_from_stored_extractions_is_set_beside(tmp_path: Path) -> None:
    for profile in ("official", "official/integer_old"):
        folder = write_folder(tmp_path / profile, mathvista(998, profile))
        build_board([folder], tmp_path / "out", published(read_tables()))
        assert {row["published_metric"] for row in beside(tmp_path / "out")} == {"accuracy"}


def test_a_task_without_a_published_metric_is_told(tmp_path: Path) -> None:
    board = build_board(
        [write_folder(tmp_path / "mine", yes_no([1, 0], task="pope"))], tmp_path / "out", published(read_tables())
    )
    assert board is not None
    assert board.notes == ("No published figures beside this board: it measures none of the metrics that they are in.",)


def test_chair_on_the_truth_of_coco_2014_is_matched(tmp_path: Path) -> None:
    task = replace(captions("cat !dog", "cup"), info={"images_of_truth": 123_287})
    build_board([write_folder(tmp_path / "mine", task)], tmp_path / "out", published(read_tables()))
    assert {(row["metric"], row["published_metric"], row["better"]) for row in beside(tmp_path / "out")} == {
        ("CHAIRs", "CHAIRs", "lower"),
        ("CHAIRi", "CHAIRi", "lower"),
    }


def test_every_round_is_marked_and_a_pooled_row_is_not(tmp_path: Path) -> None:
    before = pope([1, 0] * 4455)
    runs = [write_run(tmp_path / str(seed), [[before], [pope(ALL_RIGHT)]], recipe={"seed": seed}) for seed in (0, 1)]
    board = build_board(runs, tmp_path / "out", published([ONE]))
    assert board is not None
    assert [(row["seed"], row["round"], row["place"]) for row in beside(tmp_path / "out")] == [
        ("0", "0", "above"), ("0", "1", "below"), ("1", "0", "above"), ("1", "1", "below"),
    ]  # fmt: skip
    _, section = board.sections
    assert section.table is not None
    assert section.table.heading[6:10] == (
        *("honed, seed 0, round 0", "honed, seed 0, round 1", "honed, seed 1, round 0", "honed, seed 1, round 1"),
    )
    assert "mean of 2 seeds" in (tmp_path / "out/board.md").read_text(encoding="utf-8")


def test_every_yardstick_has_published_figures() -> None:
    published = {(figure.benchmark, figure.metric) for figure in read_tables()}
    assert [
        yardstick for yardstick in all_yardsticks() if (yardstick.benchmark, yardstick.published) not in published
    ] == []


def test_a_board_without_the_option_is_as_it_was(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "mine", pope(ALL_RIGHT))
    assert build_board([folder], tmp_path / "out") is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("board.csv", "board.html", "board.md", "cost.csv"),
    ]
    assert "ublished" not in (tmp_path / "out/board.md").read_text(encoding="utf-8")


def test_what_a_table_or_a_folder_says_is_text_and_never_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>|`x`"
    folder = write_folder(tmp_path / "<img src=x>", pope(ALL_RIGHT))
    figure = replace(ONE, system=evil, model=evil, variant=evil, source=evil, note=evil)
    build_board([folder], tmp_path / "out", published([figure]))
    for name in ("board.html", "board.md"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert text.count("&lt;script&gt;alert") == 5
        assert "<script" not in text
        assert "<img" not in text


def test_the_published_llava_13b_answers_agree_with_the_figure_reported_for_them(
    conformance: Path, tmp_path: Path
) -> None:
    data, scored = conformance / "pope", tmp_path / "llava-13b"
    answers = ("--answers", data / "answers/llava-v1.5-13b.jsonl", "--questions", data / "llava_pope_test.jsonl")
    run("score", "pope", *answers, "--truth", data / "labels_2910", "--out", scored)
    output = run("board", scored, "--reported", "--out", tmp_path / "out")
    assert output.splitlines() == [
        f"written {tmp_path}/out/{name}" for name in ("board.md", "board.csv", "board.html", "cost.csv", "reported.csv")
    ]
    rows = {
        (row["system"], row["published_model"], row["stage"], row["metric"]): row for row in beside(tmp_path / "out")
    }
    alone = rows["", LLAVA_13B, "before", "macro/f1"]
    assert (alone["value"], alone["published"], alone["place"], alone["n"]) == (
        "0.859469",
        "0.859000",
        "inside",
        "8910",
    )
    # The interval is about [84.6, 87.2]: CSR's 87.30 lies above it, HA-DPO's adversarial 79.76 far below its own.
    assert rows["CSR", LLAVA_13B, "after", "macro/f1"]["place"] == "above"
    assert rows["CSR", LLAVA_7B, "after", "macro/f1"]["place"] == "inside"
    assert rows["HA-DPO", LLAVA_7B, "before", "adversarial/accuracy"]["place"] == "below"
    assert len(rows) == 21


# The command line ----------------------------------------------------------------------------------------------------


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_board_with_nothing_to_compare_says_so_in_one_line(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "mine", yes_no([1, 0], task="pictos_pope"))
    *_, last = run("board", folder, "--reported", "--out", tmp_path / "out").splitlines()
    assert last == (
        "No published figures beside this board: none are on pictos_pope "
        "(only on pope, chair, scienceqa, scienceqa_img, mathvista)."
    )
    report = json.loads(run("board", folder, "--reported", "--out", tmp_path / "out", "--json"))
    assert report["notes"] == [last]
    assert report["files"][-1] == str(tmp_path / "out/reported.csv")


def test_the_tables_are_listed_with_their_sources() -> None:
    report = json.loads(run("reported", "--benchmark", "shr", "--json"))
    assert [(figure["system"], figure["stage"], figure["value"]) for figure in report["figures"]] == [
        ("SeVa", "before", 36.7), ("SeVa", "after", 32.7), ("HA-DPO", "before", 36.7), ("HA-DPO", "after", 34.0),
    ]  # fmt: skip
    assert report["figures"][0]["source"] == "SeVa README (Kevinz-code/SeVa)"
    text = run("reported", "--benchmark", "SHR")
    assert all(word in text for word in ("SeVa", "36.7 %", "32.7 %", "Kevinz-code"))


def test_the_tables_are_written_as_pages_and_as_a_table(tmp_path: Path) -> None:
    run("reported", "--out", tmp_path)
    assert read_table(tmp_path / "published.csv") == read_tables()
    for name in ("published.md", "published.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert all(word in text for word in ("Object HalBench", "24.13 %", "RLAIF-V issue #28", "MM-UPT"))
    assert "http" not in text
