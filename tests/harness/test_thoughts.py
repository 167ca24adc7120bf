"""What a model thinks before it answers is no answer: it is not marked, judged or trained on, and it is counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.engine import evaluate
from harness.errors import RecipeError, UsageError
from harness.files import write_json, write_jsonl
from harness.judge import ask_judge
from harness.profiles import profiles_of, scorer_of
from harness.ranked import steps_of
from harness.results import read_results
from harness.store import Store
from harness.thoughts import answer_of, thoughts_in
from harness.types import Answer, Sample
from leaderboards.verdicts import compare_results
from loops.collect.asking import settle
from loops.collect.controlled_hallucination import ControlledHallucination
from loops.recipe import Evaluate, Recipe, load_recipe
from strop.app import app
from strop.commands.eval import read_longest
from strop.notes import notes_of
from tasks.chair.cut import cut_captions
from tasks.ic.judge import judge_captions, opinion_counts
from tasks.mathvista.readers import Question
from tasks.reading.object_words import CaptionReader, ChairTables, Normaliser
from tasks.registry import find_task
from tests.support.scripted import Scripted
from tests.support.worlds import yes_no

THOUGHTS = pytest.mark.reported("thoughts")


@THOUGHTS
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>There might be no dog.</think>Yes", "Yes"),
        ("<think>\\boxed{3}</think>\nThe answer is 12", "The answer is 12"),
        ("The dog is not there, so no.</think>\n\nYes", "Yes"),
        ("<thinking>No.</thinking> Yes", "Yes"),
        ("<reasoning>No.</reasoning>Yes", "Yes"),
        ("<Thought>No.</Thought>\n<Output>Yes</Output>", "Yes"),
        ("<THINK>No.</THINK>YES", "YES"),
        ("< think >No.</ think >Yes", "Yes"),
        ("&lt;think&gt;No.&lt;/think&gt;Yes", "Yes"),
        ("<seed:think>No.</seed:think>Yes", "Yes"),
        ("◁think▷No.◁/think▷Yes", "Yes"),
        ("[THINK]No.[/THINK]Yes", "Yes"),
        ("<|begin_of_thought|>No.<|end_of_thought|>\n<|begin_of_solution|>Yes<|end_of_solution|>", "Yes"),
        ("<|START_THINKING|>No.<|END_THINKING|><|START_RESPONSE|>Yes<|END_RESPONSE|>", "Yes"),
        ("<|channel|>analysis<|message|>No.<|end|><|start|>assistant<|channel|>final<|message|>Yes<|return|>", "Yes"),
        ("analysisThere is no dog.assistantfinalYes", "Yes"),
        ("<|channel>thought\nNo.<channel|>Yes", "Yes"),
        ("Here is my thought process: No. Here is my response: Yes", "Yes"),
        ("<think>No.</think><answer>Yes</answer>", "Yes"),
        ("<think>No.</think><answer>Yes", "Yes"),
        ("There is no cat. <answer>Yes</answer>", "Yes"),
        ("<answer>No</answer> Wait. <answer>Yes</answer>", "Yes"),
        ("<SUMMARY>No.</SUMMARY><REASONING>No.</REASONING><CONCLUSION>Yes</CONCLUSION>", "Yes"),
        ("<think>No.</think>The answer is <|begin_of_box|>12<|end_of_box|>", "12"),
        ("<think>No.</think>Hm.<think>No.</think>Yes", "Yes"),
        ("<think>No.<think>No.</think>No.</think>Yes", "Yes"),
        ('<think>It says "no"</think>"Yes"', '"Yes"'),
        ("<think>They want <think> and `</think>` around it.</think>Yes", "Yes"),
        ("<think>\n\n</think>\n\nYes", "Yes"),
    ],
)
def test_text_behind_the_last_closing_tag_is_the_answer(text: str, answer: str) -> None:
    assert answer_of(text).answer == answer
    assert answer_of(text).finished


@THOUGHTS
@pytest.mark.parametrize(
    "text",
    [
        "<think>There is a dog, so yes",
        " \n<think>\nYes",
        "<thinking>a <thought>b</thought> Yes",
        "<think>a</think>\n<think>Yes",
        "[THINK]Yes",
        "◁think▷Yes",
        "<|channel|>analysis<|message|>Yes",
        "analysisThe answer is yes",
        "<think>The form is <answer>Yes</answer>",
    ],
)
def test_a_thought_that_was_cut_is_no_answer(text: str) -> None:
    assert answer_of(text) == replace(answer_of(""), thought=True, finished=False)


@THOUGHTS
@pytest.mark.parametrize(
    "text",
    [
        "Yes",
        " Yes \n",
        "",
        "The tag <think> stands in the picture. Yes",
        "It says `</think>` on the screen.",
        "Analysis of the picture: a dog.",
        "A < B and C > D, see [1].",
        "[0.1, 0.2, 0.3, 0.4]",
        "<b>Yes</b>",
        "<table><tr><td>12</td></tr></table>",
    ],
)
def test_text_without_a_thought_is_the_answer_as_it_stands(text: str) -> None:
    assert answer_of(text) == replace(answer_of(""), answer=text)


@THOUGHTS
def test_an_answer_that_stands_in_the_thought_alone_is_none() -> None:
    assert answer_of("<think>The answer is yes.</think>") == replace(answer_of(""), thought=True)


@THOUGHTS
def test_thoughts_are_counted_and_empty_ones_are_none() -> None:
    texts = ["<think>a</think>Yes", "<think>a", "<think>\n</think>No", "Yes"]
    assert thoughts_in(texts, marked=False) == {"thoughts": {"answers": 2, "unfinished": 1, "marked": False}}
    assert thoughts_in(texts[2:], marked=False) == {}


# What marks answers ---------------------------------------------------------------------------------------------------


def _pope(answer: str, profile: str) -> Any:
    sample = Sample(id="1", prompt="?", images=(), target="yes", cluster="1")
    return profiles_of(find_task("pope"))[profile](sample, answer).parsed


@THOUGHTS
@pytest.mark.parametrize(
    ("profile", "read"), [("strict", "yes"), ("official", "no"), ("lmms-eval", None), ("vlmeval", None)]
)
def test_pope_reads_the_answer_in_strict_and_what_their_scripts_read_in_the_others(profile: str, read: str) -> None:
    assert _pope("<think>There is no dog.</think>Yes", profile) == read


@THOUGHTS
def test_scienceqa_and_mathvista_read_the_answer_in_strict_alone() -> None:
    from tasks.scienceqa.marks import Problem

    text = "<think>\\boxed{A}, or (A)? The answer is A.</think>B"
    science = Sample(id="1", prompt="?", images=(), target=Problem(options=("x", "y"), gold="B"), cluster="1")
    result = {name: score(science, text).parsed for name, score in profiles_of(find_task("scienceqa")).items()}
    assert (result["strict"], result["official"]) == ("B", "A")
    number = Question(question_type="free_form", answer_type="integer", answer="12")
    maths = Sample(id="1", prompt="?", images=(), target=number, cluster="1")
    scorers = profiles_of(find_task("mathvista"))
    assert scorers["strict"](maths, "<think>\\boxed{3}</think>\nThe answer is 12").parsed == "12"
    assert scorers["strict"](maths, "<think>\\boxed{12}").parsed is None


@THOUGHTS
@pytest.mark.parametrize(
    "name", ["pictos_pope", "pictos_chair", "pictos_scienceqa", "pictos_mathvista", "pictos_grounding"]
)
def test_every_task_of_this_world_marks_the_answer_and_not_the_thought(name: str) -> None:
    task = find_task(name)
    sample = task.samples("test")[0]
    right, score = task.gold(sample), scorer_of(task)
    assert score(sample, f"<think>dog, cat, No, (E), 999, [0, 0, 1, 1].</think>{right}") == score(sample, right)
    assert score(sample, f"<think>{right}") == score(sample, "")


@THOUGHTS
def test_boxes_are_read_behind_the_thought_in_every_frame() -> None:
    sample = Sample(id="1", prompt="?", images=(), target=(0, 0, 5, 5), cluster="1", meta={"size": (10, 10)})
    scores = profiles_of(find_task("grounding"))
    for frame in ("strict", "crop", "llava"):  # whose boxes are fractions; of a square picture the same ones
        score = scores[frame]
        assert score(sample, "<think>[0.5, 0.5, 1, 1]?</think>[0, 0, 0.5, 0.5]").value == 1.0


@THOUGHTS
def test_an_evaluation_counts_thoughts_and_tells_who_reads_them() -> None:
    says = {"yes": "<think>No.</think>Yes", "no": "<think>Yes, or"}
    task = find_task("pictos_pope")
    right = {sample.prompt: sample.target for sample in task.samples("test")[:6]}
    (result,) = evaluate(Scripted(lambda item: says[right[item.prompt]]), [task], split="test", limit=6)
    unfinished = sum(label == "no" for label in right.values())
    assert result.info["thoughts"] == {"answers": 6, "unfinished": unfinished, "marked": False}
    assert [row.parsed for row in result.rows] == ["yes" if right else None for right in [r.value for r in result.rows]]
    assert (
        f"6 of 6 answers hold a thought, which is no answer; {unfinished} of them never end it and answer nothing "
        "(`strop eval --max-tokens`)"
    ) in notes_of([result])
    official = replace(result, profile="official", info={"thoughts": {**result.info["thoughts"], "marked": True}})
    assert "; official reads thoughts with the answers" in " ".join(notes_of([official]))


@THOUGHTS
def test_the_sentences_that_are_ranked_are_those_of_the_answer() -> None:
    task = find_task("pictos_chair")
    sample = task.samples("test")[0]
    steps = steps_of(sample, "<think>A dog. A cat.</think>A bus. A car.", [1.0, 2.0], scorer_of(task))
    assert [step.sentence for step in steps] == [None, 1, 0]
    assert steps[-1].counts["mentions"] == 2


@THOUGHTS
def test_captions_are_scored_cut_and_judged_without_their_thoughts(tmp_path: Path) -> None:
    write_json(tmp_path / "truth.json", {"categories": ["cat", "dog"], "images": {"1": [0], "2": [0]}})
    write_json(tmp_path / "synonyms.json", {"cat": ["cat"], "dog": ["dog"]})
    write_json(tmp_path / "double_words.json", {})
    rows = [
        {"image_id": n, "caption": f"<think>A dog, a dog.</think>\n\nA cat{end}"}
        for n, end in ((1, "."), (2, ". A dog."))
    ]
    write_jsonl(tmp_path / "a.jsonl", rows)
    words = ["score", "chair", "--answers", tmp_path / "a.jsonl", "--truth", tmp_path / "truth.json", "--cut", "--json"]
    done = CliRunner().invoke(app, [*map(str, words), "--profile", "lemminflect"])
    content = json.loads(done.stdout)
    assert content["metrics"]["CHAIRs"]["value"] == 0.5
    assert content["info"]["thoughts"] == {"answers": 2, "unfinished": 0, "marked": False}
    first = content["cut"]["sentences"][0]
    assert (first["k"], first["shortened"], first["metrics"]["CHAIRs"]["value"]) == (1, 1, 0.0)


@THOUGHTS
def test_forty_of_operas_captions_keep_their_figure_behind_a_thought(
    conformance: Path, nltk_data: Path, tmp_path: Path
) -> None:
    splitlines = (conformance / "chair/opera/llava-1.5/greedy.jsonl").read_text().splitlines()[:40]
    figures = []
    for name, before in (("plain", ""), ("thought", "<think>A dog, a cat, a bus and a pizza.</think>\n")):
        rows = [json.loads(line) for line in splitlines]
        write_jsonl(tmp_path / name, [{**row, "caption": before + row["caption"]} for row in rows])
        words = ["--answers", tmp_path / name, "--truth", conformance / "chair/ground_truth_maxlinn.json.gz"]
        done = CliRunner().invoke(
            app, ["score", "chair", *map(str, words), "--partial", "--profile", "official", "--json"]
        )
        figures.append(json.loads(done.stdout)["metrics"])
    assert figures[0] == figures[1]
    assert figures[0]["CHAIRs"]["value"] == 0.45


class _Judge:
    """Replies the same to everything."""

    id = "judge"

    def __init__(self, reply: str) -> None:
        self.reply, self.samples = reply, list[Sample]()

    def stream(self, questions: Any) -> Any:
        self.samples += questions
        yield from ((number, [self.reply]) for number in range(len(questions)))


@THOUGHTS
def test_a_judge_sees_no_thought_and_its_own_is_no_reply(tmp_path: Path) -> None:
    judge = _Judge("<think>precision: 1\nrecall: 2</think>precision: 80\nrecall: 50")
    sample = Sample(id="1", prompt="?", images=(), target={"cat": 1}, cluster="1")
    captions = ["<think>A dog.</think>A cat.", "<think>A dog."]
    opinion, blank = judge_captions(judge, [sample, sample], captions, None, Store(tmp_path / "kept.jsonl"))
    assert opinion is not None
    assert (opinion.precision, opinion.recall, blank) == (0.8, 0.5, None)
    assert len(judge.samples) == 1
    assert "A cat." in judge.samples[0].prompt and "A dog." not in judge.samples[0].prompt
    assert opinion_counts("<think>A dog.", None) == {"judge_recall": 0, "recall_judged": 1, "unjudged": 0}
    cut = _Judge("<think>precision: 80\nrecall: 50")
    assert ask_judge(cut, [sample], Store(tmp_path / "other.jsonl")) == [""]


# What is trained on ---------------------------------------------------------------------------------------------------


@THOUGHTS
def test_a_collected_answer_is_kept_without_its_thought() -> None:
    whole = "<think>A dog? No.</think>A cat. A bus."
    assert settle(Answer(text=whole), ControlledHallucination()) == ("A cat. A bus.", {"said": whole})
    cut = Answer(text="<think>A dog.</think>A cat. A b", finished=False)
    assert settle(cut, ControlledHallucination()) == (
        "A cat.",
        {"said": cut.text, "unfinished": True, "left_out": " A b"},
    )
    thinking = Answer(text="<think>A dog. A cat.", finished=False)
    assert settle(thinking, ControlledHallucination())[0] == ""
    assert settle(thinking, ControlledHallucination(unfinished="keep"))[0] == ""


def test_cut_captions_without_thoughts_are_what_they_were() -> None:
    sample = Sample(id="1", prompt="?", images=(), target=frozenset({"cat"}), cluster="1")
    plain = Normaliser(package="none", words=lambda text: text.lower().split(), sentences=lambda text: text.split(". "))
    tables = ChairTables(synonyms={"cat": ["cat"]})
    reader = CaptionReader(profile="plain", normaliser=plain, tables=tables, info={})
    cuts = list(cut_captions([sample], ["A cat. A dog."], reader))
    assert [cut.rows[0].answer for cut in cuts][-1] == "A cat. A dog."


# Longer answers -------------------------------------------------------------------------------------------------------


@THOUGHTS
@pytest.mark.parametrize(
    ("text", "longest"),
    [
        (None, {}),
        ("2048", {"pope": 2048, "chair": 2048}),
        ("pope=1024", {"pope": 1024}),
        ("chair=4096, 64", {"pope": 64, "chair": 4096}),
    ],
)
def test_max_tokens_are_of_all_tasks_or_of_those_named(text: str | None, longest: dict[str, int]) -> None:
    assert read_longest(text, ["pope", "chair"]) == longest


@THOUGHTS
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--max-tokens : not a number of tokens above 0; say e.g. 2048 or pope=1024"),
        ("0", "--max-tokens 0: not a number of tokens above 0; say e.g. 2048 or pope=1024"),
        ("pope=many", "--max-tokens pope=many: not a number of tokens above 0; say e.g. 2048 or pope=1024"),
        ("pop=9", "--max-tokens pop=9: --tasks does not name 'pop'; it names pope"),
        ("9,8", "--max-tokens 9,8: every task is given twice; keep one"),
    ],
)
def test_max_tokens_that_fit_no_task_are_refused_before_a_model_is_loaded(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        read_longest(text, ["pope", "chair"])
    assert str(error.value) == message


@THOUGHTS
def test_longer_answers_are_asked_for_recorded_and_told_where_many_are_cut(tmp_path: Path) -> None:
    def run(tokens: str, out: str) -> str:
        words = ["eval", "--model", "pictos-seed", "--tasks", "pictos_chair", "--limit", "4", "--max-tokens", tokens]
        done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / out)])
        assert done.exception is None
        return done.stdout

    assert (
        "4 of 4 answers had now ended at 3 tokens, the longest allowed: --max-tokens pictos_chair=6 allows longer ones"
    ) in run("3", "a")
    assert "ended at" not in run("pictos_chair=200", "b")
    short, long = read_results(tmp_path / "a"), read_results(tmp_path / "b")
    assert [item.tasks[0].sampling["max_tokens"] for item in (short, long)] == [3, 200]
    assert (
        "pictos_chair: answers might have 3 tokens on one side and 200 on the other (--max-tokens), which moves "
        "figures by itself; ask both alike."
    ) in compare_results([short], [long])["notes"]
    assert "ended at" not in run("3", "a"), "stored answers are had already"


@THOUGHTS
def test_a_recipe_may_allow_longer_answers() -> None:
    assert Evaluate(tasks=("pope", "chair"), max_tokens=64).longest == {"pope": 64, "chair": 64}
    assert Evaluate(tasks=("pope", "chair"), max_tokens={"pope": 9}).longest == {"pope": 9}
    assert Evaluate().longest == {}
    shipped = Path(__file__).parents[2] / "loops/recipes/judge_free.yaml"
    assert isinstance(load_recipe(shipped, ["evaluate.max_tokens=64"]), Recipe)
    with pytest.raises(RecipeError, match=r"evaluate.max_tokens names pope, which is not among evaluate.tasks"):
        load_recipe(shipped, ["evaluate.max_tokens={pope: 9}"])
    for wrong in ("0", "many", "true", "1.5", "{pictos_pope: 0}", "[9]"):
        with pytest.raises(
            RecipeError, match=r"field 'evaluate.max_tokens' is .*: say tokens above 0, or \{task: tokens\}$"
        ):
            load_recipe(shipped, [f"evaluate.max_tokens={wrong}"])


def test_answers_of_one_length_need_no_remark() -> None:
    from leaderboards.paired import other_lengths

    same = yes_no([1, 0], sampling={"max_tokens": 4})
    assert other_lengths(same, same) is None
    assert other_lengths(same, yes_no([1, 0])) is None
