"""Where a figure comes from is shown, two of them are told apart, and what was done is done again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, StropError, UsageError
from leaderboards.origin import described, find_origin, unlike, unlike_figures
from tests.support.pope import write_answers, write_data
from tests.support.shell import Strop
from tests.support.tiny import save_tiny
from tests.support.worlds import write_folder, write_run, yes_no

pytestmark = pytest.mark.slow

MARKS = [1, 0] * 10


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "runs/honed", [[yes_no(MARKS)], [yes_no([1] * 20)]])


# What an id leads to --------------------------------------------------------------------------------------------------


def test_an_id_is_a_folder_a_round_of_a_run_or_the_first_digits_of_weights(tmp_path: Path, run: Path) -> None:
    runs = tmp_path / "runs"
    alone = write_folder(runs / "alone", yes_no(MARKS), digest="abcdef")
    assert list(find_origin(str(run)).rounds) == [0, 1]
    by_round, by_weights = find_origin(f"{run}:1"), find_origin("10abc0", runs)
    assert by_round == by_weights
    assert (by_round.folder, by_round.run, list(by_round.rounds)) == (run / "round-1/eval", run, [1])
    assert find_origin("abcdef0", runs) == find_origin(str(alone))
    assert find_origin(str(alone)).run is None


@pytest.mark.parametrize(
    ("id", "error", "message"),
    [
        (
            "nowhere",
            UsageError,
            "nowhere: no such folder; name a results folder, a run, a round of a run (runs/demo:1)",
        ),
        ("", UsageError, "an ID is empty; name a results folder, a run"),
        ("123456", UsageError, "123456: no evaluation below {runs} or here is of such weights; name another --runs"),
        ("{runs}", DataError, "{runs} is neither a run nor a results folder"),
        ("{runs}/honed:7", DataError, "{runs}/honed has no finished evaluation of round 7 (it has 0, 1)"),
        (
            "00abc0",
            UsageError,
            "00abc0: 2 evaluations below {runs} or here are of such weights; name one: {runs}/honed/round-0/eval",
        ),
    ],
)
def test_an_id_that_leads_nowhere_or_to_several_is_an_error(
    tmp_path: Path, run: Path, id: str, error: type[StropError], message: str
) -> None:
    runs = tmp_path / "runs"
    write_run(runs / "other", [[yes_no(MARKS)]])
    with pytest.raises(error, match="^" + re.escape(message.format(runs=runs))):
        find_origin(id.format(runs=runs), runs)


# What is shown --------------------------------------------------------------------------------------------------------


def test_of_a_run_all_is_told_and_a_stages_provenance_only_where_it_is_another(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    for number, line in enumerate(lines):
        line["provenance"] = {"commit": "c0ffee" * 7, **({"dirty": True} if number == 3 else {})}
    (run / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    tree = described(find_origin(str(run)))
    assert list(tree) == ["recipe", "recipe_digest", "provenance", "rounds", "stages"]
    assert tree["recipe"]["seed"] == 0
    assert re.fullmatch("[0-9a-f]{64}", tree["recipe_digest"])
    assert tree["rounds"]["1"]["weights"] == "10abc".ljust(64, "0")
    assert tree["rounds"]["1"]["tasks"]["quiz"] == {
        "version": 1, "profile": "official", "split": "test", "n": 20, "data": None, "sampling": {}, "info": {},
    }  # fmt: skip
    assert list(tree["stages"]) == ["round-0/collect", "round-0/eval", "round-1/collect", "round-1/eval"]
    assert [stage.get("provenance") for stage in tree["stages"].values()] == [None, None, None, {"dirty": True}]
    assert list(described(find_origin(f"{run}:1"))["stages"]) == ["round-1/collect", "round-1/eval"]


def test_a_secret_in_a_recipe_is_not_shown(tmp_path: Path) -> None:
    recipe = {"optimise": {"trl": {"hub_token": "abc", "beta": 0.1}}}
    run = write_run(tmp_path / "run", [[yes_no(MARKS)]], recipe=recipe)
    assert described(find_origin(str(run)))["recipe"]["optimise"]["trl"] == {"hub_token": "***", "beta": 0.1}


def test_show_prints_a_tree_or_one_object(strop: Strop, run: Path) -> None:
    ran = strop("show", f"{run}:1")
    assert ran.code == 0, ran.err
    assert "commit: c0ffeec0ffee" in ran.out
    assert "weights: 10abc00000" in ran.out
    assert json.loads(strop("show", f"{run}:1", "--json").out) == described(find_origin(f"{run}:1"))
    assert "nowhere: no such folder" in strop("show", "nowhere").error()


# What differs ---------------------------------------------------------------------------------------------------------


def test_only_what_differs_is_told(tmp_path: Path, run: Path) -> None:
    other = write_run(tmp_path / "other", [[yes_no(MARKS, version=2)], [yes_no([1] * 20)]], recipe={"seed": 1})
    first, two = find_origin(str(run)), find_origin(str(other))
    assert unlike(first, first) == []
    assert {result.name: (result.a, result.b) for result in unlike(first, two) if result.name != "recipe_digest"} == {
        "recipe.seed": (0, 1),
        "rounds.0.weights": ("00abc".ljust(64, "0"), "01abc".ljust(64, "0")),
        "rounds.0.tasks.quiz.version": (1, 2),
        "rounds.1.weights": ("10abc".ljust(64, "0"), "11abc".ljust(64, "0")),
    }
    assert unlike_figures(first, two) == (4, [])


def test_figures_that_differ_are_told_and_only_those(run: Path) -> None:
    shared, result = unlike_figures(find_origin(f"{run}:0"), find_origin(f"{run}:1"))
    assert shared == 2
    assert [(entry.name, entry.a["value"], entry.b["value"]) for entry in result] == [("quiz accuracy", 0.5, 1.0)]


def test_figures_of_before_their_method_was_told_are_the_same_figures(tmp_path: Path, run: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(run / "round-0/eval", old)
    content = json.loads((old / "results.json").read_text())
    del content["check"]
    for figure in content["tasks"][0]["metrics"].values():
        del figure["method"]
    (old / "results.json").write_text(json.dumps(content))
    assert unlike_figures(find_origin(f"{run}:0"), find_origin(str(old))) == (2, [])


def test_weights_in_a_grid_are_found_in_the_run_that_has_them(tmp_path: Path, run: Path) -> None:
    """A grid keeps each stage beside its runs too, to share it."""
    shutil.copytree(run / "round-1/eval", tmp_path / "shared/eval-123/files")
    assert find_origin("10abc0", tmp_path).folder == run / "round-1/eval"


def test_diff_prints_both_and_ends_well(strop: Strop, run: Path) -> None:
    ran = strop("diff", f"{run}:0", f"{run}:1")
    assert ran.code == 0, ran.err
    assert "quiz accuracy" in ran.out
    assert "1 of 2 figures that both have differ" in ran.out
    assert strop("diff", run, run).out == "all 4 figures that both have are the same\n"
    printed = json.loads(strop("diff", f"{run}:0", f"{run}:1", "--json").out)
    assert [entry["name"] for entry in printed["differs"]] == ["weights"]
    assert (printed["figures_shared"], len(printed["figures"])) == (2, 1)


# Once more ------------------------------------------------------------------------------------------------------------

COLOURS = """
from dataclasses import dataclass
from functools import partial
from PIL import Image
from harness.types import Metric, Sample, Score

@dataclass(frozen=True, kw_only=True)
class Colours:
    name: str = "colours"
    version: int = 1
    headline: str = "vowels"
    max_tokens: int = 8
    metrics: tuple[Metric, ...] = (Metric(name="vowels", terms={"vowels": 1}, over={"letters": 1}),)

    def samples(self, split):
        pictures = (partial(Image.new, "RGB", (64, 64), (40 * n, 9, 250 - 40 * n)) for n in range(6))
        return [Sample(id=str(n), prompt="What?", images=(picture,), target="x", cluster=str(n))
                for n, picture in enumerate(pictures)]

    def score(self, sample, answer):
        vowels = sum(letter in "aeiou" for letter in answer)
        return Score(value=0.0, parsed=answer, counts={"vowels": vowels, "letters": len(answer) or 1})

    def gold(self, sample):
        return "x"

TASKS = {"colours": Colours}
"""


@pytest.fixture
def results_folder(strop: Strop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder of a tiny model on a task in a folder, both beside it."""
    monkeypatch.setenv("STROP_PLUGIN_PATH", "")  # what the command sets is gone after the test
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/colours.py").write_text(COLOURS)
    save_tiny(tmp_path / "tiny", seed=1)
    words = ("eval", "--model", "./tiny", "--tasks", "colours", "--plugin-path", "mine", "--limit", 4, "--out", "first")
    ran = strop(*words)
    assert ran.code == 0, ran.err
    return tmp_path / "first"


def test_an_evaluation_is_repeated_and_every_figure_is_the_same(
    strop: Strop,
    results_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    ran = strop("rerun", results_folder, "--out", "again", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == {"same": True, "figures_shared": 1, "figures": []}
    again = tmp_path / "elsewhere/again"
    assert (again / "colours.jsonl").read_bytes() == (results_folder / "colours.jsonl").read_bytes()
    provenance = find_origin(str(again)).rounds[None]["provenance"]
    assert provenance["command"][1:] == ["eval", "--model", "./tiny", "--tasks", "colours", "--plugin-path", "mine",
                                    "--limit", "4", "--out", str(again)]  # fmt: skip
    assert provenance["folder"] == str(tmp_path)
    assert strop("rerun", again, "--out", "third").code == 0


def test_another_figure_ends_it_with_1(strop: Strop, results_folder: Path) -> None:
    content = json.loads((results_folder / "results.json").read_text())
    content["tasks"][0]["metrics"]["vowels"]["value"] = 0.123456
    content["provenance"]["versions"]["torch"] = "0.1"
    (results_folder / "results.json").write_text(json.dumps(content))
    ran = strop("rerun", results_folder, "--out", "again")
    assert ran.code == 1
    assert "warning: versions torch was 0.1 and is " in ran.err
    assert "0.123456" in ran.out
    assert "1 of 1 figure that both have differ" in ran.out


def _another_version(folder: Path) -> None:
    (folder / "mine/colours.py").write_text(COLOURS.replace("version: int = 1", "version: int = 2"))


def _other_data(folder: Path) -> None:
    (folder / "mine/colours.py").write_text(COLOURS.replace("What?", "Which?"))


def _other_weights(folder: Path) -> None:
    save_tiny(folder / "tiny", seed=2)


def _a_secret(folder: Path) -> None:
    _record(folder, ["strop", "eval", "--api-key", "***"])


def _no_command(folder: Path) -> None:
    _record(folder, None)


def _record(folder: Path, command: Any) -> None:
    content = json.loads((folder / "first/results.json").read_text())
    content["provenance"]["command"] = command
    (folder / "first/results.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_another_version, "colours is version 2 now and was 1; check out the old commit"),
        (_other_data, "the data of colours are "),
        (_other_weights, "the weights of ./tiny are "),
        (_a_secret, "first: its command held a secret, which was not kept; give it by hand: strop eval --api-key"),
        (_no_command, "first: no command is recorded that can be given again (–); repeat it by hand"),
    ],
)
def test_what_is_not_what_it_was_is_told_before_anything_is_asked(
    strop: Strop,
    results_folder: Path,
    tmp_path: Path,
    change: Any,
    message: str,
) -> None:
    change(tmp_path)
    assert strop("rerun", "first", "--out", "again").error().startswith(message)
    assert not (tmp_path / "again").exists()


def test_an_out_that_is_there_and_a_part_of_a_run_are_refused(strop: Strop, run: Path) -> None:
    assert strop("rerun", run, "--out", run).error() == f"--out {run} is there already; name a new folder"
    message = strop("rerun", f"{run}:1", "--out", "new").error()
    assert message == f"{run}/round-1/eval is a part of a run, which is repeated whole: name {run}"


def test_a_run_is_repeated_from_its_own_recipe(strop: Strop, results_folder: Path, tmp_path: Path) -> None:
    changes = ("model=./tiny", "rounds=0", "evaluate.tasks=[colours]", "verify.kind=none")
    first = strop("run", "judge_free", "--out", "run", *(word for change in changes for word in ("--set", change)))
    assert first.code == 0, first.err
    ran = strop("rerun", "run", "--out", "again")
    assert ran.code == 0, ran.err
    assert "the figure that both have is the same" in ran.out
    assert (tmp_path / "again/recipe.yaml").read_bytes() == (tmp_path / "run/recipe.yaml").read_bytes()
    assert described(find_origin("again"))["recipe_digest"] == described(find_origin("run"))["recipe_digest"]


def test_a_scored_answer_file_is_scored_again_and_knows_its_truth(strop: Strop, tmp_path: Path) -> None:
    data, answers = write_data(tmp_path / "data"), write_answers(tmp_path / "model.jsonl")
    words = ("score", "pope", "--answers", answers.name, "--data", data.name, "--profile", "strict", "--out", "first")
    assert strop(*words).code == 0
    entries = find_origin("first").rounds[None]
    assert re.fullmatch("[0-9a-f]{64}", entries["tasks"][0]["data"])
    assert {"answers", "truth", "commit", "hardware", "finished"} <= set(entries["provenance"])
    assert strop("rerun", "first", "--out", "second").code == 0

    truth = data / "pope/coco_pope_random.json"
    truth.write_text(truth.read_text().replace('"label": "no"', '"label": "yes"'))
    ran = strop("rerun", "first", "--out", "third")
    assert ran.code == 1
    assert "tasks.pope.data" in ran.out
