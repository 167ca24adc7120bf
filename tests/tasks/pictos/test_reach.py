"""A hand is brought to a thing: the world obeys, who knows goes the shortest way, blind walks earn what is told."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path

import numpy as np
import pytest

from harness.engine import evaluate
from harness.errors import DataError
from harness.pictures import open_picture
from harness.results import TaskResult, mark
from harness.stats import estimate
from harness.store import Store
from harness.types import Interactive, Readable, Sample
from tasks.pictos.benchmarks import ScenePicture
from tasks.pictos.hand import HAND_SIDE, MOST_MOVES, MOVES, REACH, STEP, TAKE, Hand
from tasks.pictos.language import BRING
from tasks.pictos.reach import REACH_METRICS, PictosReach, read_move
from tasks.pictos.world import SIDE, SPLITS
from tasks.registry import TASKS, training_pool
from tests.support.scripted import Scripted

TASK = PictosReach()
WORDS = [*MOVES, TAKE]


@pytest.fixture(scope="module")
def starts() -> list[Sample]:
    return list(TASK.samples("test"))


def _hand(sample: Sample) -> Hand:
    (hand,) = sample.images
    assert isinstance(hand, Hand)
    return hand


def _figures(samples: list[Sample], episodes: list[str]) -> dict[str, float | None]:
    rows = [mark(sample, text, TASK.score(sample, text)) for sample, text in zip(samples, episodes, strict=True)]
    return {name: figure.value for name, figure in estimate(rows, REACH_METRICS, draws=1).items()}


def test_the_task_is_a_world_that_answers_back_with_one_episode_a_scene(starts: list[Sample]) -> None:
    assert isinstance(TASK, Interactive) and isinstance(TASK, Readable)
    assert TASKS["pictos_reach"]() == TASK
    assert len({sample.cluster for sample in starts}) == len(starts) == 500
    assert {sample.cluster for sample in starts} == {f"pictos-{_hand(sample).seed}" for sample in starts}
    assert {_hand(sample).seed in SPLITS["test"] for sample in starts} == {True}
    assert starts[0].prompt == f"Bring the hand to the {starts[0].meta['object']}. " + (
        "Answer with one word: left, right, up, down or take."
    )


def test_the_world_obeys_moves_and_draws_itself_anew(starts: list[Sample]) -> None:
    for start in starts[:20]:
        begun = _hand(start)
        for word, (across, down) in MOVES.items():
            question = TASK.after(start, [f"{word.capitalize()}!"]).question
            assert question is not None
            hand, half = _hand(question), HAND_SIDE // 2
            expected = [
                min(max(at + STEP * by, half), SIDE - 1 - half) for at, by in ((begun.x, across), (begun.y, down))
            ]
            assert [hand.x, hand.y] == expected
            moved = expected != [begun.x, begun.y]
            assert (open_picture(hand).tobytes() != open_picture(begun).tobytes()) == moved
            assert (question.prompt, question.cluster, question.target) == (start.prompt, start.cluster, None)
        assert open_picture(begun).tobytes() != open_picture(ScenePicture(begun.seed)).tobytes(), "the hand is seen"


def test_what_cannot_be_read_or_done_costs_a_move_and_no_more(starts: list[Sample]) -> None:
    start = starts[0]
    for answer in ("", "no", "left or right", "take", "upward"):
        happened = TASK.after(start, [answer])
        assert happened.question is not None and happened.question.images == start.images
        assert (happened.succeeded, happened.to_go) == (False, start.target)
    wall = TASK.after(start, ["left"] * 8).question
    assert wall is not None and _hand(wall).x == HAND_SIDE // 2
    assert TASK.after(start, ["no"] * MOST_MOVES).question is None


@pytest.mark.parametrize(
    ("answer", "move"),
    [
        ("left", "left"), ("Move it UP.", "up"), ("right, right", "right"), ("take it", "take"), ("Take left", None),
        ("upper", None), ("", None),
    ],
)  # fmt: skip
def test_a_move_is_the_one_word_of_the_five(answer: str, move: str | None) -> None:
    assert read_move(answer) == move


def test_who_knows_succeeds_on_a_way_than_which_there_is_no_shorter(starts: list[Sample]) -> None:
    golds = [TASK.gold(sample) for sample in starts]
    figures = _figures(starts, golds)
    assert (figures["success"], figures["SPL"], figures["unread"]) == (1.0, 1.0, 0.0)
    assert max(sample.target for sample in starts) <= 11 < MOST_MOVES
    for sample, gold in zip(starts[:25], golds, strict=False):
        assert len(gold.split("\n")) == sample.target == _fewest(_hand(sample))


def _fewest(start: Hand) -> int:
    """The number of moves that a search through all places comes to."""
    depths, waiting = {(start.x, start.y): 1}, deque([start])
    while waiting:
        hand = waiting.popleft()
        if max(map(abs, hand.distance)) <= REACH:
            return depths[hand.x, hand.y]
        for moved in map(hand.moved, MOVES):
            if (moved.x, moved.y) not in depths:
                depths[moved.x, moved.y] = depths[hand.x, hand.y] + 1
                waiting.append(moved)
    raise AssertionError("out of reach")


def test_an_episode_is_marked_by_its_end_and_its_length(starts: list[Sample]) -> None:
    start = starts[0]
    moves = TASK.gold(start).split("\n")
    late = TASK.score(start, "\n".join(["hm", "hm", *moves, "left"]))
    least = start.target
    assert late.value == 1.0
    assert late.counts == {
        "asked": 1, "success": 1, "spl": least / (least + 2), "moves": least + 2, "unread_moves": 2,
    }  # fmt: skip
    assert late.parsed == " ".join(["-", "-", *moves])
    short = TASK.score(start, "\n".join(moves[:-1]))
    assert (short.value, short.counts["spl"], short.counts["moves"]) == (0.0, 0.0, least - 1)
    nothing = TASK.score(start, "-\n-")
    assert (nothing.parsed, nothing.value) == (None, 0.0)


def test_blind_walks_earn_what_is_told(starts: list[Sample]) -> None:
    """The path is the best of a beam search of 1,200 over 2,734 starts in scenes of another split."""
    walker, path = re.findall(r"(\d+) %", " ".join(str(PictosReach.__doc__).split("\n\n")[0].split()))
    rng = np.random.default_rng(0)
    walks = ["\n".join(WORDS[word] for word in rng.integers(5, size=MOST_MOVES)) for _ in starts * 4]
    assert round(100 * (_figures(starts * 4, walks)["success"] or 0)) == int(walker)
    fixed = "down down take down take right up take right take up take".replace(" ", "\n")
    assert round(100 * (_figures(starts, [fixed] * len(starts))["success"] or 0)) == int(path)


def _best(sample: Sample) -> str:
    return _hand(sample).best


def _evaluated(model: Scripted, store: Store | None = None) -> TaskResult:
    (result,) = evaluate(model, [TASK], split="test", limit=20, store=store)
    return result


def test_a_model_that_sees_plays_to_the_end_and_is_asked_nothing_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    result = _evaluated(Scripted(_best), Store(path))
    assert {row.value for row in result.rows} == {1.0}
    assert [row.answer for row in result.rows] == [TASK.gold(sample) for sample in TASK.samples("test")[:20]]
    silent = Scripted(lambda sample: "never asked")
    assert _evaluated(silent, Store(path)) == result
    assert silent.samples == []


def test_the_pool_starts_along_the_way_too() -> None:
    """As often at the start as anywhere, and where the thing can be taken at once."""
    samples = training_pool("pictos_reach").of_round(seed=0, number=1, count=120)
    assert {_hand(sample).seed in SPLITS["pool"] for sample in samples} == {True}
    assert len({sample.id for sample in samples}) == 120
    steps = [0 if sample.id.endswith("reach") else int(sample.id.rsplit("/", 1)[1]) for sample in samples]
    assert {0, 1, 2, 3} <= set(steps)
    first = [TASK.gold(sample).split("\n")[0] for sample in samples]
    assert {word: first.count(word) > 4 for word in WORDS} == dict.fromkeys(WORDS, True)
    for sample in samples[:30]:
        assert len(TASK.gold(sample).split("\n")) == sample.target == _fewest(_hand(sample))


def test_a_picture_without_a_hand_is_named(starts: list[Sample]) -> None:
    sample = Sample(id="x", prompt="?", images=(ScenePicture(7),), target=None, cluster="x")
    with pytest.raises(DataError, match=r"^sample x: its picture shows no hand, so no episode can start from it"):
        TASK.after(sample, ["left"])


def test_the_prompt_names_every_move() -> None:
    assert [word for word in re.findall(r"\w+", BRING) if word in WORDS] == WORDS
