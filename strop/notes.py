"""Notes beside figures, a line each: for `strop eval`, `strop score` and `strop rescore`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.wording import counted, one_line

if TYPE_CHECKING:
    from harness.results import TaskResult

UNREAD_SHARE = 0.2
"""Above this share of unread answers a figure says more about the reader than about the model."""

ALWAYS = 20
"""From so many answers on there is a note where all are the same text."""

ECHOES = 0.05
"""Above this share of answers that only repeat their question there is a note; some models do so now and then."""

BY_CHANCE, ENOUGH = 0.4, 100
"""Fewer right answers of yes or no than this share, of so many at least, are not chance."""

FAR_APART = 0.01
"""How far the headlines of two profiles must differ, as a fraction, for a note."""


def notes_of(marked: Sequence[TaskResult]) -> list[str]:
    """The notes on a task's results, one result for each profile; what is the same in all is noted once, from the last
    (a judge's result comes last)."""
    info = marked[-1].info
    notes = [*_provenance(marked, info), *_completeness(info), *_extractions(marked, info), *_scarce(marked[0])]
    notes += [*_unlikely(marked[0]), *_evaluation(info)]
    return [*notes, *_characters(marked[0]), *_thoughts(marked), *_silence(marked), *_reading(marked)]


def _characters(first: TaskResult) -> Iterator[str]:
    """How many answers hold bytes that are not text."""
    from harness.results import with_replacement_sign

    if count := with_replacement_sign(first):
        yield f"{count} of {counted(len(first.rows), 'answer')} with U+FFFD, in the place of half a letter or no text"


def _provenance(marked: Sequence[TaskResult], info: Mapping[str, Any]) -> Iterator[str]:
    """Where questions, truth and judge come from, and how answers were joined to questions."""
    if "built" in info:
        yield f"questions {info['built']}: not the published ones"
    if "truth" in info:
        yield f"truth: {info['truth']}" + (f", objects {info['objects']}" if "objects" in info else "")
    if "normaliser" in info:
        makers = dict.fromkeys(str(result.info["normaliser"]) for result in marked)
        yield f"words of captions by {', '.join(makers)}"
    if "judge" in info:
        seen = "sees the pictures" if info["judge"]["sees_pictures"] else "sees no pictures"
        yield f"judge {info['judge']['id']} (prompt {info['judge']['prompt']}) {seen}"
        if "asked" in info["judge"]:
            yield (
                "of {asked} answers that strict leaves unread the judge reads {read} ({no_reply} without reply); "
                "of {controls} that strict reads, it reads {agreed} alike".format_map(info["judge"])
            )
        if measured := info["judge"].get("measured"):
            from harness.examination import words_of

            yield f"the judge where the verdict is known: {words_of(measured)} (`strop judges`)"
        if info["judge"].get("unjudged"):
            yield "{unjudged} of {pairs} pairs have no verdict of the judge and count as unequal".format_map(
                info["judge"]
            )
    for file, way in info.get("joined", {}).items():
        if way != "question_id":
            yield f"{file}: answers joined to questions by {way}"
    if info.get("unnamed"):
        rows = counted(info["unnamed"], "row does", "rows do")
        yield f"{rows} not repeat the question: joined by id, unchecked"


def _unlikely(first: TaskResult) -> Iterator[str]:
    """Signs of a wrong file, though each of its rows is well-formed."""
    echoes = first.info.get("echoes", 0)
    if echoes > ECHOES * len(first.rows):
        yield f"{counted(echoes, 'answer')} only {'repeats' if echoes == 1 else 'repeat'} the question"
    read = [row for row in first.rows if "gold_yes" in row.counts and row.parsed is not None]
    right = sum(row.counts["right"] for row in read)
    if len(read) >= ENOUGH and right < BY_CHANCE * len(read):
        yield (
            f"only {100 * right / len(read):.1f} % of {len(read):,} answers read are right, fewer than a coin would "
            "have: yes and no, or the labels, may be swapped"
        )


def _completeness(info: Mapping[str, Any]) -> Iterator[str]:
    """What the figures leave out."""
    for category, split in info.get("splits", {}).items():
        if split["label_rows_without_question"]:
            rows = counted(split["label_rows"], "label row")
            yield f"{category}: {split['label_rows_without_question']} of {rows} not asked"
    if "unanswered" not in info and info.get("captions", 0) < info.get("images_of_truth", 0):
        yield f"{info['captions']:,} of {info['images_of_truth']:,} images of the truth have a caption"
    if unanswered := info.get("unanswered"):
        without = counted(len(unanswered), "question has", "questions have")
        yield f"{without} no answer and {'is' if len(unanswered) == 1 else 'are'} in no figure"
    for category, count in info.get("categories_without_truth", {}).items():
        yield f"{category}: {counted(count, 'question')} not marked, no label file was given for them"
    for category, count in info.get("categories_without_answers", {}).items():
        yield f"{category}: {counted(count, 'question')} not marked, no answers were given for them"


def _extractions(marked: Sequence[TaskResult], info: Mapping[str, Any]) -> Iterator[str]:
    """What the file stores beside the answers, and which of it does not come from a model."""
    picks = info.get("stored_picks", {})
    if picks.get("not_in_outputs"):
        yield (
            f"the file counts {counted(picks['correct'], 'option')} of its own as right; {picks['not_in_outputs']} of "
            "its options are not what LLaVA's rule reads from its outputs"
        )
    if "extracted" in info and any(result.profile.startswith("official") for result in marked):
        rows = len(marked[-1].rows)
        if missing := rows - info["extracted"]:
            yield f"official reads stored extractions: {missing} of {counted(rows, 'answer has', 'answers have')} none"
    if from_blank := info.get("extracted_from_blank"):
        blank = counted(from_blank, "blank response has", "blank responses have")
        yield f"{blank} an extraction, which no model here said"
    if programs := info.get("blank_executions"):
        yield f"{counted(programs, 'program')} printed nothing (blank `execution`), which is no blank response"


def _evaluation(info: Mapping[str, Any]) -> Iterator[str]:
    """What stored verdicts come to, and what of a file's evaluation was lost."""
    if (stored := info.get("evaluation")) is None:
        return
    total = stored["all"]
    with_lost = f"{100 * total['accuracy']:.2f}"
    if total["lost"]:
        yield (
            f"{total['lost']} of {counted(total['rows'], 'row')} were lost in the stored evaluation, which is no wrong "
            f"answer: its accuracy is {with_lost} with them as 0 and {100 * total['accuracy_without_lost']:.2f} without"
        )
    if total["unlike_stored"]:
        rows = counted(total["unlike_stored"], "row stores", "rows store")
        yield f"{rows} another accuracy than its verdicts give"


def _scarce(first: TaskResult) -> list[str]:
    """Whether the figures rest on too few pictures or events."""
    from harness.stats import scarcity_notes, supply

    return scarcity_notes({first.task: supply([first.rows], first.metrics, first.headline)})


def _thoughts(marked: Sequence[TaskResult]) -> Iterator[str]:
    """How many answers hold a thought, and which profiles read it with the answer."""
    if (thoughts := marked[0].info.get("thoughts")) is None:
        return
    answers = counted(len(marked[0].rows), "answer holds", "answers hold")
    words = f"{thoughts['answers']} of {answers} a thought, which is no answer"
    if thoughts["unfinished"]:
        words += f"; {thoughts['unfinished']} of them never end it and answer nothing (`strop eval --max-tokens`)"
    if readers := [result.profile for result in marked if result.info["thoughts"]["marked"]]:
        words += f"; {', '.join(readers)} {'reads' if len(readers) == 1 else 'read'} thoughts with the answers"
    yield words


def _silence(marked: Sequence[TaskResult]) -> Iterator[str]:
    """The likely cause where all answers are blank, unread, name nothing, or are the same."""
    from harness.thoughts import answer_of

    answers = [answer_of(row.answer).answer.strip() for row in marked[0].rows]
    if not any(answers) and not marked[0].info.get("thoughts"):
        yield (
            f"{_all(len(answers))} blank, which says nothing of the model. Likely: weights that are no numbers (NaN), "
            "a stop token that comes first, a chat template that does not ask for an answer, or a server that puts "
            "answers elsewhere (its reasoning parser)"
        )
    elif any(answers) and all(row.parsed is None for result in marked for row in result.rows):
        shown = next(answer for answer in answers if answer)
        yield (
            f"{_all(len(answers))} unread, which says nothing of the model. Likely: another form or language than "
            f"asked for, such as {one_line(shown)[:60]!r}, or answers to other questions"
        )
    elif any(answers) and all(row.counts.get("distinct_named") == 0 for row in marked[0].rows):
        shown = next(answer for answer in answers if answer)
        yield (
            "no answer names anything that is looked for, so that a share of wrong ones says nothing of the model. "
            f"Likely: another language, or captions of something else, such as {one_line(shown)[:60]!r}"
        )
    elif any(answers) and len(answers) >= ALWAYS and len(set(answers)) == 1:
        yield f"{_all(len(answers))} the same text, {one_line(answers[0])[:60]!r}, whatever was shown"


def _all(answers: int) -> str:
    return "the one answer is" if answers == 1 else f"all {answers:,} answers are"


def _reading(marked: Sequence[TaskResult]) -> Iterator[str]:
    """Unread answers, marks for silence, and how far the profile alone moves the headline."""
    rows = len(marked[0].rows)
    shares = {result.profile: sum(row.parsed is None for row in result.rows) / max(rows, 1) for result in marked}
    if many := [f"{100 * share:.1f} % by {name}" for name, share in shares.items() if share > UNREAD_SHARE]:
        yield f"unread of {counted(rows, 'answer')}: {', '.join(many)}"
    for result in marked:
        yield from _earned_by_silence(result)
    if len(marked) == 1:
        yield from _far_apart(marked[0])
    differently = marked[-1].info.get("read_differently")
    if differently is not None and len(marked) > 1:
        yield f"{counted(differently, 'answer is', 'answers are')} not read alike by all profiles"


def _earned_by_silence(result: TaskResult) -> Iterator[str]:
    """Marks earned by blank and by unread answers."""
    from harness.thoughts import answer_of

    answers = [answer_of(row.answer).answer.strip() for row in result.rows]
    blank = [row for row, answer in zip(result.rows, answers, strict=True) if not answer]
    unread = [row for row, answer in zip(result.rows, answers, strict=True) if answer and row.parsed is None]
    marks = sum(row.value for row in result.rows)
    for kind, rows in (("blank", blank), ("unread", unread)):
        if earned := sum(row.value for row in rows):
            earners = counted(len(rows), f"{kind} answer earns", f"{kind} answers earn")
            yield f"{earners} {earned:g} of the {marks:g} marks by {result.profile}"


def _far_apart(result: TaskResult) -> Iterator[str]:
    """The headline by `strict` beside that of another profile, where the profile alone moves it by over a point."""
    from harness.profiles import PLAIN

    values = result.info.get("headline_by_profile", {})
    other = result.profile if result.profile != PLAIN else "official"
    plain, theirs = values.get(PLAIN), values.get(other)
    if plain is None or theirs is None or abs(plain - theirs) <= FAR_APART:
        return
    yield f"{result.headline} is {100 * theirs:.2f} by {other} and {100 * plain:.2f} by {PLAIN}: the same answers"
