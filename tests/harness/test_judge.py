"""A judge is asked once, named with its figures, and what it did not clearly say is no grade."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from harness.errors import DataError, PictureError
from harness.files import write_json, write_jsonl
from harness.judge import ModelJudge, ask_judge
from harness.marking import Answered
from harness.results import read_results
from harness.store import Store
from harness.types import AnswerStream, Sample, Sampling
from strop.commands.score import score_app
from tasks.ic.judge import Opinion, judge_captions, judge_metrics, opinion_counts, read_opinion
from tasks.ic.task import Ic
from tests.support.scripted import ScriptedJudge
from tests.support.served import served
from tests.support.tiny import save_tiny

pytestmark = pytest.mark.slow


def _captions(*texts: str) -> Answered:
    samples = tuple(
        Sample(
            id=str(n),
            prompt="Describe.",
            images=(),
            target={"dog": 2, "person": None},
            cluster=str(n),
            meta={"file_name": f"{n}.png"},
        )
        for n in range(len(texts))
    )
    return Answered(task=Ic(), samples=samples, answers=texts)


def _question(prompt: str) -> Sample:
    return Sample(id=prompt, prompt=prompt, images=(), target="gold", cluster=prompt, meta={"gold": 1})


# Asking ---------------------------------------------------------------------------------------------------------------


def test_a_reply_is_kept_and_never_asked_for_again(tmp_path: Path) -> None:
    judge = ScriptedJudge(["one", "two"])
    steps: list[int] = []
    questions = [_question("a"), _question("b"), _question("a")]
    assert ask_judge(judge, questions, Store(tmp_path / "kept.jsonl"), steps.append) == ["one", "two", "one"]
    assert [sample.prompt for sample in judge.samples] == ["a", "b"]
    assert sum(steps) == 3
    assert ask_judge(ScriptedJudge([]), questions, Store(tmp_path / "kept.jsonl")) == ["one", "two", "one"]


def test_an_outage_is_no_reply_and_is_asked_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "kept.jsonl")
    assert ask_judge(ScriptedJudge(["one", None]), [_question("a"), _question("b")], store) == ["one", None]
    later = ScriptedJudge(["two"])
    assert ask_judge(later, [_question("a"), _question("b")], Store(tmp_path / "kept.jsonl")) == ["one", "two"]
    assert [sample.prompt for sample in later.samples] == ["b"]


def test_another_judge_and_another_picture_are_asked_anew(tmp_path: Path) -> None:
    store = Store(tmp_path / "kept.jsonl")
    Image.new("RGB", (2, 2)).save(tmp_path / "black.png")
    Image.new("RGB", (2, 2), "white").save(tmp_path / "white.png")
    seen = [
        Sample(id="", prompt="a", images=(tmp_path / name,), target=None, cluster="")
        for name in ("black.png", "white.png")
    ]
    assert ask_judge(ScriptedJudge(["one", "two"]), seen, store) == ["one", "two"]
    assert ask_judge(ScriptedJudge(["three"], id="other"), seen[:1], store) == ["three"]
    assert ask_judge(ScriptedJudge([]), seen, store) == ["one", "two"]


def test_a_judge_is_told_the_question_and_no_gold(tmp_path: Path) -> None:
    judge = ScriptedJudge(["one"])
    ask_judge(judge, [_question("a")], Store(tmp_path / "kept.jsonl"))
    assert (judge.samples[0].target, judge.samples[0].meta) == (None, {})


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file is a file; name a folder"):
        ask_judge(ScriptedJudge(["one"]), [_question("a")], Store(tmp_path / "file/kept.jsonl"))


class _Model:
    digest, settings = "0123456789abcdef" * 4, "fedcba9876543210"

    def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
        assert (sampling.temperature, sampling.n) == (0.0, 1)
        yield from enumerate([f"said {sample.prompt}"] for sample in samples)


def test_a_model_becomes_a_judge_under_the_digest_of_its_weights() -> None:
    judge = ModelJudge(name="my/model", model=_Model())
    assert judge.id == "my/model@0123456789ab.fedcba"
    assert list(judge.stream([_question("a"), _question("b")])) == [(0, ["said a"]), (1, ["said b"])]


# Reading --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        "precision: 80\nrecall: 50",
        "**Precision:** 80%, **Recall:** 50%",
        "Precision = 80/100. Recall = 50 / 100.",
        "recall 50; precision 80.",
    ],
)
def test_two_percentages_are_an_opinion(reply: str) -> None:
    assert read_opinion(reply) == Opinion(precision=0.8, recall=0.5)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "Good caption!",
        "precision: 80",
        "precision: high, recall: low",
        "precision: 0.8, recall: 0.5",
        "precision: 8/10, recall: 5/10",
        "precision: 101, recall: 50",
        "precision: 1000, recall: 50",
        "precision: -5, recall: 50",
        "precision: 80, precision: 90, recall: 50",
        "precision: <number>\nrecall: <number>",
        "imprecision: 80, recall: 50",
    ],
)
def test_anything_else_is_none(reply: str) -> None:
    assert read_opinion(reply) is None


@given(st.integers(0, 100), st.integers(0, 100))
def test_what_was_asked_for_is_read_back(precision: int, recall: int) -> None:
    opinion = read_opinion(f"precision: {precision}\nrecall: {recall}")
    assert opinion == Opinion(precision=precision / 100, recall=recall / 100)


@given(st.text(max_size=60))
def test_no_reply_breaks_the_reader(reply: str) -> None:
    opinion = read_opinion(reply)
    assert opinion is None or 0 <= opinion.precision <= 1


# Captions -------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_and_what_never_came_are_unjudged(tmp_path: Path) -> None:
    captions = _captions("Two dogs.", "A cat.", "A bus.", "  ")
    judge = ScriptedJudge(["precision: 100, recall: 50", "no idea", None])
    opinions = judge_captions(judge, captions.samples, captions.answers, None, Store(tmp_path / "kept.jsonl"))
    assert opinions == [Opinion(precision=1.0, recall=0.5), None, None, None]
    assert len(judge.samples) == 3, "a blank caption is not asked about"
    counts = [opinion_counts(text, opinion) for text, opinion in zip(captions.answers, opinions, strict=True)]
    assert [count["unjudged"] for count in counts] == [0, 1, 1, 0]
    sums = {name: sum(count.get(name, 0) for count in counts) for name in ("judge_precision", "precision_judged")}
    assert sums == {"judge_precision": 1.0, "precision_judged": 1}
    sums = {name: sum(count.get(name, 0) for count in counts) for name in ("judge_recall", "recall_judged")}
    assert sums == {"judge_recall": 0.5, "recall_judged": 2}, "saying nothing recalls nothing"


def test_the_judge_reads_caption_and_counts_and_sees_the_picture_if_shown(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "0.png")
    judge = ScriptedJudge(["precision: 1, recall: 1"])
    captions = _captions("A {dog}.")
    judge_captions(judge, captions.samples, captions.answers, tmp_path, Store(tmp_path / "kept.jsonl"))
    (sample,) = judge.samples
    assert "as counted by annotators: 2 dog, several person." in sample.prompt
    assert "---\nA {dog}.\n---" in sample.prompt
    assert sample.images == (tmp_path / "0.png",)
    captions = _captions("A dog.", "A cat.")
    with pytest.raises(PictureError, match=r"1\.png: no such picture"):
        judge_captions(judge, captions.samples, captions.answers, tmp_path, Store(tmp_path / "kept.jsonl"))


def test_figures_of_two_judges_never_share_a_name() -> None:
    assert not {judge_metric.name for judge_metric in judge_metrics("a")} & {
        judge_metric.name for judge_metric in judge_metrics("b")
    }


def _ic(tmp_path: Path, *more: object) -> list[str]:
    """The command that scores one caption, "Two dogs.", of a picture with two."""
    truth = {"1": {"file_name": "1.png", "objects": ["dog"], "counts": {"dog": 2}}}
    write_json(tmp_path / "ic/truth.json", {"benchmark": "ic", "version": 1, "images": truth})
    write_json(tmp_path / "ic/synonyms.json", {"dog": ["dog"]})
    write_json(tmp_path / "ic/double_words.json", {})
    write_jsonl(tmp_path / "answers.jsonl", [{"image_id": 1, "caption": "Two dogs."}])
    arguments = ["ic", "--answers", tmp_path / "answers.jsonl", "--truth", tmp_path / "ic", "--data", tmp_path / "data"]
    return [str(item) for item in [*arguments, "--profile", "lemminflect", *more]]


def test_a_local_model_judges_from_the_command_line(tmp_path: Path) -> None:
    command = _ic(tmp_path, "--judge", save_tiny(tmp_path / "tiny"), "--out", tmp_path / "out")
    results = [CliRunner().invoke(score_app, [*command, *more]) for more in (["--json"], [])]
    assert [entry.exception for entry in results] == [None, None]
    printed = json.loads(results[0].stdout)
    judge = printed["info"]["judge"]
    assert judge["id"].startswith(f"{tmp_path / 'tiny'}@")
    assert (judge["prompt"], judge["sees_pictures"]) == (1, False)
    assert printed["metrics"][f"unjudged by {judge['id']}"]["value"] == 1.0, "a model that babbles gives no grade"
    assert printed["metrics"][f"precision by {judge['id']}"]["value"] is None
    assert printed["metrics"]["counts_right"]["value"] == 1.0
    assert read_results(tmp_path / "out").task("ic").info["judge"] == judge
    assert len((tmp_path / "data/ic/judge.jsonl").read_text().splitlines()) == 1


def test_an_endpoint_judges_from_the_command_line_and_sees_the_picture(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "1.png")
    with served(lambda _: "precision: 100\nrecall: 50") as server:
        command = _ic(tmp_path, "--judge", "j", "--judge-endpoint", server.url, "--images", tmp_path, "--json")
        printed = json.loads(CliRunner().invoke(score_app, command).stdout)
    judge = printed["info"]["judge"]
    assert judge["sees_pictures"] is True
    figures = {name: entry["value"] for name, entry in printed["metrics"].items() if judge["id"] in name}
    assert list(figures.values()) == [1.0, 0.5, 0.0]
    assert [sample["type"] for sample in server.requests[0]["messages"][0]["content"]] == ["image_url", "text"]
