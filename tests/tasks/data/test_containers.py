"""The same rows are read from whatever contains them, and a file that holds no rows says in one line what it is."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.files import read_json, read_jsonl
from tasks.data import containers
from tasks.data.rows import is_document, read_document, read_rows
from tasks.mathvista import answers as mathvista
from tests.support.containers import CONTAINERS, json_lines, spreadsheet

ROWS: list[dict[str, Any]] = [
    {"question_id": 7, "text": "Yes, there is."},
    {"question_id": 8, "text": 'A "cat",\nand a\tdog; ’tis 1.0'},
    {"question_id": 9, "text": "NA"},
    {"question_id": 10, "text": "None"},
    {"question_id": 11, "text": ""},
    {"question_id": 12, "text": "1.0"},
    {"question_id": 13, "text": "True"},
    {"question_id": 14, "text": "null"},
]
MEANT = [(str(row["question_id"]), row["text"]) for row in ROWS]


def _read(path: Path) -> list[tuple[str, str]]:
    return [(row.identifier("question_id"), row.text("text")) for row in read_rows(path)]


@pytest.mark.parametrize("kind", CONTAINERS)
def test_the_same_rows_are_read_from_every_container_whatever_the_file_is_called(tmp_path: Path, kind: str) -> None:
    for name in ("answers.jsonl", "answers.bin"):
        (tmp_path / name).write_bytes(CONTAINERS[kind](ROWS))
        assert _read(tmp_path / name) == MEANT


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00\r")), min_size=1, max_size=5))
def test_no_text_of_a_cell_becomes_another(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    rows = [{"question_id": number, "text": text} for number, text in enumerate(texts)]
    path = tmp_path_factory.mktemp("cells") / "answers"
    for kind in ("JSON lines", "a JSON list indented", "CSV", "TSV", "Parquet"):
        path.write_bytes(CONTAINERS[kind](rows))
        assert [text for _, text in _read(path)] == texts, kind


def test_a_place_is_what_its_container_calls_it(tmp_path: Path) -> None:
    places = {
        "JSON lines": (":1", ":3"),
        "objects indented one after another": (":1", ":9"),
        "a JSON list": (": [0]", ": [2]"),
        "CSV": (":2", ":5"),
        "a spreadsheet": (": row 2", ": row 4"),
        "Parquet": (": row 2", ": row 4"),
    }
    path = tmp_path / "answers"
    for kind, (first, third) in places.items():
        path.write_bytes(CONTAINERS[kind](ROWS))
        rows = list(read_rows(path))
        assert (rows[0].location, rows[2].location) == (f"{path}{first}", f"{path}{third}"), kind


def test_empty_rows_of_a_table_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_bytes(b"question_id,text\n\n1,Yes\n , \n2,\n")
    assert _read(path) == [("1", "Yes"), ("2", "")]
    path.write_bytes(spreadsheet([{"question_id": "", "text": ""}, {"question_id": 1.0, "text": "Yes"}]))
    assert [(row.location[-5:], row.identifier("question_id")) for row in read_rows(path)] == [("row 3", "1")]


# Files of another kind --------------------------------------------------------------------------------------------


def _zip(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "{}")
    return stream.getvalue()


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was opened",))


FOREIGN = [
    (
        pickle.dumps(_Bomb()),
        "is a Python pickle, which is never opened since it can hold code; write its rows as JSON l",
    ),
    (gzip.compress(pickle.dumps(ROWS)), "is a Python pickle"),
    (_zip("answers.jsonl"), "is a zip archive; unpack it and name the file in it"),
    (_zip("xl/workbook.xml"), r": a spreadsheet that cannot be read \(.+\); save it anew"),
    (b"PK\x03\x04 cut", "is a zip archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a spreadsheet in Excel's old format; save it as .xlsx or CSV"),
    (b"PAR1 cut PAR1", r": Parquet that cannot be read \(.+\); write it anew"),
    (b"BZh91AY&SY", "is compressed with bzip2; unpack it"),
    (b"\n<!DOCTYPE html><html>", "is a web page, not the file that it shows; download the raw file"),
    (b"version https://git-lfs.github.com/spec/v1\n", "is Git LFS's pointer to a file, not the file; fetch the file"),
    (b"question_id,text\n1,\xe9t\xe9\n", "not UTF-8 text .+; expected JSON lines, a JSON list, CSV, TSV, .xlsx or Pa"),
    (b'question_id,text\n1,"Yes" no\n', ":2: neither JSON nor a table"),
    (b"question_id,text\n1,Yes, there is\n", ":2: 3 cells under a head of 2; quote what holds one"),
    (b"text,text\n1,2\n", ":1: the column 'text' is there twice; keep one"),
    (b'[{"question_id": 1, "text": "a"},\n {"question_id": 2,\n', r":3: not valid JSON"),
    (b'{"question_id": 1, "text": "a"}\n{"question_id": 2,\n', r":2: not valid JSON"),
    (b"[" * 100_000, r":1: not valid JSON \(maximum recursion depth"),
    (b'{"question_id": ' + b"1" * 5_000 + b"}", r":1: not valid JSON \(Exceeds the limit"),
    (b"no rows at all", ":1: not valid JSON"),
    (b"\xef\xbb\xbf", " is empty"),
    (b"[]", " is empty"),
    (b"question_id,text\n", " is empty"),
    (b"[[1], 2]", r": \[0\]: expected an object, found list"),
]


@pytest.mark.parametrize(("content", "message"), FOREIGN)
def test_a_file_without_rows_says_what_it_is_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "answers.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        list(read_rows(tmp_path / "answers.jsonl"))
    assert str(error.value).startswith(str(tmp_path / "answers.jsonl"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["a spreadsheet", "Parquet"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_damaged_table_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int
) -> None:
    draw = random.Random(seed)
    content = bytearray(CONTAINERS[kind](ROWS))
    for _ in range(draw.choice((1, 20))):
        content[draw.randrange(len(content))] = draw.randrange(256)
    path = tmp_path_factory.mktemp("damaged") / "answers"
    path.write_bytes(content[: draw.choice((len(content), draw.randrange(len(content))))])
    try:
        list(read_rows(path))
    except DataError as error:
        assert "\n" not in str(error)


# Rows that other harnesses write ----------------------------------------------------------------------------------


def _answers(path: Path, rows: Sequence[Mapping[str, Any]], name: str = "question_id") -> list[tuple[str, str]]:
    path.write_bytes(json_lines(rows))
    read = [
        (row.identifier(name), row.text("text"), row.text("response"), row.text("caption")) for row in read_rows(path)
    ]
    assert all(len(set(row[1:])) == 1 for row in read)
    return [row[:2] for row in read]


DOC = {"question_id": "7", "question": "Is there a cat?", "answer": "no", "image_source": "COCO_val2014_000000310196"}
SAMPLE = {"doc_id": 0, "target": "no", "doc_hash": "ab", "acc": 1.0}


def test_the_answer_of_a_sample_of_lm_eval_is_what_the_model_said(tmp_path: Path) -> None:
    path = tmp_path / "samples_pope.jsonl"
    whole = {**SAMPLE, "doc": DOC, "arguments": {}, "resps": [["No."]], "filtered_resps": ["No."]}
    assert _answers(path, [whole]) == [("7", "No.")]
    assert next(iter(read_rows(path))).content["question"] == "Is there a cat?"
    strict = {**whole, "filter": "strict-match", "filtered_resps": ["[invalid]"]}
    flexible = {**strict, "filter": "flexible-extract", "filtered_resps": ["no"]}
    assert _answers(path, [strict, flexible]) == [("7", "No.")], "one answer under two filters"
    reasoned = {**whole, "filter": "none", "resps": [["<think>hm</think>No."]]}
    assert _answers(path, [reasoned]) == [("7", "No.")], "no filter but the harness's own cleaning"
    assert _answers(path, [{**whole, "resps": [[]], "filtered_resps": [[]]}]) == [("7", "")]


def test_the_answer_of_a_sample_of_lmms_eval_has_its_id_where_its_metric_has_it(tmp_path: Path) -> None:
    path = tmp_path / "20260806_samples_pope.jsonl"
    metric = {"question_id": "7", "score": 1.0, "prediction": "no", "ground_truth": "no"}
    row = {**SAMPLE, "input": "Is there a cat?\nAnswer ...", "filtered_resps": "No", "pope_f1_score": metric}
    assert _answers(path, [row]) == [("7", "No")]
    assert next(iter(read_rows(path))).content["prompt"] == "Is there a cat?\nAnswer ..."
    assert _answers(path, [row], "pid") == [("7", "No")], "MathVista's pid is called question_id there"
    caption = {"answer": ["A cat."], "pred": "A dog.", "image_id": 203564, "id": 1}
    assert _answers(path, [{**SAMPLE, "filtered_resps": ["A dog."], "coco_CIDEr": caption}], "image_id") == [
        ("203564", "A dog.")
    ]


def test_the_document_that_lmms_eval_once_wrote_holds_its_rows_under_logs(tmp_path: Path) -> None:
    path = tmp_path / "pope.json"
    path.write_text(json.dumps({"args": {}, "logs": [{**SAMPLE, "doc": DOC, "filtered_resps": ["Yes"]}]}, indent=4))
    (row,) = read_rows(path)
    assert (row.location, row.identifier("question_id"), row.text("text")) == (f"{path}: logs[0]", "7", "Yes")


def test_log_probabilities_are_no_answers(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(json_lines([{**SAMPLE, "doc": DOC, "resps": [[["-0.5", "False"]], [["-2.0", "True"]]]}]))
    with pytest.raises(DataError, match=r":1: log-probabilities of options and no answer in words; name the samples"):
        list(read_rows(path))


@pytest.mark.parametrize("kind", ["a spreadsheet", "TSV", "a JSON list indented"])
def test_the_answer_of_vlmevalkit_is_its_prediction_and_never_its_gold(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model_POPE"
    row = {"index": 3, "question": "Is there a cat?", "answer": "Yes", "category": "random", "prediction": "NA"}
    path.write_bytes(CONTAINERS[kind]([{**row, "image_path": "COCO_val2014_000000310196.jpg"}]))
    (entry,) = read_rows(path)
    assert {entry.text(name) for name in ("text", "response", "caption")} == {"NA"}
    with pytest.raises(
        DataError, match=r"'question_id' is missing; found index, .+; VLMEvalKit's index is no id: add a"
    ):
        entry.identifier("question_id")


def test_a_byte_order_mark_before_a_document_is_none_of_its_text(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"cat": 1}')
    assert (read_json(path), list(read_jsonl(path)), read_document(path, "")) == ({"cat": 1}, [{"cat": 1}], {"cat": 1})


# Hostile and odd files ---------------------------------------------------------------------------------------------


def _book(**sheets: Sequence[Sequence[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


HEAD = ["question_id", "text"]


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, '{"outputs": ' + "9" * 5000 + "}"])
def test_endless_brackets_and_digits_are_one_line_wherever_a_document_may_be(tmp_path: Path, content: str) -> None:
    path = tmp_path / "answers.json"
    path.write_text(content)
    assert not is_document(path, "")
    for read in (lambda: list(read_rows(path)), lambda: read_document(path, "")):
        with pytest.raises(DataError, match="not valid JSON"):
            read()


@pytest.mark.parametrize(
    "content", ['{"question_id": 7, "text": "no", "text": "yes"}\n', '[{"text": "no", "text": "yes"}]']
)
def test_of_two_answers_under_one_key_none_is_dropped_without_a_word(tmp_path: Path, content: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=r":1: .*the key 'text' is given twice in one object"):
        list(read_rows(path))


def test_half_a_letter_is_the_sign_of_replacement_and_whole_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(r'{"question_id": 7, "text": "\ud83d\ude00 \\ud83d \u00e9 \ud83d"}')
    (row,) = read_rows(path)
    assert row.text("text") == "\U0001f600 \\ud83d é �"
    assert read_document(path, "")["text"] == "\U0001f600 \\ud83d é �"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_a_table_is_read_in_every_encoding_of_unicode(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_bytes("question_id,text\n7,déjà\n".encode(encoding))
    assert _read(path) == [("7", "déjà")]


def test_a_column_that_a_sheet_has_twice_is_told_as_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "answers.xlsx"
    path.write_bytes(_book(all=[[*HEAD, "text"], [7, "no", "yes"]]))
    with pytest.raises(DataError, match=r":1: the column 'text' is there twice; keep one"):
        list(read_rows(path))


def test_of_several_sheets_the_one_with_rows_is_read_and_none_is_chosen_where_two_are_alike(tmp_path: Path) -> None:
    path = tmp_path / "answers.xlsx"
    path.write_bytes(_book(empty=[], run=[HEAD, [7, "no"]], notes=[["made on Monday"]]))
    assert _read(path) == [("7", "no")]
    path.write_bytes(_book(run=[HEAD, [7, "no"]], again=[HEAD, [7, "yes"]]))
    with pytest.raises(DataError, match=r"the sheets run, again have the same columns; keep the one that is meant"):
        list(read_rows(path))


def test_a_title_above_the_head_of_a_sheet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "answers.xlsx"
    path.write_bytes(_book(run=[["My results"], HEAD, [7, "no"]]))
    with pytest.raises(DataError, match=r":2: 2 cells under a head of 1"):
        list(read_rows(path))


def test_one_cell_far_away_does_not_fill_the_memory(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(HEAD)
    book.active["XFD1048576"] = "x"
    book.save(tmp_path / "answers.xlsx")
    with pytest.raises(DataError, match=r":1048576: 16384 cells under a head of 2"):
        list(read_rows(tmp_path / "answers.xlsx"))


def test_what_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "answers"
    rows = json_lines([{"question_id": 7, "text": "no"}])
    path.write_bytes(gzip.compress(gzip.compress(rows)))
    assert _read(path) == [("7", "no")]
    path.write_bytes(gzip.compress(gzip.compress(gzip.compress(gzip.compress(rows)))))
    with pytest.raises(DataError, match=r"gzip in gzip, more than 3 times; unpack it"):
        list(read_rows(path))
    monkeypatch.setattr(containers, "LARGEST", 100)
    for content in (gzip.compress(rows * 9), _book(run=[HEAD, [7, "no"]])):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"unpacks to more than"):
            list(read_rows(path))


# Published answers in other containers ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["a JSON list indented", "TSV", "a spreadsheet", "Parquet"])
def test_published_answers_to_pope_are_the_same_in_every_container(
    conformance: Path, tmp_path: Path, kind: str
) -> None:
    pope = conformance / "pope"
    published = pope / "answers/llava-v1.5-13b.jsonl"
    rows = [{name: row[name] for name in ("question_id", "prompt", "text")} for row in read_jsonl(published)]
    (tmp_path / "answers").write_bytes(CONTAINERS[kind](rows))
    read = [(row.identifier("question_id"), row.text("text")) for row in read_rows(tmp_path / "answers")]
    assert read == [(row.identifier("question_id"), row.text("text")) for row in read_rows(published)]
    assert len(read) == 8910


def test_published_outputs_on_mathvista_are_the_same_as_a_list(conformance: Path, tmp_path: Path) -> None:
    published = conformance / "mathvista/results/bard/output_bard.json.gz"
    document = json.loads(gzip.decompress(published.read_bytes()))
    (tmp_path / "list.json").write_text(json.dumps(list(document.values()), indent=2))
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(json_lines(list(document.values()))))
    read = mathvista.load_answers(published)
    for name in ("list.json", "rows.jsonl.gz"):
        other = mathvista.load_answers(tmp_path / name)
        assert (other.samples, other.answers) == (read.samples, read.answers)
