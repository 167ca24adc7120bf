"""Nobody is asked the same thing twice, nobody gets another's answer, and a kill costs one chunk at most."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from harness.errors import DataError
from harness.store import Store, ask
from harness.types import Advance, Sample, Sampling


@dataclasses.dataclass
class Parrot:
    """Says how often it was asked before; `dies_at` is the call in which it is killed."""

    digest: str = "d1"
    settings: str = "s1"
    dies_at: int | None = None
    asked: list[str] = dataclasses.field(default_factory=list)
    calls: int = 0

    def generate(
        self, samples: Sequence[Sample], sampling: Sampling, advance: Advance | None = None
    ) -> list[list[str]]:
        self.calls += 1
        if self.calls == self.dies_at:
            raise KeyboardInterrupt
        self.asked += [sample.id for sample in samples]
        if advance:
            advance(len(samples))
        return [[f"{sample.prompt} {draw}" for draw in range(sampling.n)] for sample in samples]


def _grey(level: int) -> Image.Image:
    return Image.new("L", (2, 2), level)


def _grey_1() -> Image.Image:
    return _grey(1)


def _grey_2() -> Image.Image:
    return _grey(2)


CAT = Sample(id="cat", prompt="A cat?", images=(_grey_1,), target=None, cluster="1")
DOG = Sample(id="dog", prompt="A dog?", images=(_grey_1,), target=None, cluster="1")


def test_the_second_time_nobody_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    first = ask(Parrot(), [CAT, DOG], Sampling(n=2), Store(path))
    silent = Parrot()
    assert (
        ask(silent, [CAT, DOG], Sampling(n=2), Store(path))
        == first
        == [["A cat? 0", "A cat? 1"], ["A dog? 0", "A dog? 1"]]
    )
    assert silent.calls == 0


CHANGES = {
    "weights": (Parrot(digest="d2"), CAT, Sampling()),
    "settings": (Parrot(settings="s2"), CAT, Sampling()),
    "prompt": (Parrot(), dataclasses.replace(CAT, prompt="A cat!"), Sampling()),
    "picture": (Parrot(), dataclasses.replace(CAT, images=(_grey_2,)), Sampling()),
    "pictures": (Parrot(), dataclasses.replace(CAT, images=(_grey_1, _grey_1)), Sampling()),
    "temperature": (Parrot(), CAT, Sampling(temperature=0.5)),
    "length": (Parrot(), CAT, Sampling(max_tokens=65)),
    "number": (Parrot(), CAT, Sampling(n=2)),
    "seed": (Parrot(), CAT, Sampling(seed=1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_decides_an_answer_asks_again(tmp_path: Path, change: str) -> None:
    path = tmp_path / "answers.jsonl"
    ask(Parrot(), [CAT], Sampling(), Store(path))
    model, sample, sampling = CHANGES[change]
    model = dataclasses.replace(model, asked=[])
    ask(model, [sample], sampling, Store(path))
    assert model.asked == ["cat"]


def test_what_decides_nothing_does_not_ask_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    ask(Parrot(), [CAT], Sampling(), Store(path))
    silent = Parrot()
    twin = Sample(id="twin", prompt="A cat?", images=(lambda: _grey(1).convert("RGB"),), target="yes", cluster="9")
    ask(silent, [twin], Sampling(), Store(path))
    assert silent.asked == []


def test_equal_questions_are_asked_once() -> None:
    model = Parrot()
    twin = dataclasses.replace(CAT, id="twin")
    assert ask(model, [CAT, DOG, twin], Sampling()) == [["A cat? 0"], ["A dog? 0"], ["A cat? 0"]]
    assert model.asked == ["cat", "dog"]


def test_equal_questions_are_drawn_for_each_where_chance_decides() -> None:
    model = Parrot()
    ask(model, [CAT, dataclasses.replace(CAT, id="twin")], Sampling(temperature=1.0))
    assert model.asked == ["cat", "twin"]


def test_every_sample_is_heard_of_stored_or_not(tmp_path: Path) -> None:
    store, heard = Store(tmp_path / "answers.jsonl"), list[int]()
    ask(Parrot(), [CAT], Sampling(), store)
    ask(Parrot(), [CAT, DOG, dataclasses.replace(DOG, id="twin")], Sampling(), store, heard.append)
    assert sum(heard) == 3


@pytest.mark.parametrize("cut", [1, 10])
def test_a_last_line_that_was_cut_is_dropped_and_asked_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "answers.jsonl"
    ask(Parrot(), [CAT, DOG], Sampling(), Store(path))
    path.write_bytes(path.read_bytes()[:-cut])
    model = Parrot()
    assert ask(model, [CAT, DOG], Sampling(), Store(path)) == [["A cat? 0"], ["A dog? 0"]]
    assert model.asked == ["dog"]
    assert [json.loads(line)["answers"] for line in path.read_text().splitlines()] == [["A cat? 0"], ["A dog? 0"]]


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"key": "a", "answers": []}\nnot JSON\n{"key": "b", "answers": []}\n')
    with pytest.raises(DataError, match=r"answers\.jsonl:2: .*remove it"):
        Store(path)


def test_a_kill_after_the_first_chunk_keeps_the_first_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.store.CHUNK", 3)
    path = tmp_path / "answers.jsonl"
    samples = [dataclasses.replace(CAT, id=str(number), prompt=f"{number}?") for number in range(8)]
    with pytest.raises(KeyboardInterrupt):
        ask(Parrot(dies_at=2), samples, Sampling(), Store(path))
    assert len(path.read_text().splitlines()) == 3
    model = Parrot()
    assert ask(model, samples, Sampling(), Store(path)) == [[f"{number}? 0"] for number in range(8)]
    assert model.asked == ["3", "4", "5", "6", "7"]
