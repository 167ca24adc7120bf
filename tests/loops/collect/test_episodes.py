"""From each start several episodes: where they part ways, what each answer came to is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RecipeError, RunError
from harness.files import digest_of_bytes, read_jsonl
from harness.models.vlm import Vlm
from harness.pictures import open_picture
from harness.types import Answer, Group, Sample, Sampling
from loops.collect.episodes import Episodes, World
from loops.groups import ENDS, keep_pictures, read_groups, write_groups
from loops.recipe import load_recipe
from strop.running import setting
from tasks.data.root import DataRoot
from tasks.pictos.hand import MOVES, TAKE
from tests.support.own_task import lamp
from tests.support.recipes import JUDGE_FREE
from tests.support.shell import Strop
from tests.support.speaker import Speaker

LAMP = lamp()
START: Sample = LAMP.samples("pool")[3]

SAID = {
    0: ["brighter", "brighter"],
    1: ["darker", "brighter", "brighter", "brighter"],
    2: ["Hm.", "brighter", "brighter"],
    3: ["darker"] * 7,
}
"""What is answered in each episode; the last never comes to 5."""


def _says(sample: Sample, sampling: Sampling, draw: int) -> str:
    episode, step = sample.id.split("#")[1].split("/")
    return SAID[int(episode)][int(step)]


def _groups(speaker: Speaker, facts: dict[str, float] | None = None) -> list[Group]:
    recipe = Episodes(episodes=4)
    return recipe.ask(speaker, [START], seed=7, world=World(after=LAMP.after), facts=facts)  # type: ignore[arg-type]


def test_a_group_is_a_state_in_which_episodes_part_ways_with_the_ends_of_each() -> None:
    facts: dict[str, float] = {}
    start, below = _groups(Speaker(_says), facts)
    assert (start.sample.images, below.sample.images) == ((3,), (2,))
    assert (start.answers, below.answers) == (("brighter", "darker", "Hm."), ("brighter", "darker"))
    assert [note[ENDS] for note in start.notes] == [[2], [4, None], [3]], "a later visit of the same state is none"
    assert [note[ENDS] for note in below.notes] == [[3], [None]]
    assert {start.sample.prompt, below.sample.prompt} == {START.prompt}
    assert [start.sample.id, below.sample.id] == ["pool-3/parted-0", "pool-3/parted-1"]
    assert facts == {"episodes": 4, "succeeded": 3, "unfinished": 0}


def test_each_turn_is_one_batch_and_each_question_has_its_own_random_numbers() -> None:
    speaker = Speaker(_says)
    _groups(speaker)
    assert [len(samples) for samples, _ in speaker.passes] == [4, 4, 3, 2, 1, 1, 1]
    ids = [sample.id for samples, _ in speaker.passes for sample in samples]
    assert len(set(ids)) == len(ids) == sum(map(len, SAID.values()))
    assert {(sampling.seed, sampling.n, sampling.temperature) for _, sampling in speaker.passes} == {(7, 1, 1.0)}


def test_progress_is_told_of_every_episode() -> None:
    ended: list[int] = []
    Episodes(episodes=4).ask(
        Speaker(_says),  # type: ignore[arg-type]
        [START],
        seed=0,
        advance=ended.append,
        world=World(after=LAMP.after),
    )
    assert sum(ended) == 4


def test_states_are_kept_with_their_pictures(tmp_path: Path) -> None:
    groups = _groups(Speaker(_says))
    write_groups(tmp_path / "groups.jsonl", keep_pictures(groups, tmp_path))
    again = read_groups(tmp_path / "groups.jsonl", [])
    assert [group.notes for group in again] == [group.notes for group in groups]
    assert [open_picture(group.sample.images[0]).tobytes() for group in again] == [
        open_picture(group.sample.images[0]).tobytes() for group in groups
    ]


def test_episodes_that_are_all_alike_are_told() -> None:
    def alike(sample: Sample, sampling: Sampling, draw: int) -> str:
        return "brighter"

    with pytest.raises(RunError, match=r"no two episodes from one start part ways; raise collect\.temperature or coll"):
        _groups(Speaker(alike))


def test_too_many_answers_that_were_cut_stop_the_round() -> None:
    class Cut(Speaker):
        def answers(self, samples: Sequence[Sample], *arguments: object) -> list[list[Answer]]:  # type: ignore[override]
            return [[Answer(text="brighter and", finished=False)] for _ in samples]

    with pytest.raises(RunError, match=r"^4 of 4 answers were cut at collect\.max_tokens 16"):
        _groups(Cut(_says))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["verify.kind=environment"], "collect.kind episodes: source pictos_captions is no world that answers back"),
        (
            ["source=pictos_reach", "verify.kind=rule"],
            "verify.kind rule: the states of an episode have no right answers to judge by; take environment",
        ),
    ],
)
def test_what_cannot_work_is_refused(changes: list[str], message: str) -> None:
    study = load_recipe(JUDGE_FREE, ["collect.kind=episodes", *changes]).study(setting(DataRoot()))
    with pytest.raises(RecipeError, match="^" + message.replace(".", r"\.")):
        study.collect.refuse(study)


def _by_chance(model: Vlm, samples: Sequence[Sample], sampling: Sampling, *_: Any) -> list[list[Answer]]:
    """A move for each question, by its id."""
    numbers = [int(digest_of_bytes(sample.id.encode())[:8], 16) for sample in samples]
    return [[Answer(text=[*MOVES, TAKE][number % 5])] for number in numbers]


@pytest.mark.slow
def test_a_round_trains_on_the_moves_that_more_episodes_succeeded_by(
    tiny: Path, strop: Strop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its episodes are a random walker's, since the tiny model has no words for moves."""
    monkeypatch.setattr(Vlm, "answers", _by_chance)
    fields = {
        "model": tiny, "rounds": 1, "collect.samples": 6, "evaluate.tasks": "[pictos_reach]", "evaluate.limit": 2,
        "optimise.trl": "{per_device_train_batch_size: 4, max_steps: 1}", "watch": "null",
    }  # fmt: skip
    words = [word for name, value in fields.items() for word in ("--set", f"{name}={value}")]
    ran = strop("run", "reach_dpo", "--out", "out", *words)
    assert ran.code == 0, ran.err
    facts = {line["stage"]: line["facts"] for line in read_jsonl(Path("out/ledger.jsonl"))}
    collected, selected = facts["round-1/collect"], facts["round-1/select"]
    assert (collected["episodes"], facts["round-1/verify"]["verifier"]) == (48, "environment")
    assert 0 < collected["succeeded"] < 48
    assert 0 < selected["pairs"] < collected["groups"] == selected["groups"]
    groups = {row["id"]: row for row in read_jsonl(Path("out/round-1/verify/groups.jsonl"))}
    for row in read_jsonl(Path("out/round-1/select/pairs.jsonl")):
        group = groups[row["id"]]
        rewards = dict(zip(group["answers"], (verdict["reward"] for verdict in group["verdicts"]), strict=True))
        assert rewards[row["chosen"]] == max(rewards.values()) > rewards[row["rejected"]] == min(rewards.values())
    assert facts["round-1/optimise"]["changed"] > 0
    assert facts["round-1/eval"] == {"pictos_reach": 0.0}
