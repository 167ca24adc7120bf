"""`strop verify` holds verifiers against the oracle on answers that are there, and asks none twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.files import write_jsonl
from loops.recipe import load_recipe
from loops.run import claim
from tasks.pictos.benchmarks import caption_samples
from tests.support.pages import files_shown, read_page
from tests.support.recipes import JUDGE_FREE
from tests.support.shell import Strop

PICTURES = 12


def write_answers(folder: Path, split: str) -> Path:
    """To each picture all that is there, half of it and more that is not, and nothing but what is not."""
    rows = []
    for sample in caption_samples(split, PICTURES):
        names = sorted(sample.target)
        absent = [name for name in ("person", "dog", "cup") if name not in sample.target]
        captions = [names, [*names[: (len(names) + 1) // 2], *absent[:1]], absent]
        answers = [" ".join(f"A {name}." for name in caption) for caption in captions]
        rows.append({"id": sample.id, "prompt": sample.prompt, "answers": answers, "notes": [], "verdicts": []})
    folder.mkdir(parents=True)
    write_jsonl(folder / "groups.jsonl", rows)
    return folder


def by_label(report: Mapping[str, Any]) -> dict[str, Any]:
    return {each["label"]: each for each in report["verifiers"]}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that has collected."""
    recipe = load_recipe(JUDGE_FREE, [f"collect.samples={PICTURES}"])
    claim(tmp_path / "runs/mine", recipe, recipe.level)
    write_answers(tmp_path / "runs/mine/round-1/collect", "pool")
    return tmp_path / "runs/mine"


def test_each_verifier_is_held_against_the_oracle(strop: Strop, run: Path) -> None:
    words = ("verify", run, "--with", "rule,strict=rule,shorter,format,consistency", "--set", "strict.threshold=0.99")
    report = json.loads(strop(*words, "--json").out)
    figures = by_label(report)
    assert list(figures) == ["oracle", "rule", "strict", "shorter", "format", "consistency"]
    assert (report["groups"], report["pairs"]) == (PICTURES, 3 * PICTURES)
    assert figures["rule"]["agreement"]["value"] == figures["rule"]["auc"]["value"] == 1.0
    assert figures["strict"]["agreement"]["value"] == pytest.approx(2.5 / 3)
    assert figures["format"]["agreement"]["value"] == 0.5
    assert (figures["shorter"]["longer"]["value"], figures["shorter"]["level"]) == (0.0, "control")
    assert figures["rule"]["longer_excess"]["value"] == 0.0
    assert {(each["a"], each["b"]) for each in report["kappa"]} >= {("rule", "strict"), ("shorter", "consistency")}
    assert set(figures["rule"]["cost_of_1000_pairs"]) <= {"seconds"}

    shown = strop(*words).out
    assert "36 pairs of answers of pictos-seed to 12 pictures of pictos_captions" in shown
    assert "agreement among verifiers, kappa" in shown


def test_a_run_is_taken_by_its_round_and_no_verifier_is_asked_twice(
    strop: Strop, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = json.loads(strop("verify", "mine", "--with", "rule,random", "--json").out)
    monkeypatch.setattr("loops.trying_verifiers.open_verifier", None)
    for name in ("runs/mine:1", "runs/mine/round-1", "runs/mine/round-1/collect"):
        assert json.loads(strop("verify", name, "--with", "random,rule", "--json").out)["pairs"] == first["pairs"]
    folders = sorted(path.name for path in (run / "verifiers").iterdir() if path.is_dir())
    assert folders == ["oracle", "random", "rule"]


def test_a_folder_of_answers_is_about_what_its_source_says(
    strop: Strop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/colours.py").write_text(files_shown(read_page("docs/extending.md"))["colours.py"])
    monkeypatch.setenv("STROP_PLUGIN_PATH", str(tmp_path / "parts"))
    (tmp_path / "mine").mkdir()
    rows = [{"id": f"dev-{number}", "answers": ["It is red.", "Blue it is, I say."]} for number in range(4)]
    write_jsonl(tmp_path / "mine/groups.jsonl", rows)
    words = ("verify", "mine", "--source", "colours", "--with", "rule,shorter", "--json")
    figures = by_label(json.loads(strop(*words).out))
    assert [figures[name]["agreement"]["value"] for name in ("rule", "shorter")] == [1.0, 0.5]
    assert (tmp_path / "mine/verifiers/rule/groups.jsonl").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mine/round-1/select", "--with", "rule"), "mine/round-1/select: no run, and no folder with groups.jsonl"),
        (("runs/mine/round-1/collect", "--with", "rule", "--source", "x"), "is a run and says it itself"),
        (("mine:3", "--with", "rule"), "round 3 of runs/mine: no collected answers in it"),
        (("other", "--with", "rule"), "other: is no run; name by --source what its answers are about"),
        (("runs/mine", "--with", "ruler"), "field 'verify.kind' is 'ruler'"),
        (("runs/mine", "--with", "rule,rule"), "name each verifier once"),
        (("runs/mine", "--with", "rule", "--set", "rul.mark=exact"), "'rul' is none of rule"),
        (("runs/mine", "--with", "r=rule", "--set", "r.threshold=2"), "--with r: field 'verify.threshold'"),
    ],
)
def test_what_does_not_fit_is_a_line_with_the_remedy(
    strop: Strop, run: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    write_answers(tmp_path / "other", "dev")
    assert message in strop("verify", *words).error()
