"""Claims about boards: every figure can be recomputed, nothing a model says is trusted, the same input gives the same
bytes."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, UsageError
from harness.stats import difference, pooled_difference, pooled_frontier
from leaderboards.build import assemble, build_board, read_entries
from leaderboards.render import csv_text
from tests.support.worlds import YES_NO, captions, write_folder, write_run, yes_no

BEFORE = [1, 0] * 30
AFTER = [1, 1, 1, 0] * 15


def lines_of(out: Path) -> list[dict[str, str]]:
    with (out / "board.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def line(out: Path, **text: str) -> dict[str, str]:
    (result,) = [item for item in lines_of(out) if all(item[key] == value for key, value in text.items())]
    return result


def test_figures_and_differences_are_those_of_the_rows(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[yes_no(BEFORE)], [yes_no(AFTER)]])
    build_board([run], tmp_path / "out")
    result = line(tmp_path / "out", round="1", metric="accuracy")
    accuracy = difference(yes_no(BEFORE).rows, yes_no(AFTER).rows, YES_NO)["accuracy"]
    assert (result["value"], result["seed_value"], result["difference"]) == ("0.750000", "0.500000", "0.250000")
    assert result["difference_low"] == f"{accuracy.low:.6f}"
    assert result["p"] == result["p_holm"] == f"{accuracy.p:.6f}"
    assert (result["run"], result["seed"], result["level"], result["verifier"]) == ("honed", "0", "L3", "encoder")
    assert result["weights"] == "10abc0000000"
    assert line(tmp_path / "out", round="0", metric="accuracy")["difference"] == ""
    text = (tmp_path / "out" / "board.md").read_text(encoding="utf-8")
    assert "75.0 \\[62.8, 84.2\\]" in text
    assert "+25.0 \\[+15.0, +36.7\\]" in text


def test_p_is_corrected_for_all_headline_differences_shown(tmp_path: Path) -> None:
    other = {"task": "other"}
    rounds = [[yes_no(BEFORE), yes_no(BEFORE, **other)]] + [[yes_no(AFTER), yes_no(AFTER, **other)]] * 2
    build_board([write_run(tmp_path / "run", rounds)], tmp_path / "out")
    result = line(tmp_path / "out", round="2", metric="accuracy", task="quiz")
    assert float(result["p_holm"]) == pytest.approx(4 * float(result["p"]), abs=3e-6)  # two tasks x two rounds
    assert line(tmp_path / "out", round="2", metric="unread", task="quiz")["p_holm"] == ""


def test_the_same_results_give_the_same_bytes_whatever_they_cost(tmp_path: Path) -> None:
    rounds = [[yes_no(BEFORE), captions("cat !dog", "cup")], [yes_no(AFTER), captions("cat dog", "cup !car")]]
    for name, seconds in (("one", 12.5), ("two", 99.0)):
        run = write_run(tmp_path / name / "run", rounds, seconds=seconds)
        build_board([run], tmp_path / name / "out")
    first, two = (tmp_path / name / "out" for name in ("one", "two"))
    assert (first / "board.csv").read_bytes() == (two / "board.csv").read_bytes()
    for page, cost in (("board.md", "## Cost"), ("board.html", '<h2 id="cost">')):
        parts = [(out / page).read_text(encoding="utf-8").split(cost) for out in (first, two)]
        assert parts[0][0] == parts[1][0]
        assert parts[0][1] != parts[1][1]
        assert "2026" not in parts[0][0]
    assert "<svg" in (first / "board.html").read_text(encoding="utf-8")


def test_cost_is_a_line_for_each_stage(tmp_path: Path) -> None:
    build_board([write_run(tmp_path / "run", [[yes_no(BEFORE)]])], tmp_path / "out")
    assert (tmp_path / "out" / "cost.csv").read_text(encoding="utf-8").splitlines() == [
        "run,seed,stage,seconds,generated_tokens,peak_memory_mb,finished",
        "honed,0,round-0/collect,12.5,100,900.0,2026-01-02T03:04:05Z",
        "honed,0,round-0/eval,12.5,100,900.0,2026-01-02T03:04:05Z",
    ]


def test_costs_stand_in_their_order_and_only_where_a_stage_recorded_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[yes_no(BEFORE)]])
    cost = {"peak_device_memory_mb": 5, "zebras": 1, "forward_tokens": 7, "seconds": 2, "verifier_passes": 3}
    (run / "ledger.jsonl").write_text(json.dumps({"stage": "round-0/eval", "cost": cost}) + "\n", encoding="utf-8")
    build_board([run], tmp_path / "out")
    assert (tmp_path / "out" / "cost.csv").read_text(encoding="utf-8").splitlines() == [
        "run,seed,stage,seconds,forward_tokens,verifier_passes,peak_device_memory_mb,zebras,finished",
        "honed,0,round-0/eval,2,7,3,5,1,",
    ]


def test_what_a_model_is_called_is_text_and_never_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>|`x`\n# $\\frac$"
    rounds = [[yes_no(BEFORE)], [yes_no(AFTER)]]
    run = write_run(tmp_path / "run", rounds, model=evil, recipe={"name": evil, "verify": evil, "level": evil})
    build_board([run], tmp_path / "out")
    for name in ("board.html", "board.md"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert "<script" not in text
        assert "&lt;script&gt;" in text
    table = text[text.index("| run") :].split("\n\n")[0].splitlines()
    assert {len(re.findall(r"(?<!\\)\|", item)) for item in table} == {10}  # no cell was split
    assert "\n# $" not in text


def test_the_page_needs_no_network_and_no_id_occurs_twice(tmp_path: Path) -> None:
    rounds = [[yes_no(BEFORE), yes_no(BEFORE, task="other")], [yes_no(AFTER), yes_no(AFTER, task="other")]]
    build_board([write_run(tmp_path / "run", rounds)], tmp_path / "out")
    page = (tmp_path / "out" / "board.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', page)) <= set(ids)
    assert not re.findall(r'(?:src|href)="(?!#)|@import|url\((?!#)', page)
    assert "prefers-color-scheme: dark" in page and "currentColor" in page


def test_a_round_of_before_its_parent_was_made_again_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[yes_no(BEFORE)], [yes_no(AFTER)]])
    for parent, messages in (("00abc".ljust(64, "0"), False), ("0ld".ljust(64, "0"), True)):
        write_folder(run / "round-1" / "eval", yes_no(AFTER), digest="10abc", parent=parent)
        build_board([run], tmp_path / "out")
        assert ("trained from 0ld000000000, not from" in (tmp_path / "out" / "board.md").read_text()) is messages


def test_a_run_of_one_seed_says_that_it_is_one(tmp_path: Path) -> None:
    rounds = [[yes_no(BEFORE)], [yes_no(AFTER)]]
    item = write_run(tmp_path / "a", rounds)
    build_board([item], tmp_path / "out")
    assert "honed: one training seed (0)" in (tmp_path / "out" / "board.md").read_text(encoding="utf-8")
    build_board([item, write_run(tmp_path / "b", rounds, recipe={"seed": 1})], tmp_path / "out")
    assert "one training seed" not in (tmp_path / "out" / "board.md").read_text(encoding="utf-8")


def test_several_seeds_of_a_recipe_get_a_pooled_row(tmp_path: Path) -> None:
    ends = [AFTER, [1] * 60, BEFORE]
    runs = [
        write_run(tmp_path / str(seed), [[yes_no(BEFORE)], [yes_no(end)]], recipe={"seed": seed})
        for seed, end in enumerate(ends)
    ]
    build_board(runs, tmp_path / "out")
    result = line(tmp_path / "out", pooled="1", metric="accuracy")
    rows = [(yes_no(BEFORE).rows, yes_no(end).rows) for end in ends]
    accuracy = pooled_difference(rows, YES_NO)["accuracy"]
    assert (result["seed"], result["difference"], result["value"]) == ("0 1 2", "0.250000", "0.750000")
    assert (result["difference_low"], result["fixed_low"]) == (f"{accuracy.low:.6f}", f"{accuracy.fixed_low:.6f}")
    text = (tmp_path / "out" / "board.md").read_text(encoding="utf-8")
    assert "honed (mean of 3 seeds)" in text
    assert (result["ratio"], result["p"]) == (f"{accuracy.ratio:.6f}", "0.250000")
    assert f"3 runs, ratio {accuracy.ratio:.1f} p 0.25, not testable" in text
    assert "1 of 1 pooled headline differences are not testable: 3 training runs prove no p below 0.25" in text


def test_a_pooled_row_too_says_what_is_left_at_equal_recall(tmp_path: Path) -> None:
    before, ends = captions(*["a !b", "a"] * 5), [captions(*["a", "a !b"] * 5), captions(*["a", "a"] * 5)]
    runs = [write_run(tmp_path / str(seed), [[before], [end]], recipe={"seed": seed}) for seed, end in enumerate(ends)]
    build_board(runs, tmp_path / "out")
    result = line(tmp_path / "out", pooled="1", metric="frontier/CHAIRi")
    axes = (before.metrics[1], before.metrics[2])
    expected = pooled_frontier([(before.rows, end.rows) for end in ends], *axes)["frontier/CHAIRi"]
    assert (result["difference"], result["difference_low"]) == (f"{expected.value:.6f}", f"{expected.low:.6f}")


def test_pooling_recipes_that_differ_in_more_than_the_seed_is_said(tmp_path: Path) -> None:
    rounds = [[yes_no(BEFORE)], [yes_no(AFTER)]]
    runs = [write_run(tmp_path / str(seed), rounds, recipe={"seed": seed, "level": f"L{seed}"}) for seed in (1, 2)]
    build_board(runs, tmp_path / "out")
    assert "more than the seed: level" in (tmp_path / "out" / "board.md").read_text(encoding="utf-8")


def test_captions_are_shown_with_recall_and_length_and_at_equal_recall(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[captions("cat !dog cup", "cup !car")], [captions("cat", "cup")]])
    build_board([run], tmp_path / "out")
    text = (tmp_path / "out" / "board.md").read_text(encoding="utf-8")
    section = text[text.index("## chair") :]
    for heading in ("CHAIRi ↓", "CHAIRs ↓", "recall ↑", "words |", "frontier/CHAIRi ↓", "frontier/AP ↑"):
        assert f"| {heading}" in section
    matched = line(tmp_path / "out", round="1", metric="frontier/CHAIRi")
    # Round 0 less all but its surest words has recall 2/6 and nothing wrong, as round 1: the gain was silence.
    assert (matched["seed_value"], matched["value"], matched["difference"]) == ("0.000000",) * 3
    assert line(tmp_path / "out", round="1", metric="CHAIRi")["difference"] == "-0.400000"


def test_folders_of_one_name_are_told_apart_and_one_named_twice_is_one(tmp_path: Path) -> None:
    folders = [write_folder(tmp_path / name / "eval", yes_no(BEFORE)) for name in ("one", "two")]
    entries = read_entries([*folders, folders[0]])
    assert [entry.name for entry in entries] == ["eval (one/eval)", "eval (two/eval)"]


def test_a_results_folder_is_a_row_of_its_own(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "published", yes_no(BEFORE), model="paper")
    build_board([folder], tmp_path / "out")
    result = line(tmp_path / "out", metric="accuracy")
    assert (result["run"], result["round"], result["model"], result["value"]) == ("published", "", "paper", "0.500000")


def test_results_marked_by_another_profile_do_not_share_a_column(tmp_path: Path) -> None:
    folders = [
        write_folder(tmp_path / profile, yes_no(BEFORE, profile=profile)) for profile in ("official", "lmms-eval")
    ]
    build_board(folders, tmp_path / "out")
    text = (tmp_path / "out" / "board.md").read_text(encoding="utf-8")
    assert "## quiz (version 1, official, test, accuracy)" in text
    assert "## quiz (version 1, lmms-eval, test, accuracy)" in text


def test_questions_built_here_do_not_share_a_column_with_the_published_ones(tmp_path: Path) -> None:
    folders = [
        write_folder(tmp_path / str(number), yes_no(BEFORE, info=info))
        for number, info in enumerate(({}, {"built": "built by Strop"}))
    ]
    build_board(folders, tmp_path / "out")
    text = (tmp_path / "out" / "board.md").read_text(encoding="utf-8")
    assert "## quiz\n" in text
    assert "## quiz (built by Strop)\n" in text


def test_samples_that_one_round_did_not_answer_are_noted(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[yes_no(BEFORE)], [yes_no(AFTER, first=3)]])
    build_board([run], tmp_path / "out")
    assert "3 samples that only round 0 answered and 3" in (tmp_path / "out" / "board.md").read_text(encoding="utf-8")


def test_a_folder_that_is_no_run_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty is neither a run nor a results folder .*strop eval --out"):
        build_board([tmp_path / "empty"], tmp_path / "out")
    (tmp_path / "empty" / "recipe.yaml").write_text("name: x", encoding="utf-8")
    with pytest.raises(DataError, match="without a finished evaluation"):
        build_board([tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(UsageError, match="no folder"):
        build_board([], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[yes_no(BEFORE)]])
    (run / "recipe.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(DataError, match=r"recipe\.yaml: not valid YAML"):
        build_board([run], tmp_path / "out")


@pytest.mark.parametrize(
    ("measured", "told"),
    [
        ({}, "never measured (`strop judges`)"),
        (
            {"measured": {"consistent": {"value": 0.5}, "equal though not": {"value": 0.25}, "equal": {"value": None}}},
            "where the verdict is known: consistent 50.0 %, equal though not 25.0 %",
        ),
    ],
)
def test_a_row_that_a_judge_marked_tells_which_and_how_far_it_is_believed(
    tmp_path: Path, measured: dict[str, Any], told: str
) -> None:
    result = yes_no([1, 0, 1])
    judged = dataclasses.replace(result, info={"judge": {"id": "gpt@1", **measured}})
    write_folder(tmp_path / "mine", judged)
    build_board([tmp_path / "mine"], tmp_path / "board")
    board = (tmp_path / "board/board.md").read_text(encoding="utf-8").replace("\\", "")
    assert f"quiz is marked by judge gpt@1, {told}" in board


def test_a_round_that_a_judge_verified_tells_which_and_how_far_it_is_believed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[yes_no(BEFORE)], [yes_no(BEFORE)]])
    line = {"stage": "round-1/verify", "facts": {"judge_judge": "peer@1", "judge_form": "pairwise", "judge_yes": 3}}
    with (run / "ledger.jsonl").open("a") as ledger:
        ledger.write(json.dumps(line) + "\n")
    figures = {("peer@1", "pairwise"): {"shares": {"read": {"value": 0.25}, "better": {"value": 0.5}}}}
    board = assemble(read_entries([run]), lambda judge, form: figures.get((judge, form)))
    words = "peer@1 (pairwise), where the verdict is known: read 25.0 %, better 50.0 %"
    assert f"honed, round 1: answers are verified by judge {words}" in board.notes
    rows = {row["round"]: row for row in csv.DictReader(csv_text(board).splitlines())}
    assert (rows["1"]["verified_by"], rows["0"]["verified_by"], rows["1"]["marked_by"]) == (words, "", "")
    unknown = "honed, round 1: answers are verified by judge peer@1 (pairwise), never measured (`strop judges`)"
    assert unknown in assemble(read_entries([run])).notes
