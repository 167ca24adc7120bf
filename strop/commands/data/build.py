"""`strop data build`: benchmarks made of annotations, each by the code in its folder in `tasks`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from harness.wording import counted
from strop.options import CocoOption, DataOption, JsonOption, writable_file, writable_folder
from tasks.data.root import DEFAULT_DATA


def pope(
    coco: CocoOption,
    out: Annotated[Path, typer.Option(help="Folder for questions and labels.", callback=writable_folder)],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw: of images, and of objects to ask for.")] = 0,
    images: Annotated[int, typer.Option(min=1, help="Images to ask about; the authors ask about 500.")] = 500,
    as_json: JsonOption = False,
) -> None:
    """POPE's random, popular and adversarial questions about annotated images: six an image and group, half yes.

    Writes coco_pope_<group>.json, llava_pope_test.jsonl and build.json, which says what they were made from. The same
    annotations, seed and number of images give the same questions.

    **Examples**

    strop data build pope --coco annotations --out data/pope --seed 1 --images 500

    strop eval --model my/llava --tasks pope --data data --out runs/mine

    strop score pope --answers answers.jsonl --questions data/pope/llava_pope_test.jsonl --truth data/pope
    """
    from tasks.pope.build import build_set

    card = build_set(coco, out, images, seed)
    if as_json:
        typer.echo(json.dumps(card))
        return
    groups = ", ".join(f"{count} {group}" for group, count in card["questions"].items())
    typer.echo(f"{groups} questions about {counted(images, 'image')} written to {out}")


def ic(
    coco: CocoOption,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the ids, the truth and a card, e.g. ic in the data folder.", callback=writable_folder
        ),
    ],
    size: Annotated[int, typer.Option(min=1, help="Pictures to choose; the method paper has 150.")] = 150,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw among the most tempting pictures.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """The image-caption set: annotated pictures whose objects make one expect others that are absent, of all kinds.

    Writes ids.json, truth.json (objects and counts) and README.md, which says what they were made from. The same
    annotations, seed and size give the same files.

    **Examples**

    strop data build ic --coco annotations --size 150 --seed 1 --out data/ic

    strop score ic --answers captions.jsonl --truth data/ic
    """
    from tasks.data.ids import ids_digest
    from tasks.ic.build import ic_from_coco, write_ic

    chosen = ic_from_coco(coco, size, seed)
    written = write_ic(out, chosen)
    digest = ids_digest(chosen.images)
    if as_json:
        card = {"benchmark": "ic", "seed": seed, "size": size, "eligible": chosen.eligible_images, "digest": digest}
        typer.echo(json.dumps(card))
        return
    done = "written to" if written else "unchanged in"
    typer.echo(f"{size} of {chosen.eligible_images} eligible images, ids {digest[:12]}, {done} {out}")


def chair(
    source: Annotated[
        Path,
        typer.Option("--from", help="The authors' synonyms.txt, or a CHAIR port's chair.pkl, of which nothing is run."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the tables and the truth, e.g. chair in the data folder.", callback=writable_folder
        ),
    ],
    coco: Annotated[
        Path | None,
        typer.Option(help="Folder of COCO's `instances_*.json` and `captions_*.json`, to make the truth of."),
    ] = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """What CHAIR is scored by: synonyms.json, double_words.json and, of a pickle or of annotations, the truth.

    Captions of annotations are read by NLTK, whose data are looked for as by `strop score chair`. Without --coco and
    with a synonyms.txt, the truth may be the annotations themselves (`strop score chair --truth annotations`).

    **Examples**

    strop data build chair --from chair.pkl --out data/chair

    strop data build chair --from synonyms.txt --coco annotations --out data/chair
    """
    from strop.progress import progress_bars
    from tasks.chair.build import build_tables

    with progress_bars() as bars:
        built, files = build_tables(source, out, coco=coco, data=data.expanduser(), begin=bars)
    images = f", the objects of {len(built.images):,} images" if built.images is not None else ""
    typer.echo(f"{len(built.tables.synonyms)} classes{images}: {', '.join(files)} in {out}")


def grounding(
    coco: CocoOption,
    out: Annotated[Path, typer.Option(help="File for the questions, a JSON object a line.", callback=writable_file)],
) -> None:
    """The questions of grounding, for whoever asks a model elsewhere: 1,000 things that are alone of their kind.

    A line has question_id, image (its file's name) and text. The same annotations give the same questions.

    **Examples**

    strop data build grounding --coco annotations --out questions.jsonl

    strop score grounding --answers answers.jsonl --truth annotations
    """
    from harness.files import write_text
    from tasks.grounding.questions import annotations_of, load_questions, questions_text

    annotations = annotations_of(coco)
    samples = load_questions(annotations)
    write_text(out, questions_text(samples))
    typer.echo(f"{counted(len(samples), 'question')} on {annotations.name} written to {out}")
