"""Where NLTK's data are missing, captions are read all the same, and nearly alike; how nearly is measured here."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.results import mark
from harness.stats import estimate
from tasks.chair.answers import load_answers
from tasks.chair.marks import CHAIR_METRICS, score_caption
from tasks.reading import text, text_offline
from tasks.reading.object_words import PROFILES, ChairTables, load_tables, merge_words, named_classes

ROOT = Path(__file__).resolve().parents[3]
LLAVA = "chair/opera/llava-1.5"

Read = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def tables(conformance: Path, nltk_data: Path) -> ChairTables:
    return load_tables(conformance / "chair")


@pytest.fixture(scope="module")
def readers(tables: ChairTables) -> list[Read]:
    """Caption -> its mentions in order, by the official normaliser and by the one that needs no data."""

    def reader(words: Read) -> Read:
        return lambda caption: named_classes(merge_words(words(caption), tables), tables)

    return [reader(PROFILES[name].words) for name in ("official", "lemminflect")]


def _captions(conformance: Path, name: str) -> list[str]:
    if name in ("photos_coco/captions_for_photos", "photos_flickr8k/captions"):
        of_images = json.loads((conformance / f"{name}.json").read_text())
        return [caption for captions in of_images.values() for caption in captions]
    return [json.loads(line)["caption"] for line in (conformance / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "captions", "same_mentions", "same_objects"),
    [
        (f"{LLAVA}/greedy", 500, 476, 497),
        (f"{LLAVA}/beam5", 500, 477, 496),
        (f"{LLAVA}/ours", 500, 475, 497),
        ("photos_coco/captions_for_photos", 135, 134, 134),
        ("photos_flickr8k/captions", 5000, 4959, 4969),
    ],
)
def test_the_two_agree_on_this_many_captions(
    conformance: Path, readers: list[Read], name: str, captions: int, same_mentions: int, same_objects: int
) -> None:
    """All mentions in order, repeats included; and the distinct objects. Measured with lemminflect 0.2.3."""
    pairs = [tuple(read(caption) for read in readers) for caption in _captions(conformance, name)]
    assert len(pairs) == captions
    assert sum(first == other for first, other in pairs) >= same_mentions
    assert sum(set(first) == set(other) for first, other in pairs) >= same_objects


@pytest.mark.parametrize("build", ["maxlinn", "areebol"])
@pytest.mark.parametrize("name", ["greedy", "beam5", "ours"])
def test_chair_moves_by_a_fifth_of_a_point_at_most(
    conformance: Path, tables: ChairTables, name: str, build: str
) -> None:
    answered = load_answers(
        conformance / f"{LLAVA}/{name}.jsonl", conformance / f"chair/ground_truth_{build}.json.gz", tables=tables
    )
    official, other = (
        estimate(
            [
                mark(sample, answer, score_caption(normaliser.words(answer), sample.target, tables))
                for sample, answer in zip(answered.samples, answered.answers, strict=True)
            ],
            CHAIR_METRICS,
            draws=1,
        )
        for normaliser in PROFILES.values()
    )
    for metric, points in {"CHAIRs": 0.2, "CHAIRi": 0.06, "recall": 0.21}.items():
        assert 100 * other[metric].value == pytest.approx(100 * official[metric].value, abs=points)
    assert other["words"].value == pytest.approx(official["words"].value, rel=2e-4)


@pytest.mark.parametrize(
    ("caption", "lemmas"),
    [
        ("Two dogs and some geese.", "two dog and some goose ."),
        ("People are skiing; skiing is fun", "people are ski ; skiing is fun"),
        ("Knives, buses, TVs and skateboarders", "knife , bus , tv and skateboarder"),
        ("Wugs, blixes, zarfies, us, gas, glass, s", "wug , blix , zarfy , us , gas , glass , s"),
        ("A man and two men with us", "a man and two men with us"),
        ("The dog's glass isn't broken", "the dog 's glass is n't broken"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_words_become_lemmas_without_any_data(caption: str, lemmas: str) -> None:
    assert text_offline.lemmas(caption) == lemmas.split()


def test_nothing_is_unpickled() -> None:
    """In a process of its own, since lemminflect loads what it needs once."""
    code = (
        "import pickle; pickle.load = pickle.loads = None\n"
        "from tasks.reading.text_offline import lemmas; print(lemmas('the gruntled wugs are skiing'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "['the', 'gruntled', 'wug', 'are', 'ski']"


@given(st.text(max_size=60))
def test_any_text_is_read(caption: str) -> None:
    words = text_offline.lemmas(caption)
    assert all(words)
    assert bool(words) <= bool(caption.strip())


def test_sentences_are_tokenised_as_nltk_does_where_they_are_cut_alike(conformance: Path, nltk_data: Path) -> None:
    for caption in _captions(conformance, f"{LLAVA}/greedy")[:100]:
        if text_offline.sentences(caption) == text.sentences(caption):
            assert len(text_offline.lemmas(caption)) == len(text.tokens(caption.lower()))


def test_data_are_fetched_into_the_folder_and_looked_for_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import nltk

    def fetch(name: str, download_dir: str, **_: object) -> bool:
        (Path(download_dir) / name).mkdir(parents=True)
        return True

    monkeypatch.setattr(nltk, "download", fetch)
    monkeypatch.setattr(nltk.data, "path", [])
    text.download(["punkt_tab", "wordnet"], tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["punkt_tab", "wordnet"]
    assert nltk.data.path == [str(tmp_path / "new")]


def test_what_cannot_be_fetched_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import nltk

    def fail(*_: object, **__: object) -> bool:
        raise ValueError("no route to host")

    monkeypatch.setattr(nltk, "download", fail)
    with pytest.raises(DataError, match=r"package 'wordnet' cannot be fetched into .* \(no route to host\)"):
        text.download(["wordnet"], tmp_path)


def test_being_online_is_found_out_by_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> object:
        raise TimeoutError

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    assert not text.can_download()
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: contextlib.nullcontext())
    assert text.can_download()


def test_missing_data_are_counted_package_by_package(
    monkeypatch: pytest.MonkeyPatch, conformance: Path, tmp_path: Path
) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    assert text.missing_data() == ["punkt_tab", "averaged_perceptron_tagger_eng", "wordnet"]
    (tmp_path / "corpora/wordnet").mkdir(parents=True)
    assert text.missing_data() == ["punkt_tab", "averaged_perceptron_tagger_eng"]
    monkeypatch.setattr(nltk.data, "path", [str(conformance / "nltk_data")])
    assert text.missing_data() == []
