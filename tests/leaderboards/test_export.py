"""Figures in the formats of other tools: exact text, typed columns, and files that those tools themselves read."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub._eval_results import parse_eval_result_entries
from lm_eval.utils import (
    get_file_datetime,
    get_file_task_name,
    get_results_filenames,
    get_sample_results_filenames,
    make_table,
    sanitize_model_name,
)
from pyarrow import parquet

from harness.errors import UsageError
from harness.results import TaskResult
from harness.stats import estimate
from leaderboards.build import build_board
from leaderboards.export import export
from leaderboards.formats.kinds import Question
from leaderboards.origin import find_origin
from tests.support.shell import Strop
from tests.support.worlds import captions, write_folder, write_run, yes_no

BEFORE, AFTER = [1, 0] * 30, [1, 1, 1, 0] * 15


def _no_questions(result: TaskResult) -> Mapping[str, Question]:
    return {}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose round 1 answers more questions, and says less."""
    long, short = captions(*["cat dog !car"] * 8, "cup"), captions(*["cat dog"] * 8, "cup")
    return write_run(tmp_path / "run", [[yes_no(BEFORE), long], [yes_no(AFTER), short]])


def _written(run: Path, *formats: str) -> dict[str, str]:
    out = run.parent / "out"
    files = export([run], formats, out, _no_questions)
    return {str(path.relative_to(out)): path.read_text(encoding="utf-8") for path in files}


# A paper and a README -------------------------------------------------------------------------------------------------


def _ends(task: TaskResult, form: str) -> list[str]:
    """The intervals of its metrics in percent."""
    figures = estimate(task.rows, task.metrics)
    return [form.format(*(f"{100 * (end or 0):.1f}" for end in (entry.low, entry.high))) for entry in figures.values()]


def test_a_papers_table_is_this_text(run: Path) -> None:
    text = _written(run, "latex")["tables.tex"]
    first, quiz, chair = text.split("\n\n")
    assert first == r"% in the preamble: \usepackage{booktabs}"
    (fifty, unread), (seventy_five, _) = (_ends(yes_no(marks), "_{{{}}}^{{{}}}") for marks in (BEFORE, AFTER))
    zero = rf"$0.0{unread}$ \\"
    assert quiz.splitlines() == [
        r"\begin{table}",
        r"  \centering",
        r"  \caption{quiz: version 1, profile official, split test; rates in percent. Small, above and below, 95 \% "
        r"intervals over pictures. $\Delta$ is the difference to round 0 of the same run, paired by sample; bold where "
        r"p \textless{} 0.05 after Holm's correction for all headline differences of the board.}",
        r"  \begin{tabular}{lllrrrr}",
        r"    \toprule",
        r"    run & seed & round & n & accuracy $\uparrow$ & $\Delta$ & unread $\downarrow$ \\",
        r"    \midrule",
        rf"    honed & 0 & 0 & 60 & $50.0{fifty}$ & -- & {zero}",
        rf"    honed & 0 & 1 & 60 & $75.0{seventy_five}$ & "
        rf"$\mathbf{{+25.0}}_{{+15.0}}^{{+36.7}}$ & {zero}",
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    heading = next(line for line in chair.splitlines() if line.startswith("    run"))
    assert heading == (
        r"    run & seed & round & n & CHAIRi $\downarrow$ & $\Delta$ & CHAIRs $\downarrow$ & "
        r"frontier/CHAIRi $\downarrow$ & recall $\uparrow$ & frontier/AP $\uparrow$ & words \\"
    )


def test_a_difference_that_does_not_hold_is_not_bold(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[yes_no(BEFORE)], [yes_no([1, *BEFORE[1:]])], [yes_no([1, 1, *BEFORE[2:]])]])
    text = _written(run, "latex", "markdown")
    assert "mathbf" not in text["tables.tex"]
    assert "+1.7" in text["tables.tex"]
    assert "**" not in text["tables.md"]


def test_a_run_may_be_called_anything(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[yes_no(BEFORE)]], recipe={"name": "[a_b] 50%\n{x} \\input{y} <s> & ~^$#|"})
    files = _written(run, "latex", "markdown")
    assert (
        r"    {[}a\_b] 50\% \{x\} \textbackslash{}input\{y\} \textless{}s\textgreater{} \& "
        r"\textasciitilde{}\textasciicircum{}\$\#\textbar{} & 0 & 0 & 60 &"
    ) in files["tables.tex"]
    assert r"| \[a\_b\] 50% {x} \\input{y} &lt;s&gt; &amp; ~^$#\| | 0 | 0 |" in files["tables.md"]


def test_a_readmes_table_is_this_text(run: Path) -> None:
    quiz = _written(run, "markdown")["tables.md"].split("\n\n")[0]
    (fifty, unread), (seventy_five, _) = (_ends(yes_no(marks), r"<sub>\[{}, {}\]</sub>") for marks in (BEFORE, AFTER))
    zero = f"0.0 {unread} |"
    assert quiz.splitlines() == [
        "| run | seed | round | n | accuracy ↑ | Δ | unread ↓ |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        rf"| honed | 0 | 0 | 60 | 50.0 {fifty} | – | {zero}",
        rf"| honed | 0 | 1 | 60 | 75.0 {seventy_five} | "
        rf"**+25.0** <sub>\[+15.0, +36.7\]</sub> | {zero}",
    ]


def test_pooled_rows_say_of_how_many_seeds_and_two_are_never_in_bold(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"run{seed}", [[yes_no(BEFORE)], [yes_no(AFTER)]], recipe={"seed": seed})
        for seed in range(6)
    ]
    (path,) = export(runs[:2], ["markdown"], tmp_path / "out", _no_questions)
    assert "| honed (mean of 2 seeds) | 0, 1 | 1 | 120 | 75.0 | +25.0 <sub>" in path.read_text(encoding="utf-8")
    (six,) = export(runs, ["markdown"], tmp_path / "six", _no_questions)
    assert "| honed (mean of 6 seeds) | 0, 1, 2, 3, 4, 5 | 1 | 360 | 75.0 | **+25.0** <sub>" in six.read_text("utf-8")
    assert "over pictures, of means over training seeds and pictures. Δ" in path.read_text(encoding="utf-8")


# Data frames ----------------------------------------------------------------------------------------------------------


def _with_source(folder: Path, **provenance: Any) -> Path:
    path = folder / "results.json"
    content = json.loads(path.read_text())
    content.pop("check", None)
    content["parent"] = "f" * 64
    content["provenance"] |= provenance
    content["tasks"][0]["data"] = "d" * 64
    path.write_text(json.dumps(content))
    return folder


def test_a_parquet_file_has_typed_columns_and_the_source_of_every_row(run: Path) -> None:
    machine = {"cpu": "Z80", "gpus": []}
    _with_source(run / "round-1/eval", hardware=machine, versions={"torch": "2.15", "x": None}, dirty=True,
                 command=["strop", "eval", "--out", "a b"])  # fmt: skip
    (path,) = export([run], ["parquet"], run.parent / "out", _no_questions)
    table = parquet.read_table(io.BytesIO(path.read_bytes()))
    types = {field.name: str(field.type) for field in table.schema}
    assert (types["round"], types["value"], types["pooled"]) == ("int32", "double", "bool")
    (result,) = [
        row for row in table.to_pylist() if (row["round"], row["task"], row["metric"]) == (1, "quiz", "accuracy")
    ]
    assert (result["run"], result["seeds"], result["headline"], result["n"]) == ("honed", ["0"], True, 60)
    assert (result["value"], result["seed_value"], result["difference"]) == (0.75, 0.5, 0.25)
    assert result["p_holm"] >= result["p"] > 0
    assert (result["weights"], result["parent"], result["data"]) == ("10abc".ljust(64, "0"), "f" * 64, "d" * 64)
    assert (result["commit"], result["dirty"], result["packages"]) == ("c0ffee" * 7, True, [("torch", "2.15")])
    assert (json.loads(result["hardware"]), result["command"]) == (machine, "strop eval --out 'a b'")
    assert len(result["recipe"]) == 64


def test_the_boards_csv_names_parent_recipe_and_data(run: Path) -> None:
    _with_source(run / "round-1/eval")
    build_board([run], run.parent / "board")
    (path,) = export([run], ["csv"], run.parent / "out", _no_questions)
    assert path.read_bytes() == (run.parent / "board/board.csv").read_bytes()
    heading, *lines = path.read_text().splitlines()
    assert heading.endswith(",parent,recipe,data,verified_by,marked_by")
    recipe = next(row["recipe"] for row in _parquet(run))[:12]
    (line,) = [line for line in lines if ",accuracy," in line and line.startswith("honed,0,1,")]
    assert line.endswith(f",{'f' * 12},{recipe},{'d' * 12},,")


def _parquet(run: Path) -> list[dict[str, Any]]:
    (path,) = export([run], ["parquet"], run.parent / "out", _no_questions)
    rows: list[dict[str, Any]] = parquet.read_table(io.BytesIO(path.read_bytes())).to_pylist()
    return rows


# lm-eval --------------------------------------------------------------------------------------------------------------


def test_lm_eval_finds_and_prints_our_figures(tmp_path: Path) -> None:
    quiz = replace(yes_no(BEFORE), sampling={"max_tokens": 8})
    folder = _with_source(write_folder(tmp_path / "x", quiz, captions("cat !dog", "cup"), model="my/model"),
                          finished="2026-01-02T03:04:05+00:00")  # fmt: skip
    files = export([folder], ["lm-eval"], tmp_path / "out", lambda _: {"q0": ("Is it?", "yes")})
    names = [str(path) for path in files]
    (results,) = get_results_filenames(names)
    samples = get_sample_results_filenames(names)
    name = "my/model@d10000000000"
    assert Path(results).parent == tmp_path / "out/lm-eval" / sanitize_model_name(name)
    assert [get_file_task_name(Path(sample).name) for sample in samples] == ["quiz", "chair"]
    assert get_file_datetime(Path(samples[0]).name) == "2026-01-02T03-04-05"

    content = json.loads(Path(results).read_text())
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in make_table(content).splitlines()]
    assert table[0] == ["Tasks", "Version", "Filter", "n-shot", "Metric", "", "Value", "", "Stderr"]
    (row,) = [line for line in table if line[4] == "accuracy"]
    estimate = find_origin(str(folder)).rounds[None]["tasks"][0]["metrics"]["accuracy"]
    error = (estimate["high"] - estimate["low"]) / 3.92
    assert row == ["quiz", "1", "official", "0", "accuracy", "↑", "0.5000", "±", f"{error:.4f}"]
    assert [line[5] for line in table if line[4] in ("CHAIRi", "words")] == ["↓", ""]
    assert (content["model_name"], content["git_hash"], content["versions"]["quiz"]) == (name, "c0ffeec", 1)
    assert content["strop"]["estimates"]["quiz"]["accuracy"] == estimate

    first, second, *_ = [json.loads(line) for line in Path(samples[0]).read_text().splitlines()]
    assert (first["doc"]["id"], first["target"], first["filtered_resps"], first["value"]) == ("q0", "yes", ["yes"], 1)
    assert first["arguments"] == {"gen_args_0": {"arg_0": "Is it?", "arg_1": {"max_tokens": 8}}}
    assert (second["doc_id"], second["target"], second["prompt_hash"] != first["prompt_hash"]) == (1, "", True)

    caption = json.loads(Path(samples[1]).read_text().splitlines()[0])
    assert json.loads(caption["parsed"]) == [{"name": "cat", "right": True}, {"name": "dog", "right": False}]
    read = [datasets.Dataset.from_json(str(sample), cache_dir=str(tmp_path / "cache")) for sample in samples]
    assert [len(item) for item in read] == [60, 2]


def test_results_that_would_take_each_others_place_are_refused(tmp_path: Path) -> None:
    """Answers marked again have the model and the time of the first marking, which are all that lm-eval tells by."""
    strict = yes_no(AFTER, profile="strict")
    folders = [write_folder(tmp_path / "one", yes_no(BEFORE)), write_folder(tmp_path / "two", strict)]
    for folder in folders:
        content = json.loads((folder / "results.json").read_text())
        del content["check"]
        content["provenance"]["finished"] = "2026-01-02T03:04:05+00:00"
        (folder / "results.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"one and .*two are of one model and one time"):
        export(folders, ["lm-eval"], tmp_path / "out", _no_questions)
    assert not (tmp_path / "out").exists()
    assert len(export(folders[:1], ["lm-eval"], tmp_path / "out", _no_questions)) == 2


def test_the_keys_are_those_that_lm_eval_writes(tmp_path: Path) -> None:
    from lm_eval.result_schema import EvalResults, SampleResult

    *samples, results = export([write_folder(tmp_path / "x", yes_no(BEFORE))], ["lm-eval"], tmp_path, _no_questions)
    content = json.loads(results.read_text())
    assert set(content) - {"strop"} <= set(EvalResults.__annotations__)
    assert {"results", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "config"} <= set(content)
    line = json.loads(samples[0].read_text().splitlines()[0])
    assert set(SampleResult.__annotations__) <= set(line)


# The hub --------------------------------------------------------------------------------------------------------------


def test_a_model_card_is_read_back_by_the_hubs_own_library(tmp_path: Path) -> None:
    quiz = replace(yes_no(AFTER), info={"questions": "owner/quiz@4db12766"})
    folder = write_folder(tmp_path / "x", quiz, captions("cat !dog", "cup"), model="honed: *round* 1")
    card, entries = export([folder], ["model-card"], tmp_path / "out", _no_questions)
    read = ModelCard(card.read_text(encoding="utf-8"))
    assert read.data.model_name == "honed: *round* 1"
    result = {eval_result.metric_type: eval_result for eval_result in read.data.eval_results}
    assert list(result) == ["accuracy", "unread", "CHAIRi", "CHAIRs", "recall", "words"]
    accuracy = result["accuracy"]
    assert (accuracy.metric_value, accuracy.metric_name) == (75.0, "accuracy in %, profile official")
    assert (accuracy.dataset_type, accuracy.dataset_revision) == ("owner/quiz", "4db12766")
    assert (accuracy.dataset_split, accuracy.metric_args["n"]) == ("test", 60)
    assert (result["CHAIRi"].dataset_type, result["words"].metric_value) == ("chair", 1.5)
    assert "| accuracy ↑ | 75.0 | \\[" in read.text

    (entry,) = parse_eval_result_entries(yaml.safe_load(entries.read_text()))
    assert entries.relative_to(tmp_path / "out").as_posix() == "model-card/x/.eval_results/quiz.yaml"
    assert (entry.dataset_id, entry.dataset_revision, entry.value) == ("owner/quiz", "4db12766", 75.0)
    assert str(entry.notes).startswith("accuracy, profile official, 95 % interval [")


def test_a_card_says_what_the_digest_is_of_and_needs_no_provenance(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", yes_no(BEFORE))
    content = json.loads((folder / "results.json").read_text())
    del content["check"]
    for entries, words in (({}, "Strop, on the weights with"), ({"answers": "x"}, "Strop, on the answers with")):
        (folder / "results.json").write_text(json.dumps({**content, "provenance": entries}))
        (card,) = export([folder], ["model-card"], tmp_path / "out", _no_questions)
        assert words in card.read_text()


def test_folders_that_are_called_nearly_alike_have_a_card_each(tmp_path: Path) -> None:
    folders = [write_folder(tmp_path / name, yes_no(marks)) for name, marks in (("a b", BEFORE), ("a-b", AFTER))]
    first, two = export(folders, ["model-card"], tmp_path / "out", _no_questions)
    assert "| accuracy ↑ | 50.0 |" in first.read_text() and "| accuracy ↑ | 75.0 |" in two.read_text()


def test_every_round_has_a_card_of_its_own(run: Path) -> None:
    assert list(_written(run, "model-card")) == [
        f"model-card/honed-seed-0-round-{number}/README.md" for number in (0, 1)
    ]


# The command ----------------------------------------------------------------------------------------------------------


def test_a_format_that_there_is_not_is_named_before_anything_is_written(strop: Strop, run: Path) -> None:
    message = strop("export", run, "--to", "latex,word", "--out", "out").error()
    assert message == ("there is no format 'word'; there are markdown, latex, csv, parquet, lm-eval, model-card")
    with pytest.raises(UsageError, match="no format is named"):
        export([run], [], run.parent / "out", _no_questions)
    assert not (run.parent / "out").exists()


def test_the_command_writes_every_format_and_tells_the_files(strop: Strop, run: Path) -> None:
    ran = strop("export", run, "--to", "markdown,latex,csv,parquet,lm-eval,model-card", "--out", "out", "--json")
    assert ran.code == 0, ran.err
    files = [Path(name) for name in json.loads(ran.out)["files"]]
    assert all(path.is_file() for path in files)
    assert [path.name for path in files[:4]] == ["tables.md", "tables.tex", "board.csv", "board.parquet"]
    assert len(files) == 4 + 2 * (3 + 1)
    assert "note: quiz is written without its questions (no task is called 'quiz'" in ran.err
