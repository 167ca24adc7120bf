"""Each monitor fires on the failure that is planted for it, and on a healthy loop none does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RecipeError
from harness.results import Marked, TaskResult
from harness.runs.watches import Choice, Reading, Watched, best_round, best_sentence, stop_sentence, write_watched
from harness.stats import calibration_difference
from harness.store import Store
from harness.types import AnswerStream, Group, Metric, Sample, Sampling, Score, Verdict
from loops.monitors import MONITORS
from loops.monitors.counting import options_of, with_confidence, with_rewards
from loops.monitors.seen import CONFIDENCE, OVERCONFIDENCE, REWARD, RIGHT, Seen
from loops.monitors.settings import Watch
from loops.recipe import Recipe, load_recipe
from tests.support.recipes import JUDGE_FREE
from tests.support.worlds import captions, yes_no

RIGHT_OF_100 = [1] * 80 + [0] * 20


def _round(number: int, *results: TaskResult, data: Mapping[str, float] | None = None, **fields: Any) -> Seen:
    return Seen(number=number, results={result.task: result for result in results}, data=data or {}, **fields)


def _read(monitor: str, *rounds: Seen, **watch: Any) -> Reading:
    return MONITORS[monitor](rounds, Watch(**watch))  # type: ignore[index]


def _counting(result: TaskResult, counts: Sequence[Mapping[str, float]], *metrics: Metric) -> TaskResult:
    """The result with further counts of each row."""
    rows = [replace(row, counts={**row.counts, **more}) for row, more in zip(result.rows, counts, strict=True)]
    return replace(result, rows=tuple(rows), metrics=(*result.metrics, *metrics))


# A healthy loop -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("monitor", MONITORS)
def test_no_monitor_fires_where_nothing_changes(monitor: str) -> None:
    texts = [f"cat {number} dog !car{number}" for number in range(100)]
    results = [
        _counting(captions(*texts), [{"watch/reward": 1.0, "watch/judged": 1}] * 100, REWARD),
        _sure(yes_no(RIGHT_OF_100), [0.8] * 100),
    ]
    data = {"groups": 100, "pairs": 80, "differing": 90}
    reading = _read(monitor, _round(0, *results), *(_round(number, *results, data=data) for number in (1, 2)))
    assert not reading.fired, reading.why
    assert (reading.fired is None) == (monitor == "plateau"), "equal answers do not tell what would be seen"


@pytest.mark.parametrize("monitor", MONITORS)
def test_a_monitor_that_is_shown_nothing_cannot_tell(monitor: str) -> None:
    assert _read(monitor, _round(0), _round(1)).fired is None


# Collapse -------------------------------------------------------------------------------------------------------------

VARIED = captions(*(f"the cat{number} sits by dog{number}" for number in range(40)))


@pytest.mark.parametrize(
    ("text", "statistics"),
    [
        (lambda number: "the cat sits by dog", ["distinct-2", "not shared", "not the commonest"]),
        (lambda number: "the cat sits by a dog on the big mat" + f" {number}", ["distinct-2", "not shared"]),
        (lambda number: f"cat{number}", ["words"]),
    ],
    ids=["one answer to all", "nearly one answer", "one word"],
)
def test_answers_that_become_alike_or_short_are_a_collapse(text: Callable[[int], str], statistics: list[str]) -> None:
    reading = _read("collapse", _round(0, VARIED), _round(1, captions(*map(text, range(40)))))
    assert reading.fired
    assert all(f"chair {statistic}" in reading.why for statistic in statistics), reading.why


def test_data_that_vanish_or_no_longer_differ_are_a_collapse() -> None:
    healthy = {"groups": 100, "pairs": 80, "differing": 90}
    seed, first = _round(0, VARIED), _round(1, VARIED, data=healthy)
    vanished = _read("collapse", seed, first, _round(2, VARIED, data={**healthy, "pairs": 39}))
    alike = _read("collapse", seed, first, _round(2, VARIED, data={**healthy, "differing": 44}))
    assert vanished.why == "under 50% of before: yield 0.39, before 0.8"
    assert alike.why == "under 50% of before: groups whose answers differ 0.44, before 0.9"
    assert not _read("collapse", seed, first, _round(2, VARIED, data={**healthy, "pairs": 41})).fired
    assert _read("collapse", seed, first, _round(2, VARIED, data={**healthy, "pairs": 41}), variety=0.6).fired


# Amplification, plateau, forgetting, format drift ---------------------------------------------------------------------


def _rewarded(wrong: int, reward: float) -> TaskResult:
    """40 captions of which the first so many name a car that is not there."""
    texts = [f"cat dog !car{number}" if number < wrong else "cat dog" for number in range(40)]
    rewards = [{"watch/reward": reward + 0.1 * (number % 3), "watch/judged": 1} for number in range(40)]
    return _counting(captions(*texts), rewards, REWARD)


@pytest.mark.parametrize(
    ("after", "fires"),
    [
        (_rewarded(wrong=30, reward=2.0), True),
        (_rewarded(wrong=10, reward=2.0), False),
        (_rewarded(wrong=30, reward=0.5), False),
    ],
    ids=["rewarded more, worse by gold", "rewarded more, as good", "rewarded less, worse"],
)
def test_reward_that_rises_while_gold_falls_is_amplification(after: TaskResult, fires: bool) -> None:
    reading = _read("amplification", _round(0, _rewarded(wrong=10, reward=1.0)), _round(1, after))
    assert reading.fired is fires
    if fires:
        assert reading.why == (
            "the verifier rewards more what gold marks worse: chair reward +1.00 [+1.00, +1.00] and CHAIRi "
            f"{_points(reading, 'difference')} [{_points(reading, 'low')}, {_points(reading, 'high')}]"
        )


def _points(reading: Reading, name: str) -> str:
    return f"{100 * (reading.figures[f'chair/CHAIRi {name}'] or 0):+.1f}"


def _marks(right: int, *, of: int = 2000) -> TaskResult:
    return yes_no([int(number % of < right) for number in range(of)])


def test_a_plateau_is_no_gain_over_two_rounds_that_would_have_been_seen() -> None:
    seed, first = _round(0, _marks(1600)), _round(1, _marks(1605))
    flat, gained = _round(2, _marks(1601)), _round(2, _marks(1700))
    assert _read("plateau", seed, first).why == "told from round 2 on"
    assert _read("plateau", seed, first, flat).fired
    assert "would be seen four times in five" in _read("plateau", seed, first, flat).why
    assert _read("plateau", seed, first, gained).fired is False
    unsure = _read("plateau", seed, first, flat, margin=0.01)
    assert unsure.fired is None
    assert unsure.why.endswith("not 0.01; raise watch.limit or watch.margin")


def test_a_plateau_is_told_of_the_last_two_rounds_alone() -> None:
    rounds = [_round(number, _marks(right)) for number, right in enumerate((1000, 1600, 1600, 1601))]
    assert _read("plateau", *rounds).fired


def test_a_task_that_falls_is_forgotten_be_it_a_guard() -> None:
    guard = replace(yes_no(RIGHT_OF_100), task="lm_eval:quiz")
    worse = replace(yes_no([0] * 20 + RIGHT_OF_100[20:]), task="lm_eval:quiz")
    fields: dict[str, Any] = {"guarded": frozenset({"lm_eval:quiz"})}
    before, after = (_round(number, _marks(900), last, **fields) for number, last in enumerate((guard, worse)))
    assert _read("forgetting", before, after).why.startswith("worse than the seed model: lm_eval:quiz accuracy -20.0 [")
    assert _read("forgetting", after, before).fired is False
    assert _read("plateau", before, after, before).why.startswith("quiz accuracy"), "nothing else reads a guard"


def test_more_unread_answers_are_format_drift() -> None:
    before = yes_no(RIGHT_OF_100)
    rows = [replace(row, parsed=None) if number < 10 else row for number, row in enumerate(before.rows)]
    reading = _read("format_drift", _round(0, before), _round(1, replace(before, rows=tuple(rows))))
    assert reading.why.startswith("more unread answers than the seed model: quiz unread +10.0 [")
    assert reading.fired
    few = replace(before, rows=(*rows[:2], *before.rows[2:]))
    assert _read("format_drift", _round(0, before), _round(1, few)).fired is False, "two in a hundred may be chance"


# Confidence -----------------------------------------------------------------------------------------------------------


def _sure(result: TaskResult, confidences: Sequence[float]) -> TaskResult:
    counts = [
        {CONFIDENCE: sure, RIGHT: row.value, "watch/sure": 1}
        for row, sure in zip(result.rows, confidences, strict=True)
    ]
    return _counting(result, counts, OVERCONFIDENCE)


def test_a_model_that_grows_surer_than_right_is_confidently_wrong() -> None:
    calibrated, sure, shy = (_sure(yes_no(RIGHT_OF_100), [level] * 100) for level in (0.8, 0.99, 0.6))
    reading = _read("confidence", _round(0, calibrated), _round(1, sure))
    assert reading.fired
    assert reading.figures["quiz/ECE before"] == pytest.approx(0)
    assert reading.figures["quiz/ECE after"] == pytest.approx(0.19)
    assert _read("confidence", _round(0, calibrated), _round(1, shy)).fired is False, "it is less sure than right"


def test_the_calibration_error_is_the_mean_gap_of_fifteen_bins() -> None:
    rows = _sure(yes_no([1, 1, 0, 1]), [0.5, 0.9, 0.92, 1.0]).rows  # bins 8, 14, 14 and 15
    alike = calibration_difference(rows, rows, CONFIDENCE, RIGHT, draws=10)
    assert alike.a == pytest.approx((abs(0.5 - 1) + abs(0.9 + 0.92 - 1) + abs(1.0 - 1)) / 4)
    assert alike.value == 0
    unasked = [replace(row, counts={}) for row in rows]
    assert calibration_difference(unasked, unasked, CONFIDENCE, RIGHT, draws=10).a is None


class _Asks:
    """Yes or no, and three options."""

    name, version, headline, max_tokens, metrics = "asks", 1, "accuracy", 4, ()

    def samples(self, split: str) -> list[Sample]:
        prompts = {"yes": "Is it red?", "B": "Which?\nA. red\nB. blue\n(C) green", "red": "What colour?"}
        return [Sample(id=gold, prompt=text, images=(), target=gold, cluster=gold) for gold, text in prompts.items()]

    def score(self, sample: Sample, answer: str) -> Score:
        return Score(value=float(answer.lower() == sample.target.lower()), parsed=answer, counts={})

    def read(self, sample: Sample, answer: str) -> str:
        return answer

    def gold(self, sample: Sample) -> str:
        return str(sample.target)


class _Likes:
    """Finds what it likes e times as likely as all else."""

    digest = settings = "likes"

    def __init__(self, *liked: str) -> None:
        self.liked = liked

    def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
        raise AssertionError("nothing is decoded")

    def log_likelihood(self, samples: Sequence[Sample], continuations: Sequence[str]) -> list[tuple[float, bool]]:
        assert all(sample.target is None for sample in samples)
        return [(float(text in self.liked), False) for text in continuations]


def test_confidence_is_the_share_of_the_likeliest_of_a_questions_answers() -> None:
    task, samples = _Asks(), _Asks().samples("dev")
    assert [options_of(task, sample) for sample in samples] == [("Yes", "No"), ("A", "B", "C"), ()]
    rows = [
        Marked(id=each.id, cluster=each.id, group=None, answer="", value=0, parsed="", counts={}) for each in samples
    ]
    result = with_confidence(replace(yes_no([]), rows=tuple(rows)), task, samples, _Likes("No", "B"), Store())
    asked = [(row.counts[CONFIDENCE], row.counts[RIGHT]) for row in result.rows[:2]]
    e = 2.718281828
    assert asked == [(pytest.approx(e / (e + 1)), 0), (pytest.approx(e / (e + 2)), 1)]
    assert result.rows[2].counts == {}


def test_an_answer_is_rewarded_once_and_without_gold() -> None:
    class Lengths:
        shown = 0

        def verify(self, groups: Sequence[Group], advance: object = None) -> list[tuple[Verdict, ...]]:
            self.shown += len(groups)
            assert all(group.sample.target is None for group in groups)
            return [(Verdict(reward=len(text) or None),) for group in groups for text in group.answers]

    result = captions("cat dog", "")
    samples = [Sample(id=row.id, prompt="?", images=(), target="gold", cluster=row.cluster) for row in result.rows]
    verifier = Lengths()
    twice = with_rewards([result, replace(result, task="again")], [samples, samples], verifier)  # type: ignore[arg-type]
    assert verifier.shown == 2
    assert [[row.counts.get("watch/reward") for row in each.rows] for each in twice] == [[7, None]] * 2


# What they lead to ----------------------------------------------------------------------------------------------------


def _watched(number: int, value: float | None, *fired: str, better: str = "higher") -> Watched:
    choice = Choice(task="quiz", metric="accuracy", better=better, percent=True, value=value, n=9)
    readings = tuple(Reading(monitor=name, fired=True, why="it did", figures={}) for name in fired)
    return Watched(number=number, split="dev", choice=choice, readings=readings)


def test_the_best_checkpoint_is_the_earliest_with_the_best_figure_on_dev() -> None:
    rounds = [_watched(number, value) for number, value in enumerate((0.5, 0.7, 0.7, None))]
    assert best_round(rounds) == rounds[1]
    assert best_sentence(rounds) == "round 1, chosen on dev by quiz accuracy (70.0, n 9)"
    assert best_sentence([_watched(0, 0.2, better="lower"), _watched(1, 0.3, better="lower")]).startswith("the seed")
    assert best_round(rounds[:1]) is None, "there is nothing to choose from"


def test_a_run_is_stopped_by_the_first_round_in_which_a_named_monitor_fires(tmp_path: Path) -> None:
    for number, fired in enumerate(((), ("forgetting",), ("collapse", "forgetting"))):
        write_watched(tmp_path / f"round-{number}/watch/readings.json", _watched(number, 0.5, *fired))
    assert stop_sentence(tmp_path, ["collapse"]) == "stopped after round 2 by stop_when: collapse (it did)"
    assert stop_sentence(tmp_path, ["confidence"]) == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["watch.split=test"], "field 'watch.split' is 'test': checkpoints chosen on it would flatter it; say dev"),
        (["watch.split=reserve-2"], "would flatter it"),
        (["watch=null", "stop_when=[collapse]"], "'stop_when' names monitors, and watch is null"),
        (["stop_when=[colapse]"], "'stop_when.0' is 'colapse'"),
        (["watch.guard=[a]", "watch.choose_by=a"], "'watch.choose_by' is 'a', a guard"),
    ],
)
def test_a_recipe_cannot_choose_by_what_it_reports(changes: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(JUDGE_FREE, changes)
    assert message in str(caught.value)


def test_watching_is_no_part_of_what_a_recipe_is_known_by() -> None:
    assert "watch" not in Recipe(name="a").off_default()
