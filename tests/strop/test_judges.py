"""A judge is measured against itself, in both orders, on numbers and near misses, before its figures are believed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.errors import UsageError
from harness.examination import KnownPair, examine, examine_stored, exchanged, keep, kept, share_of
from harness.types import Sample
from strop.app import app
from tasks.physics.known_pairs import known_pairs, stored_kind
from tasks.pictos.described import read_claims
from tasks.pictos.known_captions import ALIKE, CHANGES, LENGTHS, known_captions, known_sentences
from tests.support.scripted import Scripted


def _run(*arguments: object) -> Any:
    done = CliRunner().invoke(app, ["judges", *map(str, arguments)])
    if done.exception:
        raise done.exception
    return json.loads(done.stdout)


def test_the_stored_judge_contradicts_itself_as_often_as_was_counted(
    conformance: Path, expected: dict[str, Any]
) -> None:
    figures = expected["physics/judge"]["recomputed"]["kept_models"]
    outputs = conformance / "physics/outputs"
    folders = [part for model in sorted(outputs.iterdir()) for part in ("--evaluations", model)]
    shares = _run(*folders, "--questions", conformance / "physics/problems.jsonl.gz", "--json")["shares"]
    consistent = shares["consistent"]
    assert consistent["total"] == figures["pairs_judged_more_than_once"]
    assert consistent["total"] - consistent["count"] == figures["pairs_judged_both_ways"]
    numbers = figures["plain_numbers_same_unit"]
    for name, entry in {
        "equal/numbers": numbers["equal"],
        "equal though not/off by up to 1 %": numbers["off_by_up_to_1_percent"],
        "equal though not/off by 1 to 5 %": numbers["off_by_1_to_5_percent"],
        "equal though not/off by more": numbers["off_by_more"],
        "equal though not/yes against no": figures["yes_against_no"],
    }.items():
        assert (shares[name]["count"], shares[name]["total"]) == (entry["true"], entry["true"] + entry["false"])
    contradictory = json.loads((conformance / "physics/pairs_contradictory.json").read_text())
    assert len(contradictory) == figures["pairs_judged_both_ways"]


def test_the_rule_is_right_on_every_near_miss_and_sees_all_numbers() -> None:
    shares = _run("--judge", "rule", "--pairs", 40, "--json")["shares"]
    assert {name for name, share in shares.items() if share["value"] != share["better"]} == {"symmetric"}
    symmetric = shares["symmetric"]  # but where a unit is required: a number with a unit that is not is none the worse
    assert symmetric["total"] - symmetric["count"] == shares["equal though not/no unit"]["total"] == 40
    assert shares["equal though not"]["total"] == 40 * 7 + 10 + 10 + 8 + shares["equal though not/subscript"]["total"]


PAIRS = [
    KnownPair(kind="form", left="a", right="b", equal=True),
    KnownPair(kind="sign", left="c", right="d", equal=False),
    KnownPair(kind="sign", left="e", right="f", equal=False),
]


def test_a_judge_is_held_against_itself_and_the_known_verdicts() -> None:
    def fickle(pairs: Sequence[KnownPair], time: int) -> list[bool | None]:
        left = [pair.left for pair in pairs]
        return [text == "a" or (text == "c" and time == 0) or (None if text == "e" else False) for text in left]

    shares = {share.name: (share.count, share.total) for share in examine(fickle, PAIRS, turn=exchanged)}
    assert shares == {
        "read": (7, 9), "consistent": (1, 2), "symmetric": (0, 2), "equal": (1, 1), "equal/form": (1, 1),
        "equal though not": (1, 2), "equal though not/sign": (1, 2),
    }  # fmt: skip


def test_stored_verdicts_are_measured_on_what_was_seen_twice_and_on_plain_numbers() -> None:
    stored = [("1.0", "1", True), ("1.0", "1", False), ("5 \\text{ m}", "5.04 \\text{ m}", False), ("x", "y", True)]
    shares = {share.name: (share.count, share.total) for share in examine_stored(stored, stored_kind)}
    assert shares == {"consistent": (0, 1), "equal/numbers": (1, 2), "equal though not/off by up to 1 %": (0, 1)}
    assert share_of("nothing", 0, 0).value is None


@pytest.mark.parametrize(
    ("box", "answer", "kind"),
    [
        ("1.620 \\, \\text{m/s}^2", "1.62", None),
        ("g = 5 \\text{ m}", "h = 5 \\text{ m}", None),
        ("3 \\times 10^{8} \\text{ m}", "2.9 \\times 10^8 \\text{ m}", ("off by 1 to 5 %", False)),
        ("\\text{Possible}", "\\text{Impossible}", ("yes against no", False)),
        ("\\text{nothing}", "\\text{Yes}", None),
        ("0", "0", None),
    ],
)
def test_few_pairs_have_a_verdict_that_is_known(box: str, answer: str, kind: tuple[str, bool] | None) -> None:
    assert stored_kind(box, answer) == kind


def test_made_pairs_are_the_same_for_the_same_seed_and_never_alike() -> None:
    pairs = known_pairs(20)
    assert pairs == known_pairs(20)
    assert pairs != known_pairs(20, seed=1)
    assert all(pair.left != pair.right for pair in pairs)


def test_a_model_is_asked_twice_and_once_in_the_other_order_and_its_figures_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(question: Sample) -> str:
        return "yes" if "Possible" in question.prompt else "no"

    model = Scripted(says)
    monkeypatch.setattr("strop.models.load_model", lambda name, **_: model)
    arguments = ("--judge", "my/judge", "--pairs", 1, "--data", tmp_path, "--json")
    printed = _run(*arguments)
    assert printed["shares"]["equal/words"]["value"] == printed["shares"]["equal though not/contrary"]["value"] == 1.0
    asked = len(model.samples)
    assert asked == 3 * len(known_pairs(1))
    assert _run(*arguments) == printed
    assert len(model.samples) == asked  # every reply was kept
    measured = kept(tmp_path, printed["judge"], "equality")
    assert measured is not None
    assert measured["shares"] == printed["shares"]
    assert kept(tmp_path, printed["judge"], "reading") is None
    assert keep(tmp_path, "a/b c", "reading", {}).name.startswith("a_b_c.reading.")


def test_a_reader_of_short_answers_is_measured_on_what_they_settle_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that always says A reads the right option by chance, and one where there is none to read."""
    monkeypatch.setattr("strop.models.load_model", lambda name, **_: Scripted(lambda question: "A"))
    shares = _run("--judge", "x", "--form", "reading", "--pairs", 8, "--data", tmp_path, "--json")["shares"]
    assert (shares["read"]["value"], shares["consistent"]["value"]) == (1.0, 1.0)
    assert 0.1 < shares["equal"]["value"] < 0.6
    assert shares["equal though not"]["value"] == 1.0
    assert shares["symmetric"]["value"] < 1.0
    monkeypatch.setattr("strop.models.load_model", lambda name, **_: Scripted(lambda question: "unclear"))
    shares = _run("--judge", "y", "--form", "reading", "--pairs", 8, "--data", tmp_path / "y", "--json")["shares"]
    assert (shares["equal"]["value"], shares["equal though not"]["value"]) == (0.0, 0.0)


def test_a_judge_of_captions_is_measured_on_what_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "strop.models.load_model", lambda name, **_: Scripted(lambda question: "precision: 100\nrecall: 100")
    )
    shares = _run("--judge", "x", "--form", "captions", "--pairs", 3, "--data", tmp_path, "--json")["shares"]
    assert "symmetric" not in shares
    assert shares["equal/all"]["value"] == shares["equal though not/one more"]["value"] == 1.0


def test_a_judge_of_the_loops_is_measured_in_its_own_forms_beside_the_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that says yes, A or 7 whatever it is shown finds all that is true, and as much that is not."""
    words = {"sentences": "Yes.", "pairwise": "A", "rubric": "7"}
    shares = {}
    for form, reply in words.items():
        model = Scripted(lambda question, reply=reply: reply)
        monkeypatch.setattr("strop.models.load_model", lambda name, model=model, **_: model)
        shares[form] = _run("--judge", "x", "--form", form, "--pairs", 4, "--data", tmp_path / form, "--json")["shares"]
        assert all(question.images for question in model.samples)
    values = {form: {name: share["value"] for name, share in each.items()} for form, each in shares.items()}
    assert (values["sentences"]["true"], values["sentences"]["true though not/another place"]) == (1.0, 1.0)
    assert (values["pairwise"]["symmetric"], values["pairwise"]["better though alike/another order"]) == (0.0, 1.0)
    assert values["pairwise"]["better"] == 0.5
    assert (values["rubric"]["read"], values["rubric"]["better"], values["rubric"]["better though alike"]) == (1, 0, 0)
    assert {share["total"] for name, share in shares["pairwise"].items() if "/" in name} == {4}


def test_texts_of_scenes_differ_in_what_their_kind_says() -> None:
    pairs = {case.kind: case for case in known_captions(1)}
    assert set(pairs) == {*CHANGES, *LENGTHS, ALIKE}
    assert len({case.pictures for case in pairs.values()}) == len(pairs)
    for kind, case in pairs.items():
        first, second = map(read_claims, case.texts)
        assert first is not None and second is not None
        assert (set(first) == set(second)) == (case.right is None) == (kind == ALIKE)
        assert case.reversed().reversed() == case
    assert {case.equal for case in known_sentences(2)} == {True, False}


def test_one_judge_is_measured_at_a_time() -> None:
    for arguments in ((), ("--judge", "rule", "--evaluations", "here")):
        with pytest.raises(UsageError, match="name a judge by --judge, or the stored verdicts of one by --evaluations"):
            _run(*arguments)
