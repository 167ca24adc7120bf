"""A model is honed on pairs that somebody else made, in every layout in which such pairs are published."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from harness.autonomy import UNKNOWN
from harness.errors import DataError
from harness.files import read_jsonl
from harness.pictures import open_picture
from leaderboards.build import build_board
from loops.recipe import load_recipe
from tasks.data.pairs import PairPool
from tasks.pictos.benchmarks import caption_samples
from tasks.registry import training_pool
from tests.support.recipes import JUDGE_FREE
from tests.support.shell import Strop

pytestmark = pytest.mark.reported("pools")

PAIRS = [(f"What is in picture {n}?", f"A cat and {n} dogs.", f"A bear on the left of {n} cups.") for n in range(12)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve pictures of coloured noise, here."""
    for number in range(len(PAIRS)):
        colours = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(colours).save(tmp_path / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    yield


def _messages(*texts: str, keys: tuple[str, str, str, str] = ("role", "content", "user", "assistant")) -> list[Any]:
    role, text, asking, answering = keys
    return [{role: who, text: answer} for who, answer in zip((asking, answering), texts, strict=False)]


OLD = ("from", "value", "human", "gpt")

ROWS: dict[str, Callable[[str, str, str, str], dict[str, Any]]] = {
    "RLAIF-V": lambda image, sample, better, worse: {
        "image": image, "question": sample, "chosen": better, "rejected": worse, "origin_dataset": "x", "idx": 3,
    },
    "RLHF-V": lambda image, request, better, worse: {
        "image": image, "text": json.dumps({"question": request, "chosen": better, "rejected": worse}),
    },
    "STIC": lambda image, question, better, worse: {
        "image": image, "chosen": _messages(f"<image>\n{question}", better), "rejected": _messages(question, worse),
    },
    "POVID": lambda image, question, better, worse: {
        "id": "7", "image": image, "conversations": _messages(f"<image>\n{question}", better, keys=OLD),
        "rejected_conversations": _messages(f"<image>\n{question}", worse, keys=OLD),
    },
    "LLaVA-RLHF": lambda image, question, better, worse: {
        "id": "7", "image": image, "conversations": _messages(f"{question}\n<image>", keys=OLD),
        "output_1": {"from": "llava", "value": worse}, "output_2": {"from": "llava", "value": better}, "preference": 2,
    },
    "TRL": lambda image, question, better, worse: {
        "images": [image],
        "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}],
        "chosen": [{"role": "assistant", "content": [{"type": "text", "text": better}]}],
        "rejected": [{"role": "assistant", "content": [{"type": "text", "text": worse}]}],
    },
    "TRL, plain": lambda image, question, better, worse: {
        "images": [image], "prompt": question, "chosen": better, "rejected": worse,
    },
}  # fmt: skip


def _rows(layout: str) -> list[dict[str, Any]]:
    return [ROWS[layout](f"{number}.png", *pair) for number, pair in enumerate(PAIRS)]


def _lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"pairs:{path}"


def _told(pool: Any) -> list[tuple[str, str, str]]:
    assert isinstance(pool, PairPool)
    return sorted(((sample.prompt, *pool.answers[sample.id]) for sample in pool.samples), key=PAIRS.index)


@pytest.mark.parametrize("layout", ROWS)
def test_pairs_are_the_same_in_every_layout(folder: Path, layout: str) -> None:
    plain = training_pool(_lines(folder / "plain.jsonl", _rows("RLAIF-V")))
    lines = training_pool(_lines(folder / "pairs.jsonl", _rows(layout)))
    (folder / "pairs.json").write_text(json.dumps(_rows(layout), indent=1))
    document = training_pool("pairs:pairs.json")
    assert _told(lines) == _told(document) == PAIRS
    assert lines.identity == document.identity == plain.identity
    assert (lines.has_gold, lines.apart) == (False, False)


@pytest.mark.parametrize("lies", ["one file", "a folder of the hub's", "an images folder", "names in a table"])
def test_pictures_lie_in_the_table_or_beside_it(folder: Path, lies: str) -> None:
    import datasets

    plain = training_pool(_lines(folder / "plain.jsonl", _rows("RLAIF-V")))
    if lies == "an images folder":
        _lines(folder / "more.jsonl", _rows("RLAIF-V"))
        (folder / "images").mkdir()
        for path in folder.glob("*.png"):
            shutil.move(path, folder / "images" / path.name)
        result = training_pool("pairs:more.jsonl")
    else:
        rows = _rows("RLAIF-V")
        features = None
        if lies != "names in a table":
            rows = [{**row, "image": {"bytes": (folder / row["image"]).read_bytes(), "path": None}} for row in rows]
            text = {name: datasets.Value("string") for name in ("question", "chosen", "rejected", "origin_dataset")}
            features = datasets.Features({"image": datasets.Image(), **text, "idx": datasets.Value("int64")})
        table = datasets.Dataset.from_list(rows, features=features)
        position = folder / "hub/data/train-00000-of-00001.parquet" if "folder" in lies else folder / "pairs.parquet"
        position.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(position)
        result = training_pool(f"pairs:{folder / 'hub' if 'folder' in lies else position}")
    assert result.identity == plain.identity
    drawn = {np.asarray(open_picture(*sample.images)).tobytes() for sample in result.samples}  # type: ignore[union-attr]
    assert drawn == {
        np.random.default_rng(n).integers(0, 256, (24, 32, 3), dtype=np.uint8).tobytes() for n in range(len(PAIRS))
    }


GOOD = {"image": "0.png", "question": "What?", "chosen": "A cat.", "rejected": "A dog."}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chosen": None}, "field 'chosen' must be a text or a list of messages, found null"),
        ({"chosen": ...}, "field 'chosen' is missing; found image, question, rejected"),
        ({"rejected": " "}, "field 'rejected' must be an answer that is not blank, found \" \""),
        ({"chosen": 7}, "field 'chosen' must be a text or a list of messages, found 7"),
        (
            {"chosen": _messages("What?")},
            "field 'chosen' must be an answer, or messages of one question and one answer",
        ),
        ({"chosen": [{"role": "system", "content": "x"}]}, "field 'chosen' must be messages of role user or assistant"),
        (
            {"chosen": [{"role": "assistant", "content": 3}]},
            "field 'chosen' must be messages of role user or assistant",
        ),
        ({"chosen": ["A cat."]}, "field 'chosen' must be messages of role user or assistant"),
        (
            {"chosen": [*_messages("a", "b"), *_messages("c", "d")]},
            "field 'chosen' must be an answer, or messages of one question and one answer",
        ),
        ({"question": ...}, "no question; a pair is one question and two answers to it"),
        ({"rejected": _messages("Why?", "A dog.")}, "two questions, 'What?'; 'Why?'; a pair is one question"),
        ({"image": ...}, "holds no picture; a pair is about one, in image or images"),
        ({"image": "no.png"}, "no such picture as no.png, neither in "),
        ({"image": 5}, "field 'image' must be a path or the bytes of a picture, found 5"),
        ({"preference": 3, "output_1": "a", "output_2": "b"}, "field 'preference' must be 1 or 2, found 3"),
        ({"chosen": ..., "text": "A cat."}, "field 'text' must be JSON of question, chosen and rejected"),
    ],
)
def test_a_row_that_is_no_pair_is_named_by_its_line(folder: Path, changes: dict[str, Any], message: str) -> None:
    row = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    with pytest.raises(DataError) as caught:
        training_pool(_lines(folder / "pairs.jsonl", [GOOD, row]))
    text = str(caught.value)
    assert text.startswith(f"{folder}/pairs.jsonl:2: ") and message in text and "\n" not in text


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "no pairs in it"), ("[1]", "expected an object, found int"), ("{", "not valid JSON"), (None, "no such file")],
)
def test_a_file_that_holds_no_pairs_is_one_line(folder: Path, content: str | None, message: str) -> None:
    if content is not None:
        (folder / "pairs.json").write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        training_pool("pairs:pairs.json")
    assert "\n" not in str(caught.value)


def test_equal_pairs_are_taken_once_and_two_about_one_picture_are_two(folder: Path) -> None:
    rows = [GOOD, GOOD, {**GOOD, "rejected": "A bear."}, {**GOOD, "question": "And?"}]
    pool = training_pool(_lines(folder / "pairs.jsonl", rows))
    assert isinstance(pool, PairPool)
    assert len(pool.samples) == 3
    assert len({sample.cluster for sample in pool.samples}) == 1


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ([], UNKNOWN),
        (["verify.kind=none"], UNKNOWN),
        (["verify.kind=random"], "control"),
        (["verify.kind=shorter"], "control"),
        (["select.disagreement=coin"], "control"),
    ],
)
def test_nobody_knows_who_preferred_unless_a_coin_or_the_length_did(changes: list[str], level: str) -> None:
    assert load_recipe(JUDGE_FREE, ["source=pairs:a.jsonl", *changes]).level == level


# Runs -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hone(strop: Strop, tiny: Path, folder: Path) -> Callable[..., Any]:
    """`strop run` of two small rounds of the tiny model on the pairs, with these changes."""
    _lines(folder / "pairs.jsonl", _rows("RLAIF-V"))
    recipe = {
        "name": "small",
        "model": str(tiny),
        "rounds": 2,
        "source": "pairs:pairs.jsonl",
        "collect": {"samples": 6},
        "verify": {"kind": "none"},
        "optimise": {"trl": {"per_device_train_batch_size": 4, "learning_rate": 1e-3}},
        "evaluate": {"limit": 6, "tasks": ["pictos_captions"]},
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(recipe))

    def run(*changes: str) -> Any:
        sets = [word for change in changes for word in ("--set", change)]
        return strop("run", "small.yaml", "--out", "out", *sets)

    return run


@pytest.mark.slow
def test_a_model_is_honed_on_given_pairs_and_nothing_is_collected(hone: Callable[..., Any], folder: Path) -> None:
    ran = hone()
    assert ran.code == 0, ran.err
    ledger = {line["stage"]: line for line in read_jsonl(folder / "out/ledger.jsonl")}
    assert ledger["round-1/collect"]["facts"] == {"groups": 6, "differing": 6}
    assert "generated_tokens" not in ledger["round-1/collect"]["cost"]
    rounds = [list(read_jsonl(folder / f"out/round-{number}/select/pairs.jsonl")) for number in (1, 2)]
    messages = [(row["prompt"], row["chosen"], row["rejected"]) for row in itertools.chain(*rounds)]
    assert sorted(messages, key=PAIRS.index) == PAIRS
    assert not any(row["reversed"] for rows in rounds for row in rows)
    assert ledger["round-2/optimise"]["facts"]["changed"] > 0
    assert yaml.safe_load((folder / "out/recipe.yaml").read_text())["level"] == UNKNOWN
    build_board([folder / "out"], folder / "board")
    assert UNKNOWN in (folder / "board/board.csv").read_text()
    assert "is finished already; nothing was done" in hone().out
    _lines(folder / "pairs.jsonl", [{**row, "rejected": "Nothing."} for row in _rows("RLAIF-V")])
    assert hone().code == 0
    again = list(read_jsonl(folder / "out/round-1/select/pairs.jsonl"))
    assert {row["rejected"] for row in again} == {"Nothing."}, "other pairs are other stages"


@pytest.mark.slow
def test_a_verifier_may_look_at_given_pairs_again(hone: Callable[..., Any], folder: Path) -> None:
    ran = hone("verify.kind=shorter", "rounds=1")
    assert ran.code == 0, ran.err
    rows = list(read_jsonl(folder / "out/round-1/select/pairs.jsonl"))
    assert all(len(row["chosen"].split()) < len(row["rejected"].split()) for row in rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["rounds=3"], "source pairs:pairs.jsonl: 12 pairs are too few for 3 rounds of 6, each pair in one; lower"),
        (["verify.kind=oracle"], "verify.kind oracle: source pairs:pairs.jsonl has no right answers to judge by"),
        (
            ["collect.prompt=What?"],
            "collect.prompt: pairs have questions of their own, which were answered; leave it out",
        ),
    ],
)
def test_what_pairs_cannot_do_is_told_before_anything_is_done(
    hone: Callable[..., Any], folder: Path, changes: list[str], message: str
) -> None:
    assert hone(*changes).error().startswith(message)
    assert not (folder / "out").exists()


def test_a_pair_about_a_picture_that_is_measured_on_is_refused(hone: Callable[..., Any], folder: Path) -> None:
    (scene,) = caption_samples("test", 1, start=3)
    open_picture(*scene.images).save(folder / "holiday.webp", lossless=True)
    _lines(folder / "pairs.jsonl", [*_rows("RLAIF-V"), {**GOOD, "image": "holiday.webp"}])
    error = hone("collect.samples=13", "rounds=1").error()
    assert error.startswith("source pairs:pairs.jsonl: 1 of its pictures are test pictures of pictos_captions (")
    assert "pairs.jsonl:13" in error
