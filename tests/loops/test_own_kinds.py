"""Collectors, verifiers and optimisers of other people: those of docs/extending.md run as printed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

import pytest

from harness import plugins
from harness.errors import RecipeError, UsageError
from harness.files import digest_of_bytes, read_jsonl, write_text
from harness.types import Checkpoint
from loops.kinds import Optimiser, Round
from loops.ledger import Done, Outcome
from loops.recipe import Recipe, level_of, load_recipe
from loops.run import plan_recipe, stages_of
from loops.stages import Stage, Stages, fold, run_stages
from loops.verify.none import NoVerifier
from strop.running import setting
from tasks.data.root import DataRoot
from tests.support.pages import files_shown, read_page
from tests.support.recipes import JUDGE_FREE
from tests.support.shell import Strop

SHOWN = files_shown(read_page("docs/extending.md"))
PARTS = {"varied.py": "VERIFIERS", "two_temperatures.py": "COLLECTORS", "chosen_only.py": "OPTIMISERS"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `my_parts` of docs/extending.md."""
    (tmp_path / "my_parts").mkdir()
    for name in PARTS:
        (tmp_path / "my_parts" / name).write_text(SHOWN[name], encoding="utf-8")
    monkeypatch.setenv("STROP_PLUGIN_PATH", str(tmp_path / "my_parts"))
    return tmp_path / "my_parts"


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_ones_own_takes_thirty_lines(name: str) -> None:
    assert len([line for line in SHOWN[name].splitlines() if line.strip()]) <= 30
    assert f"{PARTS[name]} = (" in SHOWN[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        ("verify.kind=varied", "verify.least_words=2", "collect.samples=24", "collect.max_tokens=24"),
        ("collect.kind=two_temperatures", "collect.hot=2", "verify.kind=none"),
        ("optimise.kind=chosen_only", "optimise.learning_rate=1e-3", "verify.kind=none"),
    ],
    ids=["a verifier", "a collector", "an optimiser"],
)
def test_a_recipe_runs_with_a_part_of_ones_own(
    folder: Path, strop: Strop, tiny: Path, tmp_path: Path, changes: tuple[str, ...]
) -> None:
    small = (f"model={tiny}", "rounds=1", "collect.samples=6", "collect.max_tokens=8", "collect.unfinished=keep",
             "collect.max_unfinished=1", "evaluate.tasks=[pictos_captions]", "evaluate.limit=4",
             "optimise.trl.per_device_train_batch_size=2")  # fmt: skip
    words = [word for change in (*small, *changes) for word in ("--set", change)]
    ran = strop("run", "judge_free", "--out", "out", "--plugin-path", folder, *words, "--json")
    assert ran.code == 0, ran.err
    first, last = json.loads(ran.out)["checkpoints"]
    assert first != last
    slot, kind = changes[0].split(".kind=")
    assert load_recipe(tmp_path / "out/recipe.yaml").model_dump()[slot]["kind"] == kind
    facts = {line["stage"]: line["facts"] for line in read_jsonl(tmp_path / "out/ledger.jsonl")}
    assert facts["round-1/optimise"]["steps"] > 0


def test_a_kind_of_ones_own_has_its_level_and_its_fields_are_siblings_to_the_others(folder: Path) -> None:
    recipe = load_recipe(JUDGE_FREE, ["verify.kind=varied", "verify.least_words=3"])
    assert recipe.verify.model_dump() == {"kind": "varied", "least_words": 3}
    assert (recipe.level, level_of({"verify": {"kind": "varied"}, "level": "L3"})) == ("control", "control")
    assert load_recipe(JUDGE_FREE, ["verify.least_words=3"]).verify.kind == "clip"
    with pytest.raises(RecipeError, match=r"no field 'verify\.least_word'; did you mean 'least_words'\?"):
        load_recipe(JUDGE_FREE, ["verify.least_word=3"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 / 0", r"other\.py: does not load \(ZeroDivisionError: division by zero\)"),
        ("VERIFIERS = 3", r"other\.py: VERIFIERS must be a tuple of classes of loops\.kinds\.Verifier"),
        ("VERIFIERS = (dict,)", r"other\.py: VERIFIERS must be a tuple of classes of loops\.kinds\.Verifier"),
    ],
)
def test_a_file_that_offers_no_kind_is_in_nobodys_way_and_named_with_an_unknown_kind(
    folder: Path, content: str, message: str
) -> None:
    (folder / "other.py").write_text(content)
    assert load_recipe(JUDGE_FREE, ["verify.kind=varied"]).verify.kind == "varied"
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(JUDGE_FREE, ["verify.kind=mine"])
    assert "field 'verify.kind' is 'mine': input should be 'clip', " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_is_one_kinds(folder: Path) -> None:
    (folder / "z.py").write_text(SHOWN["varied.py"])
    (folder / "zz.py").write_text(SHOWN["varied.py"].replace('"varied"', '"clip"'))
    assert load_recipe(JUDGE_FREE, ["verify.kind=none"]).verify == NoVerifier()
    for kind, file in (("varied", "z"), ("clip", "zz")):
        with pytest.raises(RecipeError, match=rf"/{file}\.py: a verify\.kind '{kind}' is there already; give this one"):
            load_recipe(JUDGE_FREE, [f"verify.kind={kind}"])


def test_a_folder_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_PLUGIN_PATH", "no")
    with pytest.raises(UsageError, match=r"^no: no such folder; --plugin-path names one with Python files"):
        load_recipe(JUDGE_FREE)


def test_an_installed_package_offers_a_kind_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        EntryPoint(name="none2", value="loops.verify.none:NoVerifier", group="strop.verifiers"),
        EntryPoint(name="gone", value="loops.nowhere:Gone", group="strop.verifiers"),
        EntryPoint(name="mine", value=f"{__name__}:Mine", group="strop.verifiers"),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry for entry in entries if entry.group == group])
    assert load_recipe(JUDGE_FREE, ["verify.kind=mine"]).verify == Mine()
    with pytest.raises(RecipeError, match=r"'none2' is no class of loops\.kinds\.Verifier whose kind is 'none2'"):
        load_recipe(JUDGE_FREE, ["verify.kind=none2"])
    with pytest.raises(RecipeError, match=r"entry point loops\.nowhere:Gone does not load"):
        load_recipe(JUDGE_FREE, ["verify.kind=gone"])


class Mine(NoVerifier):
    kind: Literal["mine"] = "mine"  # type: ignore[assignment]


# A round of its own ---------------------------------------------------------------------------------------------------


class OnPolicy(Optimiser):
    """Trains in one stage, without pairs."""

    kind: Literal["on_policy"] = "on_policy"
    steps: int = 3

    def round(self, context: Round) -> Stages[Checkpoint]:
        def work(folder: Path) -> Outcome:
            (folder / "checkpoint").mkdir()
            write_text(folder / "checkpoint/config.json", "{}")
            write_text(folder / "checkpoint/model.safetensors", f"{context.start.digest} {self.steps}")
            return Outcome(facts={"steps": self.steps}, cost={})

        trained = yield context.stage("train", {"start": context.start.digest, "optimise": self.as_input()}, work)
        return trained.checkpoint(context.start.digest)


ON_POLICY = Recipe.model_validate({"name": "own", "rounds": 2, "evaluate": {"filter": False}}).model_copy(
    update={"optimise": OnPolicy()}
)


def test_an_optimiser_brings_its_own_round_and_passes_no_pairs() -> None:
    stages = ["round-0/eval", "round-1/train", "round-1/eval", "round-2/train", "round-2/eval"]
    assert list(plan_recipe(ON_POLICY, setting(DataRoot()))) == stages


def test_what_is_run_is_what_is_planned(tmp_path: Path) -> None:
    """The same generator of stages is run and planned; each stage depends on what became of the one before."""
    world = setting(DataRoot(), progress=False)
    inputs: dict[str, Mapping[str, Any]] = {}

    def do(stage: Stage) -> Done:
        inputs[stage.name] = stage.inputs
        if stage.name.endswith("/train"):
            (tmp_path / stage.name).mkdir(parents=True)
            stage.work(tmp_path / stage.name)
        return Done(folder=tmp_path / stage.name, digest=digest_of_bytes(stage.name.encode()), facts={}, fresh=True)

    checkpoints = fold(stages_of(ON_POLICY, world, tmp_path / "answers.jsonl"), do)
    assert list(inputs) == list(plan_recipe(ON_POLICY, world))
    assert [each.parent for each in checkpoints] == [None, *(each.digest for each in checkpoints[:2])]
    assert inputs["round-2/train"]["start"] == checkpoints[1].digest
    assert inputs["round-1/train"]["optimise"] == {"kind": "on_policy", "version": 1}


def test_stages_that_a_ledger_has_are_not_done_again(tmp_path: Path) -> None:
    from loops.ledger import open_run

    def stages(second: int) -> Iterator[Any]:
        done = yield Stage(name="a", inputs={}, work=lambda folder: Outcome(facts={"x": 1}, cost={}))
        yield Stage(name="b", inputs={"a": done.digest, "y": second}, work=lambda folder: Outcome(facts={}, cost={}))
        return done.facts["x"]

    with open_run(tmp_path) as ledger:
        assert [run_stages(stages(y), ledger) for y in (1, 1, 2)] == [(1, 2), (1, 0), (1, 1)]
