"""Kinds of other people: found by folder and entry point, at fault in nobody's way, with rounds of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

import pytest
from safetensors.torch import load_file

from harness import plugins
from harness.errors import RecipeError, UsageError
from harness.files import digest_of_bytes, write_text
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
CHOSEN_ONLY = """
import torch
from typing import Literal

from loops.kinds import Trained
from loops.optimise import checkpoints, collate
from loops.optimise.settings import TrainedParts
from loops.rounds.offline import PairOptimiser


class ChosenOnly(TrainedParts, PairOptimiser):
    kind: Literal["chosen_only"] = "chosen_only"
    learning_rate: float = 1e-5

    def open(self, context):
        def train(pairs, out, advance):
            start = checkpoints.load_start(context.start.path, self, seed=context.draw)
            collator = collate.PairCollator(reader=start.reader, end=start.end)
            optimiser = torch.optim.AdamW(start.model.parameters(), self.learning_rate)
            for row in collate.rows_of(pairs):
                chosen = {name: values.chunk(2)[0] for name, values in collator([row]).items()}
                labels = chosen["input_ids"].where(chosen.pop("completion_mask") == 1, -100)
                start.model(**chosen, labels=labels).loss.backward()
                optimiser.step()
                optimiser.zero_grad()
            checkpoints.save(start, self, out)
            return Trained(steps=len(pairs))

        return train


OPTIMISERS = (ChosenOnly,)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of plug-ins with the verifier of docs/extending.md."""
    (tmp_path / "my_parts").mkdir()
    (tmp_path / "my_parts/distinct.py").write_text(SHOWN["distinct.py"], encoding="utf-8")
    monkeypatch.setenv("STROP_PLUGIN_PATH", str(tmp_path / "my_parts"))
    return tmp_path / "my_parts"


@pytest.mark.slow
def test_an_optimiser_without_trl_trains_what_its_fields_say(
    folder: Path, strop: Strop, tiny: Path, tmp_path: Path
) -> None:
    (folder / "chosen_only.py").write_text(CHOSEN_ONLY, encoding="utf-8")
    changes = (f"model={tiny}", "rounds=1", "collect.samples=6", "collect.max_tokens=8", "collect.unfinished=keep",
               "collect.max_unfinished=1", "evaluate.tasks=[pictos_captions]", "evaluate.limit=4", "select.keep=1.0",
               "verify.kind=none", "optimise.kind=chosen_only", "optimise.learning_rate=1e-3")  # fmt: skip
    words = [word for change in changes for word in ("--set", change)]
    ran = strop("run", "judge_free", "--out", "out", "--plugin-path", folder, *words, "--json")
    assert ran.code == 0, ran.err
    before, after = (
        load_file(path / "model.safetensors") for path in (tiny, tmp_path / "out/round-1/optimise/checkpoint")
    )
    moved = {name for name in before if not before[name].equal(after[name])}
    assert moved and not any("vision_tower" in name for name in moved)
    assert load_recipe(tmp_path / "out/recipe.yaml").optimise.kind == "chosen_only"


def test_a_kind_of_ones_own_has_its_level_and_its_fields_are_siblings_to_the_others(folder: Path) -> None:
    recipe = load_recipe(JUDGE_FREE, ["verify.kind=distinct", "verify.lower=false"])
    assert recipe.verify.model_dump() == {"kind": "distinct", "lower": False}
    assert (recipe.level, level_of({"verify": {"kind": "distinct"}, "level": "L3"})) == ("control", "control")
    assert load_recipe(JUDGE_FREE, ["verify.lower=false"]).verify.kind == "clip"
    with pytest.raises(RecipeError, match=r"no field 'verify\.lowerr'; did you mean 'lower'\?"):
        load_recipe(JUDGE_FREE, ["verify.lowerr=true"])


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
    assert load_recipe(JUDGE_FREE, ["verify.kind=distinct"]).verify.kind == "distinct"
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(JUDGE_FREE, ["verify.kind=mine"])
    assert "field 'verify.kind' is 'mine': input should be 'clip', " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_is_one_kinds(folder: Path) -> None:
    (folder / "z.py").write_text(SHOWN["distinct.py"])
    (folder / "zz.py").write_text(SHOWN["distinct.py"].replace('"distinct"', '"clip"'))
    assert load_recipe(JUDGE_FREE, ["verify.kind=none"]).verify == NoVerifier()
    for kind, file in (("distinct", "z"), ("clip", "zz")):
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
    update={"optimise": OnPolicy(), "watch": None}
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
