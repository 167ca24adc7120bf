"""What a run must beat that nobody trained: the seed made quiet, filtered by the verifier, or asked several times."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from harness.models.vlm import Vlm
from harness.ranked import OWN, VERIFIER, at_words
from harness.results import Results
from harness.store import Store
from harness.types import Advance, AnswerStream, Group, Metric, Sample, Sampling, Score, Verdict
from leaderboards.build import build_board
from leaderboards.untrained import untrained, words_of
from loops.baselines import filtered, reranked
from tests.support.worlds import CAPTIONS, captions, write_folder, write_run


@dataclasses.dataclass(frozen=True)
class Words:
    """Sentences of one word; a word with a mark is wrong."""

    name: str = "chair"
    version: int = 1
    headline: str = "CHAIRi"
    frontier: tuple[str, str] = ("CHAIRi", "recall")
    max_tokens: int = 8
    metrics: tuple[Metric, ...] = CAPTIONS

    def samples(self, split: str) -> Sequence[Sample]:
        return [Sample(id=f"p{i}", prompt="?", images=(), target="gold", cluster=f"scene-{i}") for i in range(2)]

    def score(self, sample: Sample, answer: str) -> Score:
        assert sample.target == "gold"
        text = answer.split()
        wrong = sum(word.startswith("!") for word in text)
        counts = {"captions": 1, "words": len(text), "mentions": len(text), "hallucinated_mentions": wrong,
                  "gt_objects": 3, "recalled": len(text) - wrong}  # fmt: skip
        return Score(value=0.0, parsed=text, counts=counts)

    def gold(self, sample: Sample) -> str:
        return ""


class Alphabet:
    """Likes what comes early in the alphabet, and must not be shown what is right."""

    name = "alphabet"
    sees_gold = False

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        assert all(group.sample.target is None for group in groups)
        return [tuple(Verdict(reward=-float(ord(answer[0]))) for answer in group.answers) for group in groups]


class Drawer:
    """Says another letter each time."""

    digest = settings = "d"

    def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
        assert (sampling.n, sampling.temperature) == (3, 1.0)
        yield from enumerate(["c d.", "a !b.", "b c."] for _ in samples)


def _seed() -> Results:
    answers = ("z. y. a.", "b.")
    marked = captions("z y a", "b")
    rows = tuple(dataclasses.replace(row, answer=answer) for row, answer in zip(marked.rows, answers, strict=True))
    return _of(dataclasses.replace(marked, rows=rows))


def test_the_verifier_ranks_each_sentence_of_the_seeds_answers_without_gold() -> None:
    (task,) = filtered(_seed(), [Words()], "test", Alphabet()).tasks
    assert [step.sentence for step in task.rows[0].ranked[VERIFIER]] == [None, 2, 1, 0]
    # two words a caption in the mean are kept of each, "a." and "y." and "b.", by one threshold
    assert [row.counts["words"] for row in at_words(task, VERIFIER, 1.5).rows] == [2, 1]


def test_answers_that_two_tasks_mark_are_shown_to_the_verifier_once() -> None:
    class Counting(Alphabet):
        shown = 0

        def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
            self.shown += len(groups)
            return super().verify(groups, advance)

    (task,), verifier = _seed().tasks, Counting()
    twice = dataclasses.replace(_seed(), tasks=(task, dataclasses.replace(task, task="again")))
    first, second = filtered(twice, [Words(), Words(name="again")], "test", verifier).tasks
    assert verifier.shown == 2
    assert [row.ranked for row in first.rows] == [row.ranked for row in second.rows]


def test_the_best_of_several_answers_is_the_verifiers_and_not_golds(tmp_path: Path) -> None:
    best = reranked(
        _seed(), [Words()], "test", Alphabet(), cast(Vlm, Drawer()), answers=3, store=Store(tmp_path / "a.jsonl"),
        bar=_no_bar,
    )  # fmt: skip
    assert [row.answer for row in best.tasks[0].rows] == ["a !b.", "a !b."]
    assert best.tasks[0].rows[0].counts["hallucinated_mentions"] == 1


def _no_bar(task: str, total: int) -> Callable[[int], None]:
    return lambda done: None


def test_quiet_is_the_seed_at_the_checkpoints_words(tmp_path: Path) -> None:
    seed, last = captions(*["cat dog !car"] * 4), captions(*["cat dog"] * 4)
    run = write_run(tmp_path / "run", [[seed], [last]])
    results = Results(model="toy", digest="d", parent=None, provenance={}, tasks=(seed,))
    assert words_of([_of(last)]) == {"chair": 2.0}
    named = untrained(run, results, {"chair": 2.0})
    assert list(named) == ["quiet"], "this run has no verifier's baselines"
    assert [row.counts["hallucinated_mentions"] for row in named["quiet"].task("chair").rows] == [0] * 4


def test_the_board_sets_them_beside_the_run(tmp_path: Path) -> None:
    seed = captions(*["cat dog !car"] * 4)
    run = write_run(tmp_path / "run", [[seed], [captions(*["cat dog"] * 4)]])
    by_verifier = dataclasses.replace(
        seed, rows=tuple(dataclasses.replace(row, ranked={VERIFIER: row.ranked[OWN]}) for row in seed.rows)
    )
    write_folder(run / "round-0" / "baselines" / "filter", by_verifier)
    write_folder(run / "round-0" / "baselines" / "rerank", captions(*["cat !dog"] * 4))
    build_board([run], tmp_path / "out")
    text = (tmp_path / "out" / "board.md").read_text()
    section = text.split("## chair: without training")[1].split("\n## ")[0]
    lines = [line.split(" | ")[:4] for line in section.splitlines() if line.startswith("| honed")]
    chair = [(line[1], line[3].split(" ")[0]) for line in lines]
    assert chair == [("quiet", "0.0"), ("filter", "0.0"), ("rerank", "50.0")]


def _of(task: Any) -> Results:
    return Results(model="toy", digest="d", parent=None, provenance={}, tasks=(task,))


def test_a_task_without_words_has_no_such_baseline() -> None:
    bare = dataclasses.replace(captions("cat"), metrics=CAPTIONS[:3])
    assert words_of([_of(bare)]) == {}
    assert words_of([_of(captions("cat dog", "cup"))]) == {"chair": pytest.approx(1.5)}
