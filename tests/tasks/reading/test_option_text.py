"""An option is read where its letter, its text or its value stands alone, and no option where two may be meant."""

from __future__ import annotations

import pytest

from tasks.reading.readers import read_option_strict, read_yes_no_strict

ROOTS = ("5", "10", r"10 \sqrt { 3 }", "20")
SIDES = ("3", r"3 \sqrt 2", "6", r"6 \sqrt 2")
HALVES = ("1/2", "2")
PETS = ("a dog", "a cat", "amino acid", "acid")
ANGLES = ("30°", "60°", "90°")
LENGTHS = ("5 cm", "5 m", "7 cm")

READ = [
    # reported
    (r"The answer is $10\sqrt{3}$.", ROOTS, "C"),
    (r"The answer is $6\sqrt{2}$.", SIDES, "D"),
    (r"\frac{1}{2}", HALVES, "A"),
    # one form of LaTeX
    (r"\boxed{10\sqrt{3}}", ROOTS, "C"),
    ("It is 10√3.", ROOTS, "C"),
    (r"The length is $10\sqrt {3}$ units", ROOTS, "C"),
    ("The ratio is 3 : 1.", ("3:1", "1:3"), "A"),
    (r"$10 \cdot \sqrt{3}$", ("5", r"10\cdot\sqrt{3}"), "B"),
    (r"It is $60^{\circ}$", ANGLES, "B"),
    (r"\boxed{60^\circ}", ANGLES, "B"),
    (r"\dfrac{1}{2}", (r"\frac { 1 } { 2 }", "2"), "A"),
    (r"$\text{a dog}$", PETS, "A"),
    (r"2 - \frac{\sqrt{3}}{3}", ("2", r"2-\frac{√{3}}{3}"), "B"),
    # values
    ("0.5", HALVES, "A"),
    (r"\boxed{0.5}", HALVES, "A"),
    ("The answer is 0.5.", HALVES, "A"),
    ("5.0", ROOTS, "A"),
    ("1,200", ("1200", "120"), "A"),
    (r"\boxed{2\sqrt{4}}", ("4", "5"), "A"),
    ("3+4=7", ("3", "4", "7"), "C"),
    ("60 degrees", ANGLES, "B"),
    # borders
    ("It is a 5-year-old", ("5", "6"), "A"),
    ("x = 5", ("5", "6"), "A"),
    ("about 5%", ("5", "6"), "A"),
    ("It is *acid*", PETS, "D"),
    # letters
    (r"\boxed{\textbf{(B) } 60^\circ}", ANGLES, "B"),
    (r"\boxed{\text{B}}", ANGLES, "B"),
    ("Ｂ", ANGLES, "B"),
    ("（Ｂ）", ANGLES, "B"),
    ("答案是B", ANGLES, "B"),
    ("答案为Ｂ。", ANGLES, "B"),
    ("所以选B", ANGLES, "B"),
    ("故選B，因為它大", ANGLES, "B"),
    ("选项为(B)。", ANGLES, "B"),
    ("選項B正確", ANGLES, "B"),
    ("正解はBです", ANGLES, "B"),
    ("The answer is B, because A is wrong.", ANGLES, "B"),
    ("Option A is wrong. Option B is right.", ANGLES, "B"),
    ("not (A) but (B)", ANGLES, "B"),
    ("The answer is (B), not (A).", ANGLES, "B"),
    ("Answer: A dog", ("a cat", "a dog"), "B"),
    ("答案是狗。", ("猫", "狗"), "B"),
    # how models write it
    ("**Answer:** B", ANGLES, "B"),
    ("**Answer:** **B**", ANGLES, "B"),
    ("**Answer**: B", ANGLES, "B"),
    ("The answer is $B$.", ANGLES, "B"),
    ("The answer is 'B'.", ANGLES, "B"),
    ("The answer is [B].", ANGLES, "B"),
    ("The answer is {B}", ANGLES, "B"),
    (r"Therefore, the answer is \textbf{B}.", ANGLES, "B"),
    (r"The answer is $\mathbf{B}$.", ANGLES, "B"),
    ("The answer should be B", ANGLES, "B"),
    ("The answer is therefore B.", ANGLES, "B"),
    ("The answer is the letter B", ANGLES, "B"),
    ("The answer to the question is B.", ANGLES, "B"),
    ("Ans: B", ANGLES, "B"),
    ("选择B", ANGLES, "B"),
    ('{"answer": "B"}', ANGLES, "B"),
    ("{'answer': 'B', 'why': 'A is half of it'}", ANGLES, "B"),
    ("answer = B", ANGLES, "B"),
    ("Answer – B", ANGLES, "B"),
    ("Yes, because there is no other.", ("Yes", "No"), "A"),
    ("No. A yes would need another side.", ("Yes", "No"), "B"),
    ("Yes. There is no doubt.", ("no", "yes"), "B"),
    # the letter first and then why
    ("B\n\nExplanation: option A is half of it.", ANGLES, "B"),
    ("**B**\n\nIn option (A) it is halved.", ANGLES, "B"),
    ("(B)\n\nOption (A) leaves it out.", ANGLES, "B"),
    ("Option A is half of it.\n\n**B**", ANGLES, "B"),
]

UNREAD = [
    # reported
    (r"The answer is $6\sqrt{2}$.", ("3", "6", "9")),
    ("The answer is 10√3", ("5", "10")),
    # parts of an expression
    (r"\frac{1}{2}", ("1", "2")),
    ("5^2", ("5", "2")),
    ("5²", ("5", "2")),
    ("√5", ("5", "3")),
    ("2×5", ("5", "2")),
    ("2 x 5", ("5", "2")),
    ("5/6", ("5", "6")),
    ("1 1/2", HALVES),
    ("-5", ("5", "3")),
    ("minus 5", ("5", "3")),
    ("−5", ("5", "3")),
    ("12 - 5", ("5", "3")),
    ("1,5", ("1", "5")),
    ("3:5", ("3", "5")),
    ("5-10", ("5", "7")),
    ("f(5)", ("5", "7")),
    ("5x", ("5", "7")),
    ("the square root of 5", ("5", "7")),
    ("12 + 12 = 24", ("12", "6")),
    (r"\boxed{2\sqrt{15}}", ("15", "2")),
    ("dog/cat", ("dog", "horse")),
    # near, or of another unit
    ("0.33", ("1/3", "1/2")),
    (r"10.39", (r"6\sqrt{3}", "10")),
    ("5 mm", LENGTHS),
    ("5", LENGTHS),
    ("50%", ("0.5", "5")),
    # two, none, denied
    ("The answer is A or B", ANGLES),
    ("The answer is A and B.", ANGLES),
    ("Answer: A, B", ANGLES),
    ("A and B", ANGLES),
    ("A/B", ANGLES),
    ("A. 5 B. 6", ("5", "6")),
    ("Both (A) and (B)", ANGLES),
    ("neither A nor B", ANGLES),
    ("not A", ANGLES),
    ("The answer is not B", ANGLES),
    ("Option B is wrong", ANGLES),
    ("不选B", ANGLES),
    ("答案不是B", ANGLES),
    ("选项B错误", ANGLES),
    ("It is not a dog", PETS),
    ("It isn't a dog", PETS),
    ("60° is none of the options", ANGLES),
    ("I get 30°, but this is not an option", ANGLES),
    (r"\boxed{\textbf{(B)} 30^\circ}", ANGLES),
    ("В", ANGLES),  # Cyrillic
    ("熊猫", ("猫", "狗")),
    ("Answer: A dog", ("oxymoron", "paradox")),
    ("**Answer:** A dog", ("oxymoron", "paradox")),
    ("The answer is yes or no", ("Yes", "No")),
    ("The answer is $A$ or $B$", ANGLES),
    ("The answer is [A] and [B]", ANGLES),
    ("B) 60°\n(A) is for a square.", ANGLES),
    ("A. 30 is too small.\nOption B fits.", ANGLES),
]


@pytest.mark.reported("options")
@pytest.mark.parametrize(("answer", "options", "letter"), READ)
def test_an_option_is_read_where_it_stands_alone(answer: str, options: tuple[str, ...], letter: str) -> None:
    assert read_option_strict(answer, options) == letter


@pytest.mark.reported("options")
@pytest.mark.parametrize(("answer", "options"), UNREAD)
def test_no_option_is_read_from_a_part_of_something_else(answer: str, options: tuple[str, ...]) -> None:
    assert read_option_strict(answer, options) is None


@pytest.mark.reported("options")
@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("Ｙｅｓ．", "yes"),
        ("No, there is no doubt", "no"),
        ("yes, there is no dog", "yes"),
        ("There is no dog.", "no"),
        ("**No**", "no"),
        ("There is no doubt that it is a dog", None),
        ("No doubt.", None),
        ("I have no idea", None),
        ("not yes", None),
        ("I cannot say whether yes or no", None),
        ("If yes, it is a dog", None),
        ("Yes/no", None),
        ("yes and no", None),
        ("nope", None),
        ("是", None),
        ("否", None),
        ("はい", None),
        ("none", None),
        ("Yes. No other animals are in the picture.", "yes"),
        ("No. Yes would need a tail.", "no"),
        ("Yes. No.", None),
        ("No. Yes!", None),
        ("Yes! No, wait.", None),
        ("No dog is near the car, but behind it is one. So the answer is yes.", "yes"),
        ("At first there's no obvious dog, however a tail is visible.\n\n**Final answer:** Yes", "yes"),
        ("Yes, it could be one. Still, the answer is no.", "no"),
        ("Answer (yes/no): yes", "yes"),
        ("The answer is yes or no", None),
        ("The answer is not no", None),
    ],
)
def test_yes_and_no_are_read_where_they_answer(answer: str, read: str | None) -> None:
    assert read_yes_no_strict(answer) == read
