"""What is said about a scene: its captions, questions with their answers, false statements, and the words of it all.

Captions name groups of equal objects in the catalogue's order, one sentence a group. Every text is made of `words()`,
so that a word-level tokenizer reads and writes it without loss.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tasks.grounding.questions import REQUEST
from tasks.pictos.catalogue import BY_NAME, CATEGORIES, COMPANIONS
from tasks.pictos.world import SIDE, Scene, Thing, corners
from tasks.reading import readers
from tasks.scienceqa.questions import INSTRUCTION, scienceqa_prompt

DESCRIBE = "Please describe this image in detail."
SHORT = "Answer the question using a single word or phrase."
INTEGER_HINT = (
    "Hint: Please answer the question requiring an integer answer and provide the final value, "
    "e.g., 1, 2, 3, at the end.\nQuestion: "
)
OPTION_HINT = (
    "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.\nQuestion: "
)
ASK_QUESTION = "Ask one question about this image that can be answered by looking at it. Reply with the question alone."
"""What a model is asked that asks its own questions (`loops.collect.self_question`)."""
BRING = "Bring the hand to the {name}. Answer with one word: left, right, up, down or take."
WHICH_IS_THERE = "Which of these is in the image?"
PLACES = ("on the left", "in the middle", "on the right")
NUMBERS = ("No", "A", "Two", "Three", "Four", "Five", "Six")
LETTERS = "ABCDE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What one sentence says: how many of what, where (None: in several places), how large (None: neither)."""

    name: str
    count: int
    place: str | None
    size: str | None

    def sentence(self) -> str:
        category = BY_NAME[self.name]
        if self.count == 1:
            noun = f"{self.size} {self.name}" if self.size else self.name
            head = f"{'An' if noun[0] in 'aeiou' else 'A'} {noun}"
        else:
            head = f"{NUMBERS[self.count]} {category.plural}"
        return f"{head} {self.place}." if self.place else f"{head}."


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A prompt with its right answer. `kind` names its form."""

    kind: str
    prompt: str
    answer: str


def claims(scene: Scene) -> list[Claim]:
    """All that is true of a scene, one claim a category, in the order of the catalogue.

    One order for every scene: two right captions differ only in what they say. (From left to right is as fixed, but 47
    minutes of training did not teach a small model what is leftmost; it named one object again and again:
    docs/log/0001-seed-model.md.)
    """
    groups: dict[str, list[Thing]] = {}
    for thing in sorted(scene.things, key=lambda thing: thing.category.id):
        groups.setdefault(thing.category.name, []).append(thing)
    return [_claim(name, things) for name, things in groups.items()]


def caption(scene: Scene) -> str:
    """The whole scene in sentences."""
    return " ".join(claim.sentence() for claim in claims(scene))


def human_captions(scene: Scene) -> list[str]:
    """Five captions as annotators give them: one whole, four partial; all of them true."""
    rng = np.random.default_rng((scene.seed, 2))
    statements = claims(scene)
    captions = [caption(scene)]
    for size in (1, 2, 2, 3):
        chosen = sorted(rng.choice(len(statements), min(size, len(statements)), replace=False))
        captions.append(" ".join(statements[index].sentence() for index in chosen))
    return captions


def is_there(name: str) -> str:
    """POPE's question with LLaVA's ending."""
    return f"{presence_of(name)}\n{SHORT}"


def presence_of(name: str) -> str:
    return f"Is there {BY_NAME[name].article} {name} in the image?"


def is_true(sentence: str) -> str:
    """The question a judge is asked about one sentence."""
    return f"Is this true of the image? {sentence}\n{SHORT}"


def tempting_absent(scene: Scene, rng: np.random.Generator) -> str:
    """An absent category: often a companion of what is there, often usual in the theme, else any."""
    present = set(scene.counts())
    chance = rng.random()
    if chance < 0.4:
        options = [other for name in sorted(present) for other in COMPANIONS[name] if other not in present]
    elif chance < 0.75:
        options = [name for name in scene.theme.usual if name not in present]
    else:
        options = []
    options = options or [category.name for category in CATEGORIES if category.name not in present]
    return options[rng.integers(len(options))]


def false_claim(scene: Scene, rng: np.random.Generator) -> Claim:
    """A claim that is not true of the scene: mostly an absent object, else a wrong place, count or size."""
    statements = claims(scene)
    true = statements[rng.integers(len(statements))]
    chance = rng.random()
    if chance < 0.62:
        return replace(true, name=tempting_absent(scene, rng))
    if chance < 0.82 and true.place:
        places = [place for place in PLACES if place != true.place]
        return replace(true, place=places[rng.integers(len(places))])
    if chance < 0.92:
        counts = [count for count in (1, 2, 3) if count != true.count]
        count = counts[rng.integers(len(counts))]
        return replace(true, count=count, size=None)
    if true.size:
        return replace(true, size="small" if true.size == "large" else "large")
    return replace(true, name=tempting_absent(scene, rng))


def questions(scene: Scene, rng: np.random.Generator) -> list[Question]:
    """One question of each form, with the balance of each form's benchmark."""
    counts = scene.counts()
    present = sorted(counts)
    present_name = present[rng.integers(len(present))]
    absent = tempting_absent(scene, rng)
    chosen = [
        Question(kind="presence", prompt=is_there(present_name), answer="Yes"),
        Question(kind="presence", prompt=is_there(absent), answer="No"),
        _count_question(present_name, counts[present_name], rng),
        _which_is_there(scene, present_name, rng),
        _statement(scene, rng),
    ]
    single = things_alone(scene)
    if single:
        chosen.append(box_question(single[rng.integers(len(single))]))
    if len(single) >= 2:
        first, second = (single[index] for index in rng.choice(len(single), 2, replace=False))
        chosen.append(_further_left(first, second))
    return chosen


def presence_questions(scene: Scene, rng: np.random.Generator, pairs: int) -> list[Question]:
    """POPE's question, `pairs` times about what is there and as often about what is not."""
    present = sorted(scene.counts())
    chosen = []
    for _ in range(pairs):
        present_name, absent = present[rng.integers(len(present))], tempting_absent(scene, rng)
        chosen.append(Question(kind="presence", prompt=is_there(present_name), answer="Yes"))
        chosen.append(Question(kind="presence", prompt=is_there(absent), answer="No"))
    return chosen


def place_questions(scene: Scene, rng: np.random.Generator, pairs: int) -> list[Question]:
    """Where each thing is that is there once: its box, and `pairs` times which of two is further left; and how many
    there are of all that is there several times, and of as many that are there once."""
    single, counts = things_alone(scene), scene.counts()
    chosen = [box_question(thing) for thing in single]
    for _ in range(pairs if len(single) >= 2 else 0):
        first, second = (single[index] for index in rng.choice(len(single), 2, replace=False))
        chosen.append(_further_left(first, second, short=rng.random() < 0.25))
    several = sorted(name for name, count in counts.items() if count > 1)
    alone = rng.permutation([thing.category.name for thing in single])[: max(len(several), 1)]
    return chosen + [_count_question(str(name), counts[str(name)], rng) for name in (*several, *alone)]


def own_question(scene: Scene, rng: np.random.Generator) -> Question:
    """A question of its own about the scene, as a short answer can be given to it."""
    present, single = sorted(scene.counts()), things_alone(scene)
    name = present[rng.integers(len(present))]
    chosen = [presence_of(name), presence_of(tempting_absent(scene, rng)), how_many(name)]
    if len(single) >= 2:
        chosen.append(further_left(*(single[i].category.name for i in rng.choice(len(single), 2, replace=False))))
    return Question(kind="question", prompt=ASK_QUESTION, answer=chosen[rng.integers(len(chosen))])


def things_alone(scene: Scene) -> list[Thing]:
    """The things that are the only ones of their category, so that a name points at one of them."""
    counts = scene.counts()
    return [thing for thing in scene.things if counts[thing.category.name] == 1]


def options_there(scene: Scene, right: str, rng: np.random.Generator) -> list[str]:
    """`right`, which is in the scene, among tempting names that are not: four in an order drawn for them."""
    options = [right]
    for _ in range(50):
        name = tempting_absent(scene, rng)
        if name not in options:
            options.append(name)
        if len(options) == 4:
            break
    rng.shuffle(options)
    return options


def how_many(name: str) -> str:
    return f"How many {BY_NAME[name].plural} are there in the image?"


def more_of(name: str, other: str) -> str:
    """A comparison, in words that the seed knows and an order that it was never taught."""
    return f"Are there more {BY_NAME[name].plural} than {BY_NAME[other].plural} in the image?"


def further_left(name: str, other: str) -> str:
    return f"Which is further left, the {name} or the {other}?"


def hinted(question: str, options: Sequence[str] = ()) -> str:
    """MathVista's prompt, the hint first: an option's letter is asked for, or without options an integer.

    Source: lupantech/MathVista, data/query.json.
    """
    if not options:
        return INTEGER_HINT + question
    choices = (f"({letter}) {option}" for letter, option in zip(readers.LETTERS, options, strict=False))
    return "\n".join([OPTION_HINT + question, "Choices:", *choices])


def box_question(thing: Thing) -> Question:
    return Question(
        kind="box",
        prompt=REQUEST.format(name=thing.category.name),
        answer=f"[{', '.join(str(value) for value in corners(thing.box))}]",
    )


def words() -> list[str]:
    """Every word, number and mark of this language, sorted: the vocabulary of its models."""
    texts = [DESCRIBE, SHORT, INSTRUCTION, INTEGER_HINT, OPTION_HINT, *PLACES, *NUMBERS, *LETTERS]
    texts += [f"{c.name} {c.plural} {c.name.capitalize()} {c.plural.capitalize()}" for c in CATEGORIES]
    texts += ["a an small large A An Yes No yes no USER: ASSISTANT: Choices: (A) [1, 2]"]
    texts += ["Is there a cat in the image? Is this true of the image? How many are there in the image?"]
    texts += [
        "Which of these is in the image? Which is further left, the cat or the dog? Are there more cats than dogs?"
    ]
    texts += ["Provide the bounding box of the cat. How many does the chart show? Which has the highest bar?"]
    texts += ["Describe the picture briefly. What do you see? Look again. photo scene objects object list name number"]
    texts += ["It shows image with and it is not right wrong left bottom top above below same as fewer most least both"]
    texts += [ASK_QUESTION, BRING]
    texts += ["better answer one two three four five six first second caption describes more fewer Which what Why"]
    texts += [" ".join(str(number) for number in range(101))]
    return sorted({word for text in texts for word in re.findall(r"\w+|[^\w\s]|\n", text)})


def _claim(name: str, things: Sequence[Thing]) -> Claim:
    places = {PLACES[min(int(thing.centre * 3 / SIDE), 2)] for thing in things}
    size = None
    if len(things) == 1:
        longest = max(things[0].box[2:])
        size = "small" if longest <= 13 else "large" if longest >= 22 else None
    return Claim(name=name, count=len(things), place=places.pop() if len(places) == 1 else None, size=size)


def _count_question(name: str, count: int, rng: np.random.Generator) -> Question:
    text = how_many(name)
    prompt = hinted(text) if rng.random() < 0.5 else f"{text}\n{SHORT}"
    return Question(kind="count", prompt=prompt, answer=str(count))


def _which_is_there(scene: Scene, right: str, rng: np.random.Generator) -> Question:
    options = options_there(scene, right, rng)
    return Question(
        kind="option", prompt=scienceqa_prompt(WHICH_IS_THERE, options), answer=LETTERS[options.index(right)]
    )


def _statement(scene: Scene, rng: np.random.Generator) -> Question:
    if rng.random() < 0.5:
        statements = claims(scene)
        return Question(
            kind="truth", prompt=is_true(statements[rng.integers(len(statements))].sentence()), answer="Yes"
        )
    return Question(kind="truth", prompt=is_true(false_claim(scene, rng).sentence()), answer="No")


def _further_left(first: Thing, second: Thing, short: bool = False) -> Question:
    names = [first.category.name, second.category.name]
    left = min((first, second), key=lambda thing: thing.centre).category.name
    if short:
        return Question(kind="position", prompt=f"{further_left(*names)}\n{SHORT}", answer=left)
    return Question(kind="position", prompt=hinted(further_left(*names), names), answer=LETTERS[names.index(left)])


def read_names(text: str) -> Iterator[str]:
    """The categories that a text names, in order, repeats included: longest match of singular or plural names."""
    spoken = [word.lower() for word in re.findall(r"[A-Za-z]+", text)]
    index = 0
    while index < len(spoken):
        for length in (2, 1):
            name = _SPOKEN.get(tuple(spoken[index : index + length]))
            if name:
                yield name
                index += length
                break
        else:
            index += 1


_SPOKEN = {tuple(form.split()): category.name for category in CATEGORIES for form in (category.name, category.plural)}
