"""Claims about `strop compare`: a fair verdict, nothing dropped in silence, and folders found by any of their names."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from harness.errors import DataError, UsageError
from harness.results import TaskResult, read_results
from harness.stats import difference, pooled_difference
from leaderboards.verdicts import compare_results
from strop.commands.board import board
from strop.commands.compare import compare, find_results
from strop.commands.score import score_app
from tasks.pope.marks import headline, pope_metrics
from tests.support.worlds import YES_NO, captions, write_folder, write_run, yes_no

BEFORE = [1, 0] * 30
AFTER = [1, 1, 1, 0] * 15


def ask(*words: object) -> str:
    app = typer.Typer()
    app.command("board")(board)
    app.command("compare")(compare)
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def ask_json(*words: object) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(ask("compare", *words, "--json"))
    return fields


def test_a_folder_compared_with_itself_shows_exactly_no_difference(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", yes_no(BEFORE), captions("cat !dog", "cup"))
    result = ask_json(folder, folder)
    assert result["verdict"] == "no difference seen"
    assert [metric["value"] for task in result["tasks"] for metric in task["metrics"].values()] == [0.0] * 8
    assert [metric["low"] for metric in result["tasks"][0]["metrics"].values()] == [0.0, 0.0]
    assert "quiz: no difference seen (accuracy 0.0 [0.0, 0.0], p 1.00)" in ask("compare", folder, folder)


def test_parts_of_pope_differ_in_their_categories_and_in_no_version(tmp_path: Path) -> None:
    def result_of(*groups: str) -> TaskResult:
        metrics = pope_metrics(groups)
        rows = yes_no([1, 0], task="pope").rows
        marked = [replace(row, id=f"{group}/{row.id}", group=group) for group in groups for row in rows]
        return yes_no([1], task="pope", metrics=metrics, headline=headline(groups), rows=tuple(marked))

    every = ("adversarial", "popular", "random")
    for left, right in ((("random",), ("popular",)), (every, ("popular",)), (every, ("popular", "random"))):
        sides = [write_folder(tmp_path / name, result_of(*groups)) for name, groups in (("a", left), ("b", right))]
        with pytest.raises(DataError) as error:
            ask("compare", *sides)
        assert str(error.value) == (
            f"nothing to compare: pope: one side is about {', '.join(left)} and the other about {', '.join(right)}; "
            "score the same questions on both"
        )


def test_the_figures_are_those_of_the_paired_bootstrap(tmp_path: Path) -> None:
    a, b = (write_folder(tmp_path / name, yes_no(marks)) for name, marks in (("a", BEFORE), ("b", AFTER)))
    accuracy = ask_json(a, b)["tasks"][0]["metrics"]["accuracy"]
    expected = difference(yes_no(BEFORE).rows, yes_no(AFTER).rows, YES_NO)["accuracy"]
    assert (accuracy["a"], accuracy["b"], accuracy["value"], accuracy["n"]) == (0.5, 0.75, 0.25, 60)
    assert (accuracy["low"], accuracy["high"], accuracy["p"]) == (expected.low, expected.high, expected.p)


def test_better_and_worse_follow_the_direction_of_the_metric(tmp_path: Path) -> None:
    low, high = (write_folder(tmp_path / name, yes_no(marks)) for name, marks in (("a", BEFORE), ("b", AFTER)))
    assert (ask_json(low, high)["verdict"], ask_json(high, low)["verdict"]) == ("better", "worse")
    clean = write_folder(tmp_path / "clean", captions(*["cat dog"] * 30))
    wrong = write_folder(tmp_path / "wrong", captions(*["cat !dog", "cat dog"] * 15))
    assert (ask_json(wrong, clean)["verdict"], ask_json(clean, wrong)["verdict"]) == ("better", "worse")
    assert "chair: B is better (CHAIRi −25.0" in ask("compare", wrong, clean)


def test_a_gain_that_saying_less_explains_is_said_to_be_one(tmp_path: Path) -> None:
    long = write_folder(tmp_path / "long", captions(*["cat dog cup !car", "cat dog bus !bed"] * 20))
    short = write_folder(tmp_path / "short", captions(*["cat dog"] * 40))
    sentence = ask_json(long, short)["sentence"]
    assert "chair: B is better (CHAIRi −25.0" in sentence
    assert "sureness, 0.0 [0.0, 0.0]: A less its least sure sentences may do as well" in sentence


def test_opposite_verdicts_of_two_tasks_are_mixed_and_both_are_said(tmp_path: Path) -> None:
    a = write_folder(tmp_path / "a", yes_no(BEFORE), yes_no(AFTER, task="other"))
    b = write_folder(tmp_path / "b", yes_no(AFTER), yes_no(BEFORE, task="other"))
    result = ask_json(a, b)
    assert result["verdict"] == "mixed"
    assert "quiz: B is better" in result["sentence"] and "other: B is worse" in result["sentence"]


def test_answer_files_and_served_names_are_not_called_weights(tmp_path: Path) -> None:
    for name, entries in (("file", {"answers": "a.jsonl"}), ("served", {"model": {"url": "http://localhost/v1"}})):
        write_folder(tmp_path / name, yes_no(BEFORE), entries=entries)
    answers = ask("compare", tmp_path / "file", tmp_path / "served")
    assert "A: toy  answers d10000000000" in answers
    assert "B: toy  served name d10000000000" in answers
    weights = write_folder(tmp_path / "known", yes_no(BEFORE), entries={"model": {}})
    assert "B: toy  weights d10000000000" in ask("compare", tmp_path / "file", weights)
    ask("board", tmp_path / "file", weights, "--out", tmp_path / "out")
    text = (tmp_path / "out/board.md").read_text(encoding="utf-8")
    assert "| toy | answers d10000000000 |" in text
    assert "| toy | d10000000000 |" in text


def test_holm_corrects_headlines_apart_from_the_rest(tmp_path: Path) -> None:
    names = ("x", "y", "z")
    a, b = (write_folder(tmp_path / side, *(yes_no(marks, task=name) for name in names))
            for side, marks in (("a", BEFORE), ("b", AFTER)))  # fmt: skip
    metrics = ask_json(a, b)["tasks"][0]["metrics"]
    assert metrics["accuracy"]["p_holm"] == pytest.approx(3 * metrics["accuracy"]["p"])
    assert metrics["unread"]["p_holm"] == 1.0


def test_mcnemar_stands_beside_accuracy_with_the_rows_that_one_side_alone_has_right(tmp_path: Path) -> None:
    a, b = (write_folder(tmp_path / name, yes_no(marks)) for name, marks in (("a", BEFORE), ("b", AFTER)))
    test = ask_json(a, b)["tasks"][0]["metrics"]["accuracy"]["mcnemar"]
    assert (test["only_a"], test["only_b"], test["clustered"]) == (0, 15, False)
    assert test["p"] == pytest.approx(2 / 2**15)
    text = ask("compare", a, b)
    assert "0/15" in text and "several rows a picture" not in text


def test_where_rows_share_a_picture_mcnemar_is_said_not_to_hold(tmp_path: Path) -> None:
    tasks = [yes_no(marks) for marks in (BEFORE, AFTER)]
    together = [
        replace(task, rows=tuple(replace(row, cluster=f"scene-{i // 6}") for i, row in enumerate(task.rows)))
        for task in tasks
    ]
    a, b = (write_folder(tmp_path / str(side), task) for side, task in enumerate(together))
    assert ask_json(a, b)["tasks"][0]["metrics"]["accuracy"]["mcnemar"]["clustered"]
    text = ask("compare", a, b)
    assert "several rows a picture: McNemar's p takes them to be independent" in text
    assert "quiz: 10 pictures. Under 50 the bootstrap's intervals are too narrow" in text


def test_captions_have_mcnemar_for_chairs_and_none_for_a_ratio_of_mentions(tmp_path: Path) -> None:
    a = write_folder(tmp_path / "a", captions(*["cat !dog"] * 9, "cat"))
    b = write_folder(tmp_path / "b", captions(*["cat dog"] * 9, "!cat"))
    metrics = ask_json(a, b)["tasks"][0]["metrics"]
    assert (metrics["CHAIRs"]["mcnemar"]["only_a"], metrics["CHAIRs"]["mcnemar"]["only_b"]) == (9, 1)
    assert [name for name, metric in metrics.items() if metric["mcnemar"]] == ["CHAIRs"]


def test_no_difference_seen_says_what_would_have_been_seen(tmp_path: Path) -> None:
    shifted = [*BEFORE[1:], 0]  # half of the answers change, none of the sum
    a, b = (write_folder(tmp_path / name, yes_no(marks)) for name, marks in (("a", BEFORE), ("b", shifted)))
    metric = ask_json(a, b)["tasks"][0]["metrics"]["accuracy"]
    assert metric["detectable"] == pytest.approx(2.8 * metric["se"])
    assert f"a true difference of {100 * metric['detectable']:.1f} would be seen four times in five" in (
        ask("compare", a, b)
    )
    assert "four times in five" not in ask("compare", a, a)  # two equal files tell nothing of what would be seen


def test_not_worse_by_a_margin_goes_by_the_worse_end_of_the_interval(tmp_path: Path) -> None:
    nearly = [0, *BEFORE[1:]] * 5
    a, b = (write_folder(tmp_path / name, yes_no(marks)) for name, marks in (("a", BEFORE * 5), ("b", nearly)))
    worse_end = -100 * ask_json(a, b)["tasks"][0]["metrics"]["accuracy"]["low"]
    assert worse_end > 0
    for margin, shown in ((worse_end + 0.01, True), (worse_end - 0.01, False)):
        assert ask_json(a, b, "--margin", margin)["tasks"][0]["margins"] == {
            "accuracy": {"margin": margin, "not_worse": shown}
        }
    assert "not worse by 9 or more on accuracy: shown (one-sided 97.5 %)" in ask("compare", a, b, "--margin", 9)


def test_a_margin_knows_which_way_a_metric_is_worse(tmp_path: Path) -> None:
    a = write_folder(tmp_path / "a", captions(*["cat dog", "cat !dog"] * 30))
    b = write_folder(tmp_path / "b", captions(*["cat dog"] * 60))
    margins = ask_json(a, b, "--margin", "CHAIRs=1", "--margin", "recall=1")["tasks"][0]["margins"]
    assert {name: margin["not_worse"] for name, margin in margins.items()} == {"CHAIRs": True, "recall": True}
    margins = ask_json(b, a, "--margin", "CHAIRs=60", "--margin", "CHAIRi=1")["tasks"][0]["margins"]
    assert {name: margin["not_worse"] for name, margin in margins.items()} == {"CHAIRs": False, "CHAIRi": False}


def test_a_margin_by_name_goes_before_the_one_of_every_headline(tmp_path: Path) -> None:
    a, b = (write_folder(tmp_path / name, yes_no(marks)) for name, marks in (("a", BEFORE), ("b", AFTER)))
    for inputs in (("accuracy=2", 1), (1, "accuracy=2")):
        (task,) = ask_json(a, b, "--margin", inputs[0], "--margin", inputs[1])["tasks"]
        assert task["margins"]["accuracy"]["margin"] == 2


def test_answers_that_are_all_equal_do_not_show_that_others_would_be(tmp_path: Path) -> None:
    a, b = (write_folder(tmp_path / name, yes_no([1] * 60)) for name in "ab")
    (task,) = ask_json(a, b, "--margin", 1)["tasks"]
    assert (task["metrics"]["accuracy"]["low"], task["margins"]["accuracy"]["not_worse"]) == (0.0, None)
    assert "on accuracy: not shown" in ask("compare", a, b, "--margin", 1)


@pytest.mark.parametrize(
    ("margin", "reason"),
    [
        ("-1", "not a number of points above 0"),
        ("recall=much", "not a number of points above 0"),
        (
            "recoil=1",
            "no task here has this metric; did you mean 'recall'\\? \\(there are CHAIRs, CHAIRi, recall, words",
        ),
        ("words=1", "neither better nor worse"),
    ],
)
def test_a_margin_that_means_nothing_is_refused(tmp_path: Path, margin: str, reason: str) -> None:
    a = write_folder(tmp_path / "a", captions("cat dog", "cat"))
    with pytest.raises(UsageError, match=reason):
        ask("compare", a, a, f"--margin={margin}")


def test_several_training_seeds_are_a_level_of_resampling(tmp_path: Path) -> None:
    seed_model = write_folder(tmp_path / "seed", yes_no(BEFORE))
    ends = (AFTER, [1] * 60, BEFORE)
    honed = [write_folder(tmp_path / f"honed-{n}", yes_no(end), parent="d1") for n, end in enumerate(ends)]
    result = ask_json(seed_model, ",".join(map(str, honed)))
    metric = result["tasks"][0]["metrics"]["accuracy"]
    pairs = [(yes_no(BEFORE).rows, yes_no(end).rows) for end in ends]
    accuracy = pooled_difference(pairs, YES_NO)["accuracy"]
    assert (result["training_seeds"], metric["seeds"]) == (3, [0.25, 0.5, 0.0])
    assert (metric["low"], metric["high"], metric["p"]) == (accuracy.low, accuracy.high, accuracy.p)
    assert (metric["fixed_low"], metric["mcnemar"]) == (accuracy.fixed_low, None)
    assert [entry["folder"] for entry in result["b"]] == list(map(str, honed))
    text = ask("compare", seed_model, ",".join(map(str, honed)))
    assert "quiz, 180 samples that both answered, 3 training seeds together: not testable" in text
    assert "accuracy by training seed: +25.0, +50.0, 0.0" in text and "One training run" not in text
    assert metric["ratio"] == accuracy.ratio and f"{accuracy.ratio:.1f}" in text and "ratio, 3 runs" in text
    assert result["verdict"] == "not testable"
    assert (
        "1 of 1 headlines are not testable: 3 training runs prove no p below 0.25, which Holm's correction lifts "
        "beyond 0.05, whatever the answers; 6 would do."
    ) in result["notes"]


def test_six_training_runs_that_all_gain_may_be_called_better(tmp_path: Path) -> None:
    seed_model = write_folder(tmp_path / "seed", yes_no(BEFORE))
    ends = [[1] * (40 + n) + [0] * (20 - n) for n in range(6)]
    honed = [write_folder(tmp_path / str(n), yes_no(end), digest=f"e{n}") for n, end in enumerate(ends)]
    six, five = (ask_json(seed_model, ",".join(map(str, honed[:count])))["verdict"] for count in (6, 5))
    assert (six, five) == ("better", "not testable")


def test_few_events_are_told_as_few_pictures_are(tmp_path: Path) -> None:
    """100 questions, 19 of them wrong on one side: 20 on both say nothing."""
    a, b, c = (
        write_folder(tmp_path / name, yes_no([0] * wrong + [1] * (100 - wrong)))
        for name, wrong in (("a", 30), ("b", 19), ("c", 20))
    )
    words = "quiz: 19 events in accuracy (what is counted or what is not, whichever is rarer). Under 20"
    assert words in ask("compare", a, b)
    assert "events in" not in ask("compare", a, c)


def test_a_large_family_is_given_the_draws_that_it_needs(tmp_path: Path) -> None:
    """Twenty tasks of two metrics: 40 figures, 20 x 40 / 0.05 draws, unless others are named."""
    tasks = [yes_no(BEFORE, task=f"quiz{number}") for number in range(20)]
    a, b = (write_folder(tmp_path / name, *tasks) for name in "ab")
    assert ask_json(a, b)["draws"] == 16_000
    few = ask_json(a, b, "--draws", 500)
    assert few["draws"] == 500
    assert any("20 of 20 headlines are not testable: 500 draws prove no p below 0.004" in note for note in few["notes"])


def test_a_task_that_one_training_seed_lacks_is_named(tmp_path: Path) -> None:
    seed_model, whole = (write_folder(tmp_path / name, yes_no(BEFORE), yes_no(BEFORE, task="other")) for name in "ab")
    folder = write_folder(tmp_path / "c", yes_no(BEFORE))
    result = ask_json(seed_model, f"{whole},{folder}")
    assert (result["tasks_only_a"], result["tasks_only_b"]) == (["other"], [])
    assert [task["task"] for task in result["tasks"]] == ["quiz"]


def test_captions_of_several_training_seeds_are_compared_at_equal_recall_too(tmp_path: Path) -> None:
    seed_model = write_folder(tmp_path / "seed", captions(*["cat !car dog"] * 9))
    honed = [write_folder(tmp_path / str(n), captions(*[text] * 9)) for n, text in enumerate(("cat dog", "cat cup"))]
    metric = ask_json(seed_model, ",".join(map(str, honed)))["tasks"][0]["metrics"]["frontier/CHAIRi"]
    assert (metric["seeds"], metric["n"]) == ([pytest.approx(-1 / 3), pytest.approx(-1 / 3)], 18)


def test_one_training_run_is_said_to_be_one_and_answer_files_are_not(tmp_path: Path) -> None:
    seed_model = write_folder(tmp_path / "seed", yes_no(BEFORE))
    honed = write_folder(tmp_path / "honed", yes_no(AFTER), parent="d1")
    assert "One training run: intervals and p speak of these weights" in ask("compare", seed_model, honed)
    assert "One training run" not in ask("compare", seed_model, seed_model)


def test_sides_marked_by_other_truths_are_said_to_be(tmp_path: Path) -> None:
    """The same ids and no other sign of it: right answers differ, or the questions that were asked."""
    first, two = (write_folder(tmp_path / name, yes_no(BEFORE, data=name * 64)) for name in "ab")
    assert f"digests {'a' * 12} and {'b' * 12}" in ask("compare", first, two)
    assert "digests" not in ask("compare", first, first)
    questions, other = (
        write_folder(tmp_path / name, yes_no(BEFORE, data=name * 64, sampling={"max_tokens": 8})) for name in "cd"
    )
    fewer = write_folder(tmp_path / "e", yes_no(BEFORE[:30], data="e" * 64, sampling={"max_tokens": 8}))
    assert "digests" in ask("compare", questions, other) and "digests" not in ask("compare", questions, fewer)


def test_where_a_side_is_0_of_0_nothing_can_be_told(tmp_path: Path) -> None:
    a, b = write_folder(tmp_path / "a", captions(*["", ""] * 9)), write_folder(tmp_path / "b", captions(*["!cat"] * 18))
    result = ask_json(a, b)
    assert (result["verdict"], result["tasks"][0]["verdict"]) == ("cannot be told", "cannot be told")
    assert "chair: cannot be told (CHAIRi –, p –" in result["sentence"]
    first, two = (write_folder(tmp_path / str(mark), yes_no([mark])) for mark in (0, 1))
    assert ask_json(first, two)["verdict"] == "cannot be told"  # a single picture


def test_a_training_run_named_twice_is_told(tmp_path: Path) -> None:
    start = write_folder(tmp_path / "start", yes_no(BEFORE))
    first, two = (write_folder(tmp_path / name, yes_no(AFTER), digest=name) for name in ("e1", "e2"))
    assert "3 training seeds are given, but only 2 are different" in ask("compare", start, f"{first},{two},{first}")
    assert "different weights" not in ask("compare", start, f"{first},{two}")


def test_a_p_of_next_to_nothing_is_not_written_as_zero(tmp_path: Path) -> None:
    a, b = (write_folder(tmp_path / name, yes_no([mark] * 60)) for name, mark in (("a", 0), ("b", 1)))
    assert "<0.0001" in ask("compare", a, b) and "0.0000" not in ask("compare", a, b)


def test_a_task_is_not_called_by_a_path(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a" / "b", yes_no(BEFORE))
    (folder / "quiz.jsonl").rename(tmp_path / "quiz.jsonl")
    content = (folder / "results.json").read_text()
    (folder / "results.json").write_text(content.replace('"task": "quiz"', '"task": "../../quiz"'))
    with pytest.raises(DataError, match=r"a task cannot be called '../../quiz'"):
        ask("compare", folder, folder)


def test_seeds_that_do_not_match_up_are_refused(tmp_path: Path) -> None:
    names = [str(write_folder(tmp_path / str(n), yes_no(BEFORE))) for n in range(5)]
    with pytest.raises(UsageError, match="A has 2 results and B has 3: give one for each training seed"):
        ask("compare", ",".join(names[:2]), ",".join(names[2:]))
    other = write_folder(tmp_path / "other", yes_no(BEFORE, profile="lmms-eval"))
    with pytest.raises(DataError, match="profile official on one side, lmms-eval on the other"):
        ask("compare", names[0], f"{names[1]},{other}")


@pytest.mark.parametrize(
    ("decoding", "chairs", "detectable"), [("ours", "−0.4 [−4.4, +4.0]", "6.0"), ("beam5", "+3.8 [−0.6, +8.4]", "6.4")]
)
def test_on_published_captions_no_decoding_differs_from_greedy(
    conformance: Path, nltk_data: Path, tmp_path: Path, decoding: str, chairs: str, detectable: str
) -> None:
    folder = conformance / "chair"
    for name in ("greedy", decoding):
        words = ["chair", "--answers", folder / f"opera/llava-1.5/{name}.jsonl", "--profile", "official"]
        words += ["--truth", folder / "ground_truth_maxlinn.json.gz", "--out", tmp_path / name]
        assert CliRunner().invoke(score_app, [str(word) for word in words]).exit_code == 0
    result = ask_json(tmp_path / "greedy", tmp_path / decoding)
    assert result["verdict"] == "no difference seen"
    assert f"chair: no difference seen (CHAIRs {chairs}" in result["sentence"]
    assert f"a true difference of {detectable} would be seen" in result["sentence"]
    assert "frontier/CHAIRi" not in result["tasks"][0]["metrics"], "a file of captions does not say how sure they are"


def test_ids_that_only_one_side_answered_are_listed(tmp_path: Path) -> None:
    a = write_folder(tmp_path / "a", yes_no(BEFORE))
    b = write_folder(tmp_path / "b", yes_no(AFTER, first=2))
    task = ask_json(a, b)["tasks"][0]
    assert (task["only_a"], task["only_b"]) == (["q0", "q1"], ["q60", "q61"])
    assert task["metrics"]["accuracy"]["n"] == 58
    text = ask("compare", a, b)
    assert "only A answered 2: q0, q1" in text and "only B answered 2: q60, q61" in text


def test_a_task_that_one_side_lacks_is_named(tmp_path: Path) -> None:
    a = write_folder(tmp_path / "a", yes_no(BEFORE), yes_no(BEFORE, task="other"))
    b = write_folder(tmp_path / "b", yes_no(AFTER))
    assert ask_json(a, b)["tasks_only_a"] == ["other"]
    assert "not compared, as B lacks them: other" in ask("compare", a, b)


def test_results_that_do_not_belong_side_by_side_are_refused(tmp_path: Path) -> None:
    a = read_results(write_folder(tmp_path / "a", yes_no(BEFORE)))
    for changed, reason in (
        ({"profile": "lmms-eval"}, "profile official on one side, lmms-eval on the other"),
        ({"version": 2}, "version 1 on one side, 2"),
        ({"split": "dev"}, "split test on one side, dev"),
        ({"info": {"built": "built by Strop"}}, "one side answered questions that were built here"),
        ({"first": 100}, "no sample that both sides answered"),
    ):
        with pytest.raises(DataError, match=reason):
            compare_results([a], [read_results(write_folder(tmp_path / "b", yes_no(BEFORE, **changed)))])
    with pytest.raises(DataError, match="A holds quiz, B holds other"):
        compare_results([a], [read_results(write_folder(tmp_path / "c", yes_no(BEFORE, task="other")))])


def test_a_run_is_found_by_folder_round_and_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "runs" / "honed", [[yes_no(BEFORE)], [yes_no(AFTER)]])
    monkeypatch.chdir(tmp_path)
    first, last = (Path("runs/honed") / f"round-{number}" / "eval" for number in (0, 1))
    assert find_results("runs/honed") == last
    assert find_results("runs/honed:0") == find_results("runs/honed/round-0") == find_results(str(first)) == first
    assert find_results("10abc") == last
    shutil.copytree(run, tmp_path / "runs" / "again")  # another run of the same seed with the same answers
    assert find_results("00abc").name == "eval"
    write_folder(tmp_path / "elsewhere", yes_no(AFTER), digest="00abc")
    with pytest.raises(
        UsageError, match=r"00abc: 3 evaluations below runs or here are of such weights; name one: .*elsewhere"
    ):
        find_results("00abc")


def test_what_is_not_found_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty is neither a run nor a results folder"):
        find_results("empty")
    with pytest.raises(UsageError, match="nowhere: no such folder; name a results folder"):
        find_results("nowhere")
    with pytest.raises(UsageError, match="abcd: no evaluation below runs or here is of such weights"):
        find_results("abcd")
    write_run(tmp_path / "run", [[yes_no(BEFORE)]])
    with pytest.raises(DataError, match="run has no finished evaluation of round 3"):
        find_results("run:3")


def test_the_board_command_says_what_it_wrote(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[yes_no(BEFORE)]])
    content = json.loads(ask("board", run, "--out", tmp_path / "out", "--json"))
    assert [Path(name).is_file() for name in content["files"]] == [True] * 4
    assert f"written {tmp_path / 'out' / 'board.html'}" in ask("board", run, "--out", tmp_path / "out")
