"""The same captions cut short give CHAIR at every length, and the published figures for their first sentences."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from harness.marking import Answered
from harness.types import Sample
from strop.commands.score import score_app
from tasks.chair.answers import load_answers
from tasks.chair.cut import Cut, cut_captions, first_words
from tasks.chair.marks import score_caption
from tasks.chair.task import Chair
from tasks.reading.object_words import PROFILES, CaptionReader, ChairTables, load_tables

TOY = ChairTables(synonyms={"cat": ["cat"], "bus": ["bus"]})
OFFLINE = PROFILES["lemminflect"]
COUNTS = ("hallucinated_captions", "hallucinated_mentions", "mentions", "recalled", "gt_objects", "words")


def _answers(*captions: str) -> Answered:
    samples = tuple(
        Sample(id=str(n), prompt="", images=(), target=frozenset({"cat"}), cluster=str(n)) for n in range(len(captions))
    )
    return Answered(task=Chair(), samples=samples, answers=captions)


def _reader(tables: ChairTables, profile: str = "lemminflect") -> CaptionReader:
    return CaptionReader(profile=profile, normaliser=PROFILES[profile], tables=tables, info={})


def _totals(cut: Cut) -> Counter[str]:
    total: Counter[str] = Counter()
    for row in cut.rows:
        total.update({name: int(count) for name, count in row.counts.items()})
    return total


def _shape(cuts: Sequence[Cut]) -> list[tuple[str, int | None, int]]:
    return [(cut.unit, cut.k, cut.shortened) for cut in cuts]


def test_the_first_sentences_of_the_published_captions_score_what_they_score(
    conformance: Path, nltk_data: Path, expected: dict[str, Any]
) -> None:
    chair = conformance / "chair"
    answered = load_answers(chair / "opera/llava-1.5/greedy.jsonl", chair / "ground_truth_maxlinn.json.gz")
    cuts = list(cut_captions(answered.samples, answered.answers, _reader(load_tables(chair), "official")))
    by_sentences = {str(cut.k): _totals(cut) for cut in cuts if cut.unit == "sentences"}
    entries = expected["chair/opera/llava-1.5/greedy first sentences"]["recomputed"]
    assert list(entries) == ["1", "2", "3", "4", "5"]
    for k, figures in entries.items():
        assert {name: by_sentences[k][name] for name in COUNTS} == {name: figures[name] for name in COUNTS}
    whole = expected["chair/opera/llava-1.5/greedy"]["recomputed"]["maxlinn"]
    for total in (_totals(cut) for cut in cuts if cut.k is None):
        assert {name: total[name] for name in COUNTS} == {name: whole[name] for name in COUNTS}


def test_no_length_hides_that_longer_captions_recall_more_and_err_more(conformance: Path, nltk_data: Path) -> None:
    chair = conformance / "chair"
    answered = load_answers(chair / "opera/llava-1.5/greedy.jsonl", chair / "ground_truth_maxlinn.json.gz")
    cuts = list(cut_captions(answered.samples, answered.answers, _reader(load_tables(chair), "official")))
    for unit in ("sentences", "words"):
        totals = [_totals(cut) for cut in cuts if cut.unit == unit]
        for figure in (
            [total["hallucinated_mentions"] / total["mentions"] for total in totals],
            [total["recalled"] / total["gt_objects"] for total in totals],
        ):
            assert figure == sorted(figure)


def test_a_caption_is_cut_after_sentences_and_after_words() -> None:
    answers = _answers("A cat here. A bus. A cat beside a bus, and nothing else.", "A bus.")
    cuts = list(cut_captions(answers.samples, answers.answers, _reader(TOY)))
    assert _shape(cuts) == [
        *(("sentences", 1, 1), ("sentences", 2, 1), ("sentences", None, 0)),
        *(("words", 5, 1), ("words", 10, 1), ("words", None, 0)),
    ]
    assert [cut.rows[0].answer for cut in cuts] == [
        "A cat here.",
        "A cat here. A bus.",
        answers.answers[0],
        "A cat here. A bus.",
        "A cat here. A bus. A cat beside a bus,",
        answers.answers[0],
    ]
    assert [_totals(cut)["mentions"] for cut in cuts] == [2, 3, 5, 3, 5, 5]
    assert all(cut.rows[1].answer == "A bus." for cut in cuts)


def test_captions_of_one_word_have_nothing_to_cut() -> None:
    cats = _answers("Cats", "")
    assert _shape(list(cut_captions(cats.samples, cats.answers, _reader(TOY)))) == [
        ("sentences", None, 0),
        ("words", None, 0),
    ]


@given(st.text(alphabet="ab .\n\t", max_size=30), st.integers(1, 8))
def test_the_first_words_are_the_head_of_the_caption(caption: str, k: int) -> None:
    kept = first_words(caption, k)
    assert caption.startswith(kept)
    assert kept.split() == caption.split()[:k]
    assert first_words(kept, k) == kept


@given(st.lists(st.lists(st.sampled_from(["A cat.", "A bus.", "Grass", "and"]), max_size=9), min_size=1, max_size=4))
def test_a_longer_cut_never_recalls_less(captions: list[list[str]]) -> None:
    answers = _answers(*(" ".join(parts) for parts in captions))
    for unit in ("sentences", "words"):
        totals = [
            _totals(cut_caption)
            for cut_caption in cut_captions(answers.samples, answers.answers, _reader(TOY))
            if cut_caption.unit == unit
        ]
        for name in ("recalled", "mentions", "hallucinated_mentions", "words"):
            assert [total[name] for total in totals] == sorted(total[name] for total in totals)
    whole = [score_caption(OFFLINE.words(answer), {"cat"}, TOY).counts for answer in answers.answers]
    assert totals[-1]["mentions"] == sum(counts["mentions"] for counts in whole)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "truth.json").write_text('{"categories": ["cat"], "images": {"1": [0], "2": [0]}}')
    (tmp_path / "synonyms.json").write_text('{"cat": ["cat"], "bus": ["bus"]}')
    (tmp_path / "double_words.json").write_text("{}")
    rows = [{"image_id": 1, "caption": "A cat. A bus."}, {"image_id": 2, "caption": "Two cats."}]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["chair", "--answers", tmp_path / "answers.jsonl", "--truth", tmp_path / "truth.json"]
    return [*map(str, arguments), "--profile", "lemminflect"]


def test_the_curve_is_in_the_json_and_beside_the_results(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    printed = json.loads(CliRunner().invoke(score_app, [*files, "--cut", "--json", "--out", str(out)]).stdout)
    points = printed["cut"]["sentences"]
    assert [(point["k"], point["shortened"]) for point in points] == [(1, 1), (None, 0)]
    assert [point["metrics"]["CHAIRi"]["value"] for point in points] == [0.0, 1 / 3]
    assert [point["metrics"]["recall"]["value"] for point in points] == [1.0, 1.0]
    assert points[-1]["metrics"] == printed["metrics"]
    assert json.loads((out / "chair_cut.json").read_text()) == printed["cut"]
    assert "cut" not in json.loads(CliRunner().invoke(score_app, [*files, "--json", "--out", str(out)]).stdout)
    assert not (out / "chair_cut.json").exists(), "a curve stands beside the results that it belongs to"


def test_the_table_shows_recall_beside_chair_at_every_cut(files: list[str]) -> None:
    table = CliRunner().invoke(score_app, [*files, "--cut"]).stdout
    assert "the same captions cut short" in table
    (row,) = [line for line in table.splitlines() if "1 sentence " in line]
    assert [cell.strip() for cell in row.strip("│").split("│")][:3] == ["1 sentence", "1", "100.00"]
