"""CHAIR's figures equal those of the published captions, and words are counted as the authors' tables say."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.marking import Answered
from harness.results import Marked, mark
from harness.stats import estimate
from harness.types import Sample, Score
from tasks.chair.answers import load_answers
from tasks.chair.marks import CHAIR_METRICS, score_caption, score_mentions
from tasks.chair.truth import open_truth
from tasks.reading import text
from tasks.reading.object_words import ChairTables, first_sentences, load_tables, merge_words, named_classes, normalise

OPERA = "opera/llava-1.5"
FILES = {
    f"{OPERA}/greedy": f"{OPERA}/greedy.jsonl",
    f"{OPERA}/beam5": f"{OPERA}/beam5.jsonl",
    f"{OPERA}/ours": f"{OPERA}/ours.jsonl",
    "areebol/llava-1.5/regular": "areebol/llava-1.5/regular_chair.jsonl",
}
COUNTS = ("hallucinated_captions", "hallucinated_mentions", "mentions", "recalled", "gt_objects", "words")
RATIOS = {"CHAIRs": "CHAIRs", "CHAIRi": "CHAIRi", "recall": "Recall", "length": "Len"}


@pytest.fixture(scope="module")
def chair(conformance: Path, nltk_data: Path) -> Path:
    return conformance / "chair"


@pytest.fixture(scope="module")
def tables(chair: Path) -> ChairTables:
    return load_tables(chair)


@pytest.fixture(scope="module")
def words_of(chair: Path) -> Callable[[str], list[str]]:
    """Normalised words, each caption done once: two truths and several tests look at the same ones."""
    done: dict[str, list[str]] = {}

    def words(caption: str) -> list[str]:
        if caption not in done:
            done[caption] = normalise(caption)
        return done[caption]

    return words


def _load(chair: Path, name: str, build: str) -> Answered:
    return load_answers(chair / FILES[name], chair / f"ground_truth_{build}.json.gz")


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _rows(answered: Answered, score: Callable[[str, frozenset[str]], Score]) -> list[Marked]:
    return [mark(s, a, score(a, s.target)) for s, a in zip(answered.samples, answered.answers, strict=True)]


def _same_figures(rows: Sequence[Marked], figures: dict[str, Any]) -> None:
    total: Counter[str] = Counter()
    for row in rows:
        total.update({name: int(count) for name, count in row.counts.items()})
    assert {name: total[name] for name in COUNTS} == {name: figures[name] for name in COUNTS}
    assert total["captions"] == figures["n"]
    result = estimate(rows, CHAIR_METRICS, draws=1)
    for ours, theirs in RATIOS.items():
        assert result[ours].value == pytest.approx(figures[theirs], abs=1e-9)
    assert result["precision"].value == pytest.approx(1 - figures["CHAIRi"], abs=1e-9)
    assert result["words"].value == pytest.approx(100 * figures["Len"], abs=1e-9)


@pytest.mark.parametrize("build", ["maxlinn", "areebol"])
@pytest.mark.parametrize("name", FILES)
def test_published_captions_score_what_they_score(
    chair: Path,
    expected: dict[str, Any],
    tables: ChairTables,
    words_of: Callable[[str], list[str]],
    name: str,
    build: str,
) -> None:
    answered = _load(chair, name, build)
    rows = _rows(answered, lambda caption, truth: score_caption(words_of(caption), truth, tables))
    _same_figures(rows, expected[f"chair/{name}"]["recomputed"][build])


def test_our_figures_are_those_the_authors_stored(chair: Path, expected: dict[str, Any], tables: ChairTables) -> None:
    published = expected["chair/areebol/llava-1.5/regular"]["published"]["ratio"]
    rows = _rows(
        _load(chair, "areebol/llava-1.5/regular", "areebol"),
        lambda caption, truth: score_caption(normalise(caption), truth, tables),
    )
    figures = estimate(rows, CHAIR_METRICS, draws=1)
    assert {theirs: figures[ours].value for ours, theirs in RATIOS.items()} == pytest.approx(published, abs=1e-9)


@pytest.mark.parametrize("build", ["maxlinn", "areebol"])
def test_what_people_wrote_of_the_photographs_scores_what_it_scores(
    conformance: Path, chair: Path, expected: dict[str, Any], tables: ChairTables, build: str
) -> None:
    truth = {image: value["objects"][build] for image, value in _read(conformance / "photos_coco/objects.json").items()}
    ready = open_truth(chair / f"ground_truth_{build}.json.gz", tables)
    rows = []
    for image, captions in _read(conformance / "photos_coco/captions_for_photos.json").items():
        assert ready.classes(image) == frozenset(truth[image])
        for number, caption in enumerate(captions):
            item = Sample(id=f"{image}/{number}", prompt="", images=(), target=None, cluster=image)
            rows.append(mark(item, caption, score_caption(normalise(caption), frozenset(truth[image]), tables)))
    _same_figures(rows, expected["photos_coco"]["human_captions_as_chair"][build])


@pytest.mark.parametrize("k", ["1", "2", "3", "4", "5"])
def test_the_first_sentences_alone_hallucinate_less(
    chair: Path, expected: dict[str, Any], tables: ChairTables, k: str
) -> None:
    answered = _load(chair, f"{OPERA}/greedy", "maxlinn")
    rows = _rows(
        answered, lambda caption, truth: score_caption(normalise(first_sentences(caption, int(k))), truth, tables)
    )
    _same_figures(rows, expected["chair/opera/llava-1.5/greedy first sentences"]["recomputed"][k])


def test_every_stored_lemma_list_mention_and_truth_comes_out_equal(
    chair: Path, expected: dict[str, Any], tables: ChairTables, words_of: Callable[[str], list[str]]
) -> None:
    stored = json.loads((chair / FILES["areebol/llava-1.5/regular"]).read_text())["sentences"]
    figures = expected["chair/areebol/llava-1.5/regular"]["rows"]
    assert len(stored) == figures["n"]
    words = [merge_words(words_of(row["caption"]), tables) == row["words"] for row in stored]
    assert sum(words) == figures["words_equal"]
    named = [named_classes(row["words"], tables) == row["mscoco_generated_words"] for row in stored]
    assert sum(named) == figures["mscoco_generated_words_equal"]
    for build in ("areebol", "maxlinn"):
        truths = [sample.target for sample in _load(chair, "areebol/llava-1.5/regular", build).samples]
        same = [truth == set(row["mscoco_gt_words"]) for truth, row in zip(truths, stored, strict=True)]
        assert sum(same) == figures[f"mscoco_gt_words_equal_{build}"]


def test_stored_words_score_the_same_without_nltk(chair: Path, expected: dict[str, Any], tables: ChairTables) -> None:
    stored = json.loads((chair / FILES["areebol/llava-1.5/regular"]).read_text())["sentences"]
    answered = _load(chair, "areebol/llava-1.5/regular", "areebol")
    words = {row["caption"]: row["words"] for row in stored}
    rows = _rows(
        answered,
        lambda caption, truth: score_mentions(named_classes(words[caption], tables), truth, len(words[caption])),
    )
    _same_figures(rows, expected["chair/areebol/llava-1.5/regular"]["recomputed"]["areebol"])


def test_the_files_of_opera_hold_its_500_images_in_order(chair: Path) -> None:
    ids = json.loads((chair / "opera_image_ids.json").read_text())["image_ids"]
    for name in FILES:
        assert [int(sample.id) for sample in _load(chair, name, "maxlinn").samples] == ids


def test_the_tables_are_the_published_ones(chair: Path, expected: dict[str, Any], tables: ChairTables) -> None:
    figures = expected["chair/tables"]["recomputed"]
    assert len(tables.synonyms) == figures["classes"]
    assert len(tables.class_of) == figures["synonym_strings"]
    assert [word for word in tables.class_of if word.startswith(" ")] == figures["strings_with_a_leading_space"]
    assert len(tables.double_words) == figures["double_words"]
    # A string can be met only as one lower-case word or as what a pair of words becomes.
    merged = {word for pair, word in tables.double_words.items() if len(pair.split()) == 2}
    unreachable = [w for w in tables.class_of if w not in merged and (" " in w or w != w.lower())]
    assert sorted(unreachable) == figures["unreachable_strings"]
    assert sorted(merged - set(tables.class_of)) == figures["merged_words_with_no_class"]
    images = {}
    for build, entries in figures["object_entries"].items():
        document = json.loads(gzip.decompress((chair / f"ground_truth_{build}.json.gz").read_bytes()))
        images[build] = document["images"]
        assert (len(images[build]), sum(map(len, images[build].values()))) == (figures["images"], entries)
    differ = sum(images["areebol"][image] != images["maxlinn"][image] for image in images["areebol"])
    assert differ == figures["images_where_the_two_builds_differ"]


def test_nltk_tokens_tags_and_lemmas_are_the_expected_ones(
    chair: Path, expected: dict[str, Any], tables: ChairTables
) -> None:
    figures = expected["nltk_data"]["recomputed"]
    tokens = text.tokens(figures["sentence"])
    assert tokens == figures["tokens"]
    assert [[word, tag] for word, tag in zip(tokens, text.tags(tokens), strict=True)] == figures["tags"]
    assert text.lemmas(figures["sentence"]) == figures["lemmas"]
    assert merge_words(figures["lemmas"], tables) == figures["after_double_words"]


def test_the_short_cuts_give_what_nltk_gives(chair: Path) -> None:
    from nltk.tag import PerceptronTagger
    from nltk.tokenize import word_tokenize

    slow = PerceptronTagger()
    for caption in _load(chair, f"{OPERA}/greedy", "maxlinn").answers[:100]:
        tokens = text.tokens(caption.lower())
        assert tokens == word_tokenize(caption.lower())
        assert list(zip(tokens, text.tags(tokens), strict=True)) == slow.tag(tokens)


def test_lemmas_are_those_of_nltks_own_reader(chair: Path) -> None:
    from nltk.stem import WordNetLemmatizer

    slow = WordNetLemmatizer()
    captions = _load(chair, f"{OPERA}/beam5", "maxlinn").answers
    words = {token for caption in captions for token in text.tokens(caption.lower())}
    words |= {"geese", "knives", "glasses", "us", "men", "oxen", "better", "best", "lying", "s", "-", "x" * 50}
    for word in words:
        for tag, value in {"NNS": "n", "VBG": "v", "JJ": "a", "RB": "r", "CD": "n"}.items():
            assert text._lemma(word, tag) == slow.lemmatize(word, value)


PIECES = ["a", "cannot", "gonna", "wanna", "gimme", "well-lit", "3", "2019", "e.g", "it's", "dr.", "u.s.", "--", "..."]


@given(
    st.lists(
        st.sampled_from([*PIECES, "cat,", "dog.", "cat's,", "dogs'", ",", ".", "'tis", '"so"', "(b)", "a:b", "5,000"])
    )
)
def test_plain_and_odd_sentences_are_tokenised_as_nltk_does(pieces: list[str]) -> None:
    from nltk.tokenize import word_tokenize

    sentence = " ".join(pieces)
    assert text.sentence_tokens(sentence) == word_tokenize(sentence, preserve_line=True)


@given(pieces=st.lists(st.sampled_from([*PIECES, "cat.", "dog?", "the", "No.", "5.", "a."]), max_size=12))
def test_sentences_are_cut_as_nltk_does(nltk_data: Path, pieces: list[str]) -> None:
    from nltk.tokenize import sent_tokenize

    assert text.sentences(" ".join(pieces)) == sent_tokenize(" ".join(pieces))


TOY = ChairTables(
    synonyms={
        "cat": ["cat", "kitten", " cheesecake"],
        "toilet": ["toilet"],
        "chair": ["chair", "seat"],
        "bus": ["bus"],
    },
    double_words={"toilet seat": "toilet", "baby cat": "cat", "motor bike": "motor bike"},
)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("a kitten and a cat", ["cat", "cat"]),
        ("a toilet seat", ["toilet"]),
        ("a seat beside the toilet", ["toilet"]),
        ("a chair beside the toilet", ["chair", "toilet"]),
        ("a seat", ["chair"]),
        ("a baby cat cat", ["cat", "cat"]),
        ("a cheesecake", []),
        ("a motor bike", []),
        ("Cat", []),
    ],
)
def test_words_name_classes_by_the_tables(words: str, named: list[str]) -> None:
    assert named_classes(merge_words(words.split(), TOY), TOY) == named


def test_a_caption_is_counted_by_mentions_and_by_classes() -> None:
    score = score_caption(["a", "cat", "kitten", "and", "bus", ",", "bus"], {"cat", "chair"}, TOY)
    assert score.counts == {
        "captions": 1,
        "hallucinated_captions": 1,
        "mentions": 4,
        "hallucinated_mentions": 2,
        "recalled": 1,
        "distinct_named": 2,
        "gt_objects": 2,
        "words": 7,
        "repeated_mentions": 2,
        "unread": 0,
    }
    assert score.parsed == [
        {"name": "cat", "right": True},
        {"name": "cat", "right": True},
        {"name": "bus", "right": False},
        {"name": "bus", "right": False},
    ]
    assert score.value == 2 * 1 / (2 + 2)


def test_gold_gets_full_marks_and_silence_nothing() -> None:
    assert score_caption(["cat", "bus"], {"cat", "bus"}, TOY).value == 1.0
    assert score_caption(["nothing"], set(), TOY).value == 1.0
    for truth in ({"cat"}, set[str]()):
        blank = score_caption([], truth, TOY)
        assert (blank.value, blank.parsed, blank.counts["unread"]) == (0.0, None, 1)
    assert score_caption(["grass"], {"cat"}, TOY).parsed == []


def test_a_blank_caption_has_no_words(chair: Path) -> None:
    assert normalise("") == normalise(" \n") == []
    assert first_sentences("", 3) == ""
    assert first_sentences("One.  Two! Three?", 2) == "One. Two!"


def test_a_synonym_of_two_classes_is_refused() -> None:
    with pytest.raises(DataError, match="'seat' names two classes, chair and sofa"):
        ChairTables(synonyms={"chair": ["seat"], "sofa": ["seat"]})


@given(st.lists(st.sampled_from(["cat", "kitten", "bus", "seat", "toilet", "grass"])), st.sets(st.sampled_from("abc")))
def test_counts_never_contradict_each_other(words: list[str], others: set[str]) -> None:
    counts = score_caption(words, others | {"cat"}, TOY).counts
    assert counts["hallucinated_mentions"] <= counts["mentions"] <= counts["words"] == len(merge_words(words, TOY))
    assert counts["recalled"] <= min(counts["distinct_named"], counts["gt_objects"])
    assert counts["repeated_mentions"] == counts["mentions"] - counts["distinct_named"]
    assert counts["hallucinated_captions"] == (counts["hallucinated_mentions"] > 0)


TRUTH = {"categories": ["cat", "bus"], "images": {"9": [0], "25": []}}
ROW = {"image_id": 9, "caption": "A cat."}


def _files(folder: Path, answers: str = json.dumps(ROW), truth: str = json.dumps(TRUTH)) -> Answered:
    (folder / "answers.jsonl").write_text(answers)
    (folder / "truth.json").write_text(truth)
    return load_answers(folder / "answers.jsonl", folder / "truth.json")


def test_both_layouts_of_captions_are_the_same_samples(tmp_path: Path) -> None:
    lines = _files(tmp_path, json.dumps(ROW) + "\n" + json.dumps({"image_id": "25", "caption": ""}))
    assert [(s.id, s.target, s.cluster) for s in lines.samples] == [("9", {"cat"}, "9"), ("25", set(), "25")]
    document = {"sentences": [{**ROW, "words": []}, {"image_id": 25, "caption": ""}], "overall_metrics": {}}
    assert _files(tmp_path, json.dumps(document, indent=2)) == lines


MALFORMED = [
    ("", r"answers\.jsonl is empty"),
    (json.dumps(ROW) + '\n{"image_id": 25,', r"answers\.jsonl:2: not valid JSON"),
    ('{"caption": "A cat."}', r"answers\.jsonl:1: field 'image_id' is missing; found caption"),
    ('{"image_id": 9}', r"answers\.jsonl:1: field 'caption' is missing"),
    ('{"image_id": 9, "caption": ["A cat."]}', r":1: field 'caption' must be a string, found \[\"A cat"),
    ('{"image_id": [9], "caption": ""}', r":1: field 'image_id' must be an integer or a string"),
    (json.dumps(ROW) + "\n" + json.dumps(ROW), r":2: image_id 9 was already captioned at .*answers\.jsonl:1"),
    ('{"image_id": 10, "caption": ""}', r":1: image_id 10 is not among the 2 images of .*truth\.json"),
    ('{"sentences": []}', r"field 'sentences' must be a list with at least one"),
    ('{"sentences": [1]}', r"answers\.jsonl: sentences\[0\]: expected an object, found int"),
    ('{"sentences": [{"image_id": 9}]}', r"sentences\[0\]: field 'caption' is missing"),
]


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_a_malformed_caption_file_is_refused_by_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _files(tmp_path, content)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ("{", r"truth\.json: not valid JSON"),
        ("[]", r"truth\.json: expected an object, found list"),
        ('{"images": {}}', r'truth\.json: expected {"categories": \[names\]'),
        ('{"categories": ["cat"], "images": {"9": [1]}}', r"truth\.json: image 9 must have a list of indices below 1"),
        ('{"categories": ["cat"], "images": {"9": "cat"}}', r"truth\.json: image 9 must have a list of indices"),
    ],
)
def test_a_malformed_truth_is_refused(tmp_path: Path, truth: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _files(tmp_path, truth=truth)


def test_a_cut_off_or_missing_truth_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps(TRUTH).encode())
    (tmp_path / "cut.json.gz").write_bytes(whole[:-12])
    (tmp_path / "answers.jsonl").write_text(json.dumps(ROW))
    with pytest.raises(DataError, match=r"cut\.json\.gz: cannot be read"):
        load_answers(tmp_path / "answers.jsonl", tmp_path / "cut.json.gz")
    with pytest.raises(DataError, match=r"none\.json: no such file"):
        load_answers(tmp_path / "answers.jsonl", tmp_path / "none.json")


def test_tables_that_are_not_there_or_not_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"synonyms\.json: no such file"):
        load_tables(tmp_path)
    (tmp_path / "synonyms.json").write_text('{"cat": "cat"}')
    (tmp_path / "double_words.json").write_text("{}")
    with pytest.raises(DataError, match=r"synonyms\.json: expected an object of class -> list of strings"):
        load_tables(tmp_path)
