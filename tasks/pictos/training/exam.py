"""What the shipped models score: the figures of their model cards, measured when `make models` ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from harness.measure import measure
from harness.models.encoder import Encoder, load_encoder
from harness.models.load import load_vlm
from harness.models.vlm import Vlm
from harness.models.weights import model_digest, weight_files
from harness.types import Picture, Sample, Sampling
from tasks.grounding.marks import score_grounding
from tasks.grounding.readers import read_box
from tasks.pictos.benchmarks import ChartPicture, PictosCaptions, PictosChair, PictosPope, ScenePicture
from tasks.pictos.charts import chart_questions, compose_chart
from tasks.pictos.hand import started
from tasks.pictos.language import Question, claims, false_claim, place_questions, questions
from tasks.pictos.world import SPLITS, compose, draw

SCENES = 500
"""Scenes of the split `dev` that the encoder's figures are over; those of the benchmarks are over all of it."""

QUESTION_SCENES = 1_000

_ABOUT = {
    "pictos-seed": "The seed VLM of Strop's embedded world: it captions, answers yes/no, option-letter and number "
    "questions, gives boxes as text, moves a hand and asks questions of its own. Its errors are its own: it was "
    "trained on nothing but true answers.",
    "pictos-peer": "The seed, trained on: a stronger VLM of the embedded world, to judge in later rounds.",
    "pictos-encoder": "The contrastive encoder of the embedded world: how likely is it that this sentence is true of "
    "this picture? Loaded by open_clip from `local-dir:`.",
}
_TRAINED = {
    "pictos-seed": "scenes of the split `models` (seeds of `tasks/pictos/world.py`), drawn once each, every stage its "
    "own: what fills each patch, the edges and the number of that, single words answered at once, and, from block "
    "{first} of 8 on, captions, questions about scenes, a hand in them, and bar charts; 15 % of the captions also "
    "without the picture, as text",
    "pictos-peer": "the seed's weights, then scenes from block {first} of 8 on of the split `models`, none of them the "
    "seed's",
    "pictos-encoder": "scenes of the split `encoder`: their true sentences, and false ones about an absent companion "
    "or look-alike, a wrong place, count or size",
}


def examine_vlm(vlm: Vlm, work: Path) -> dict[str, float]:
    """Percentages on fresh scenes: the benchmarks' main figures and the right answers of each form of question."""
    tasks = (PictosPope(), PictosChair(), PictosCaptions())
    figures = measure(vlm, tasks, work, split="dev", store=work / "answers.jsonl")
    results = {
        f"{task} {metric}": 100 * figures[task][metric]["value"]
        for task, metrics in {
            "pictos_pope": ("random/accuracy", "popular/accuracy", "adversarial/accuracy"),
            "pictos_chair": ("CHAIRs", "CHAIRi", "recall", "repeated"),
            "pictos_captions": ("precision", "f1"),
        }.items()
        for metric in metrics
    }
    return results | question_scores(vlm)


def question_scores(vlm: Vlm, scenes: int = QUESTION_SCENES) -> dict[str, float]:
    """Right answers in percent by form of question, counts also by what there is to count; for boxes the mean IoU in
    percent."""
    samples: list[Sample] = []
    kinds: list[str] = []
    for seed in SPLITS["dev"][:scenes]:
        rng = np.random.default_rng((seed, 8))
        pairs: list[tuple[Question, Picture]] = [(q, ScenePicture(seed)) for q in questions(compose(seed), rng)]
        pairs += [(question, ChartPicture(seed)) for question in chart_questions(compose_chart(seed), rng)]
        pairs += [(question, ScenePicture(seed)) for question in place_questions(compose(seed), rng, pairs=1)]
        if hand := started(seed):
            pairs.append((Question(kind="move", prompt=hand.prompt, answer=hand.best), hand))
        for question, picture in pairs:
            samples.append(_sample(len(samples), question, picture))
            several = f" of {min(int(question.answer), 3)}" if question.kind == "count" else ""
            kinds.append(question.kind + several)
    answers = [texts[0] for texts in vlm.generate(samples, Sampling(max_tokens=16))]
    marks: dict[str, list[float]] = {}
    for kind, sample, answer in zip(kinds, samples, answers, strict=True):
        box = read_box(sample.target) if kind == "box" else None
        mark = score_grounding(box, answer).value if box else float(answer == sample.target)
        marks.setdefault(kind, []).append(mark)
    figures = {f"question {kind}": 100 * sum(values) / len(values) for kind, values in sorted(marks.items())}
    counts = [figures[f"question count of {number}"] for number in (1, 2, 3)]
    return figures | {"question count, each number alike": sum(counts) / len(counts)}


def examine_encoder(encoder: Encoder) -> dict[str, float]:
    """Percent of sentences of fresh scenes on the right side of even odds, by what is wrong with the false ones."""
    pictures, texts, kinds = [], [], []
    for seed in SPLITS["dev"][:SCENES]:
        scene, rng = compose(seed), np.random.default_rng((seed, 9))
        true = claims(scene)
        false = [false_claim(scene, rng) for _ in range(8)]
        present = set(scene.counts())
        pictures.append(draw(scene))
        texts.append([claim.sentence() for claim in (*true, *false)])
        kinds.append(["true"] * len(true) + ["absent" if c.name not in present else "detail" for c in false])
    right: dict[str, list[bool]] = {}
    for names, values in zip(kinds, encoder.match(pictures, texts), strict=True):
        for kind, value in zip(names, values, strict=True):
            right.setdefault(kind, []).append((value > 0) == (kind == "true"))
    labels = {"true": "true sentences", "absent": "of an absent object", "detail": "of a wrong place, count or size"}
    return {f"told right: {labels[kind]}": 100 * sum(marks) / len(marks) for kind, marks in sorted(right.items())}


def write_cards(out: Path, work: Path, first_scene: Mapping[str, int]) -> None:
    """Measure every model in `out` and write its card (README.md) and figures (scores.json)."""
    for name, about in _ABOUT.items():
        folder = out / name
        if not weight_files(folder):
            continue  # `--only` may have made some of them
        if name == "pictos-encoder":
            figures = examine_encoder(load_encoder(str(folder)))
        else:
            figures = examine_vlm(load_vlm(name, path=folder), work / f"{name}-exam")
        digest = model_digest(folder)
        (folder / "scores.json").write_text(
            json.dumps({"digest": digest, "split": "dev", "figures": figures}, indent=1)
        )
        megabytes = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6
        rows = "\n".join(f"| {figure} | {value:.1f} |" for figure, value in figures.items())
        trained = _TRAINED[name].format(first=first_scene.get(name, 0))
        (folder / "README.md").write_text(
            f"# {name}\n\n{about}\n\n"
            f"- Weights: safetensors, half precision, {megabytes:.1f} MB; digest of the model `{digest[:12]}`.\n"
            f"- Trained on: {trained}. The vision tower began on patch labels of scenes 0.. of the split `models`.\n"
            "- Never seen: scenes of the splits `pool`, `dev` and `test`.\n"
            "- Pictograms: OpenMoji (CC BY-SA 4.0). Made by: `make models`.\n\n"
            "Percent on fresh scenes of the split `dev` (boxes: mean IoU):\n\n"
            f"| figure | value |\n| --- | --- |\n{rows}\n"
        )


def _sample(number: int, question: Question, picture: Picture) -> Sample:
    return Sample(
        id=str(number), prompt=question.prompt, images=(picture,), target=question.answer, cluster=repr(picture)
    )
