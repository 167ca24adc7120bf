"""CHAIR's tables and truth come out of what its authors publish as they were published, and no pickle runs anything."""

from __future__ import annotations

import collections
import gzip
import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.errors import DataError, StropError, UsageError
from harness.files import read_json, write_json, write_jsonl
from strop.commands.data import data_app
from strop.commands.score import score_app
from tasks.chair.build import double_words, read_source
from tasks.chair.truth import read_truth, truth_in
from tasks.reading.object_words import load_tables
from tests.support.annotated import annotate


class CHAIR:
    """The class of a port's evaluator, as far as pickling sees it."""


CHAIR.__module__, CHAIR.__qualname__ = "__main__", "CHAIR"


@pytest.fixture(autouse=True)
def _as_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickled from a script, the class is one of __main__."""
    monkeypatch.setattr(sys.modules["__main__"], "CHAIR", CHAIR, raising=False)


def _evaluator(
    synonyms: Mapping[str, list[str]], images: Mapping[Any, set[str]], pairs: Mapping[str, str], **more: Any
) -> CHAIR:
    evaluator = CHAIR()
    objects = collections.defaultdict(list, images)
    words = [word for group in synonyms.values() for word in group]
    evaluator.__dict__ = {
        "imid_to_objects": objects,
        "coco_path": "coco_annotations",
        "mscoco_objects": words,
        "inverse_synonym_dict": {word: name for name, group in synonyms.items() for word in group},
        "double_word_dict": dict(pairs),
        **more,
    }
    return evaluator


SYNONYMS = {"person": ["person", "girl", "person"], "motorcycle": ["motorcycle", " motor bike"], "bus": ["bus"]}
IMAGES: dict[Any, set[str]] = {9: {"bus", "person"}, 25: set()}


def _build(source: Path, out: Path, *options: object) -> Result:
    arguments = ["build", "chair", "--from", source, "--out", out, "--data", out, *options]
    return CliRunner().invoke(data_app, [str(argument) for argument in arguments])


def _told(result: Result) -> str:
    assert isinstance(result.exception, StropError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_ports_pickle_gives_both_tables_and_the_truth(tmp_path: Path, protocol: int) -> None:
    stored = _evaluator(SYNONYMS, IMAGES, {"motor bike": "motor bike"})
    (tmp_path / "chair.pkl").write_bytes(pickle.dumps(stored, protocol))
    output = _build(tmp_path / "chair.pkl", tmp_path / "chair").stdout
    assert output == (
        "3 classes, the objects of 2 images: synonyms.json, double_words.json, ground_truth_chair.json "
        f"in {tmp_path}/chair\n"
    )
    assert read_json(tmp_path / "chair/synonyms.json") == SYNONYMS
    assert read_json(tmp_path / "chair/double_words.json") == {"motor bike": "motor bike"}
    truth = truth_in(tmp_path / "chair")
    assert truth is not None
    read = read_truth(truth, "all", {}, lambda caption: [])
    assert {image: read.classes(image) for image in ("9", "25")} == {"9": {"bus", "person"}, "25": set()}


def test_what_is_built_scores_captions(tmp_path: Path) -> None:
    (tmp_path / "chair.pkl").write_bytes(pickle.dumps(_evaluator(SYNONYMS, IMAGES, {})))
    _build(tmp_path / "chair.pkl", tmp_path / "data/chair")
    rows = [{"image": "COCO_val2014_000000000009.jpg", "text": "A girl."}, {"image": "25.jpg", "text": "A bus."}]
    write_jsonl(tmp_path / "answers.jsonl", rows)
    arguments = ["chair", "--answers", tmp_path / "answers.jsonl", "--data", tmp_path / "data", "--json"]
    done = CliRunner().invoke(score_app, [*map(str, arguments), "--profile", "lemminflect"])
    metrics = json.loads(done.stdout)["metrics"]
    assert {name: metrics[name]["value"] for name in ("CHAIRs", "CHAIRi", "recall")} == {
        "CHAIRs": 0.5,
        "CHAIRi": 0.5,
        "recall": 0.5,
    }


def test_a_port_that_keeps_its_words_as_a_set_gives_them_once(tmp_path: Path) -> None:
    stored = _evaluator(SYNONYMS, IMAGES, {}, mscoco_objects={"bus", "person"})
    (tmp_path / "chair.pkl").write_bytes(pickle.dumps(stored.__dict__))
    assert read_source(tmp_path / "chair.pkl").tables.synonyms == {**SYNONYMS, "person": ["person", "girl"]}


def test_the_same_source_builds_the_same_and_another_one_is_not_mixed_in(tmp_path: Path) -> None:
    (tmp_path / "chair.pkl").write_bytes(pickle.dumps(_evaluator(SYNONYMS, IMAGES, {})))
    (tmp_path / "other.pkl").write_bytes(pickle.dumps(_evaluator(SYNONYMS, {9: {"bus"}}, {})))
    out = tmp_path / "chair"
    assert _build(tmp_path / "chair.pkl", out).exit_code == 0
    assert _build(tmp_path / "chair.pkl", out).exit_code == 0
    messages = _told(_build(tmp_path / "other.pkl", out))
    assert messages == f"{out} holds another truth, ground_truth_chair.json; name another folder, or move it away"
    (tmp_path / "words.txt").write_text("bus, coach\n")
    assert "synonyms.json is there and is not this one" in _told(_build(tmp_path / "words.txt", out))


# Pickles that are no evaluators -----------------------------------------------------------------------------------


class _Runs:
    """Runs something where it is unpickled."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self._reduced = (call, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reduced


def _hostile(mark: Path) -> Iterator[tuple[str, bytes]]:
    """(what is asked for, a pickle that makes a file where it is loaded freely)."""
    touch = f"touch {mark}"
    yield "posix.system", pickle.dumps(_Runs(os.system, touch))
    yield "posix.system", pickle.dumps(_evaluator(SYNONYMS, {9: _Runs(os.system, touch)}, {}))  # type: ignore[dict-item]
    yield "builtins.eval", pickle.dumps(_Runs(eval, f"open({str(mark)!r}, 'w')"))
    yield "builtins.getattr", pickle.dumps(_Runs(getattr, CHAIR, "__init__"))
    yield "builtins.exec", b"\x80\x02cbuiltins\nexec\n(X\x04\x00\x00\x00passtR."
    yield "os.system", b"\x80\x02(S'" + touch.encode() + b"'\nios\nsystem\n."
    yield "os.CHAIR.system", b"\x80\x04\x8c\x02os\x8c\x0cCHAIR.system\x93."
    yield "collections.Counter", pickle.dumps(collections.Counter("plain, but not among the few"))


def test_a_hostile_pickle_is_refused_and_nothing_of_it_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    pickle.loads(pickle.dumps(_Runs(os.system, f"touch {mark}")))
    assert mark.exists(), "the attack is one"
    mark.unlink()
    for questions, content in _hostile(mark):
        (tmp_path / "chair.pkl").write_bytes(content)
        messages = _told(_build(tmp_path / "chair.pkl", tmp_path / "chair"))
        assert messages == (
            f"{tmp_path}/chair.pkl: the pickle asks for {questions}, which may be code and is not run; a CHAIR port's "
            "holds plain containers only"
        )
        assert not mark.exists()
        assert not (tmp_path / "chair").exists()


def test_a_class_of_the_name_is_never_the_one_of_that_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever module a pickle names, the stand-in is taken: a CHAIR that does something on loading does nothing."""
    monkeypatch.setattr(CHAIR, "__setstate__", lambda self, state: pytest.fail("ran"), raising=False)
    (tmp_path / "chair.pkl").write_bytes(pickle.dumps(_evaluator(SYNONYMS, IMAGES, {})))
    assert read_source(tmp_path / "chair.pkl").tables.synonyms == SYNONYMS


MALFORMED = [
    (pickle.dumps([1, 2]), r"the pickle holds no evaluator of a CHAIR port but a list"),
    (
        pickle.dumps({"weights": []}),
        r"the pickle has no dict 'inverse_synonym_dict' but weights; name the authors' syn",
    ),
    (pickle.dumps({"a": 1})[:-4], r"a pickle that cannot be read \("),
    (b"\x80\x04\x8c\x05os\n\x1b[\x8c\x01x\x93.", r"the pickle asks for os  \[\.x, which may be code"),
    (b"\x80\x04P.", r"a pickle that cannot be read \("),
    (b"", r"chair\.pkl is empty; name the authors' synonyms.txt, or a port's chair.pkl"),
    (b'{"person": ["girl"]}', r":1: '\{\"person\": \[\"girl\"\]\}' is no name of a class"),
    (b"bus, coach\nbus, van\n", r":2: the class bus is there twice; keep one"),
    (b"bus, coach\ntrain, coach\n", r"the synonym 'coach' names two classes, bus and train"),
    (b"PK\x03\x04", r"is a zip archive; unpack it"),
]


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_a_source_that_is_none_is_told_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "chair.pkl").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_source(tmp_path / "chair.pkl")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mscoco_objects": ["van"]}, r"the word 'van' has no class in inverse_synonym_dict"),
        ({"double_word_dict": {"a b": 1}}, r"double_word_dict must map strings to strings"),
        ({"imid_to_objects": [9]}, r"imid_to_objects must map images to their objects, found list"),
        ({"imid_to_objects": {9: {"tram"}}}, r"image 9 must have a set of classes, found \{'tram'\}"),
        ({"imid_to_objects": {9: [["bus"]]}}, r"image 9 must have a set of classes, found \[\['bus'\]\]"),
    ],
)
def test_an_evaluator_of_another_layout_is_told_by_its_attribute(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    (tmp_path / "chair.pkl").write_bytes(pickle.dumps(_evaluator(SYNONYMS, IMAGES, {}, **change)))
    with pytest.raises(DataError, match=message):
        read_source(tmp_path / "chair.pkl")


# The authors' table, and annotations ------------------------------------------------------------------------------


def test_the_authors_table_is_read_as_they_read_it(tmp_path: Path) -> None:
    """A word keeps the space that another comma leaves, the end of a line does not."""
    (tmp_path / "synonyms.txt").write_text("motorcycle, scooter,  motor bike\nstop sign\ncow, bison \n\n")
    assert read_source(tmp_path / "synonyms.txt").tables.synonyms == {
        "motorcycle": ["motorcycle", "scooter", " motor bike"],
        "stop sign": ["stop sign"],
        "cow": ["cow", "bison"],
    }


def test_annotations_and_the_authors_table_make_a_truth(tmp_path: Path, nltk_data: Path) -> None:
    (tmp_path / "synonyms.txt").write_text("bus, coach\ncat, kitten\n")
    annotate(tmp_path / "coco", {1: ["bus"], 2: []}, {1: ["Two kittens."], 2: ["A baby cat in a coach."]})
    output = _build(tmp_path / "synonyms.txt", tmp_path / "chair", "--coco", tmp_path / "coco").stdout
    assert output.startswith(
        "2 classes, the objects of 2 images: synonyms.json, double_words.json, ground_truth_coco.json"
    )
    assert read_json(tmp_path / "chair/ground_truth_coco.json") == {
        "categories": ["bus", "cat"],
        "images": {"1": [0, 1], "2": [0, 1]},
    }


def test_a_pickle_with_a_truth_takes_no_annotations_beside_it(tmp_path: Path) -> None:
    (tmp_path / "chair.pkl").write_bytes(pickle.dumps(_evaluator(SYNONYMS, IMAGES, {})))
    error = _build(tmp_path / "chair.pkl", tmp_path / "chair", "--coco", tmp_path).exception
    assert isinstance(error, UsageError)
    assert str(error).endswith("chair.pkl holds a truth of its own; leave --coco away, or name a synonyms.txt")


# What is missing names the command --------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["synonyms.json", "double_words.json"])
def test_a_missing_table_names_the_command_that_makes_it(tmp_path: Path, missing: str) -> None:
    for name in {"synonyms.json", "double_words.json"} - {missing}:
        write_json(tmp_path / name, {})
    with pytest.raises(DataError) as error:
        load_tables(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/{missing}: no such file; make it of the authors' synonyms.txt or a port's chair.pkl: "
        f"strop data build chair --from chair.pkl --out {tmp_path}"
    )


def test_a_pickle_named_as_the_truth_names_the_command_that_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "chair.pkl"
    path.write_bytes(pickle.dumps(_evaluator(SYNONYMS, IMAGES, {})))
    with pytest.raises(
        DataError, match=r"is a port's pickle; make a truth of it: strop data build chair --from .+ --out"
    ):
        read_truth(path, "all", {}, lambda caption: [])


# What was published -----------------------------------------------------------------------------------------------


def test_the_pairs_are_those_of_the_published_pickles(conformance: Path) -> None:
    assert double_words() == read_json(conformance / "chair/double_words.json")


def test_the_published_tables_come_back_from_both_forms_they_are_published_in(
    conformance: Path, tmp_path: Path
) -> None:
    """The text as the authors write it, and a pickle as Maxlinn's port stores it, with the blank line in its table."""
    chair = conformance / "chair"
    synonyms, pairs = read_json(chair / "synonyms.json"), read_json(chair / "double_words.json")
    truth = json.loads(gzip.decompress((chair / "ground_truth_maxlinn.json.gz").read_bytes()))
    named = {int(image): {truth["categories"][index] for index in places} for image, places in truth["images"].items()}
    (tmp_path / "chair.pkl").write_bytes(pickle.dumps(_evaluator({"": [""], **synonyms}, named, pairs)))
    (tmp_path / "synonyms.txt").write_text("".join(", ".join(words) + "\n" for words in synonyms.values()))
    for source in ("chair.pkl", "synonyms.txt"):
        assert _build(tmp_path / source, tmp_path / source[:-4]).exit_code == 0
        assert read_json(tmp_path / source[:-4] / "synonyms.json") == synonyms
        assert read_json(tmp_path / source[:-4] / "double_words.json") == pairs
    assert read_json(tmp_path / "chair/ground_truth_chair.json") == truth
