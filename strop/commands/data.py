"""`strop data`: other people's data listed and fetched, and benchmarks made from annotations that somebody has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import DataError, MissingError, UsageError
from harness.wording import counted
from strop.options import CocoOption, DataOption, JsonOption, writable_file, writable_folder
from strop.parsing import OnceCommand
from tasks.data.sources import DEFAULT_DATA

if TYPE_CHECKING:
    from tasks.data.fetch import Begin
    from tasks.data.sources import Held, Source

data_app = typer.Typer(
    name="data",
    help="""List, fetch and make the data of benchmarks.

    **Examples**

    strop data list

    strop data fetch pope --from https://my.mirror/pope

    strop data build ic --coco annotations --out data/ic
    """,
    no_args_is_help=True,
)
build_app = typer.Typer(
    name="build",
    help="""Build a benchmark from annotations of your own.

    **Examples**

    strop data build pope --coco annotations --out data/pope --seed 1 --images 500

    strop data build ic --coco annotations --size 150 --seed 1 --out data/ic
    """,
    no_args_is_help=True,
)
data_app.add_typer(build_app)


@data_app.command("list", cls=OnceCommand)
def list_data(
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """List the files of other people's that the tasks need: what is here, whose it is, under which licence.

    **Example**

    strop data list
    """
    from tasks.data.sources import held
    from tasks.registry import all_sources

    data = data.expanduser()
    found = [held(data, source) for source in all_sources()]
    if as_json:
        listed = {
            task: [_as_json(one) for one in found if one.source.task == task]
            for task in dict.fromkeys(one.source.task for one in found)
        }
        typer.echo(json.dumps({"data": str(data), "tasks": listed}, ensure_ascii=False))
        return
    typer.echo(f"data folder {data}")
    for one in found:
        typer.echo(_as_text(one, found))


@data_app.command("fetch", cls=OnceCommand)
def fetch_data(
    task: Annotated[
        str, typer.Argument(help="pope, chair, scienceqa, mathvista, ic or grounding.", show_default=False)
    ],
    origin: Annotated[str, typer.Option("--from", help="Base URL of a mirror (http, https), or a folder.")],
    files: Annotated[
        list[str] | None, typer.Option("--file", help="Only this file, also one that is not needed; repeatable.")
    ] = None,
    sha256: Annotated[
        list[str] | None, typer.Option("--sha256", help="FILE=DIGEST to ask for instead of the known; repeatable.")
    ] = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Fetch the files that a task needs into the data folder, verified, and unpack those that are archives.

    What is there is kept, a broken download goes on where it stopped, and a second mirror may give what one lacks.

    **Examples**

    strop data fetch pope --from https://my.mirror/pope

    strop data fetch mathvista --from ~/downloads --file images.zip --sha256 images.zip=4f0c...
    """
    from strop.progress import byte_bars
    from tasks.data.sources import stand_ins
    from tasks.registry import sources_of

    known = sources_of(task)
    digests = {source.file: source.sha256 for source in known} | _digests(sha256 or [], known)
    data = data.expanduser()
    absent: dict[str, str] = {}
    for source in _chosen(files, known):
        # what is named is meant; what is needed may be had in another form
        forms = (source,) if files else (source, *stand_ins(source, known))
        try:
            with byte_bars() as bars:
                said = _bring(forms, origin, data, digests, bars)
        except MissingError as error:
            absent[source.file] = str(error)
        else:
            typer.echo(said)  # after the bars, which take what is printed beside them to stderr
    if absent:
        raise MissingError(f"{next(iter(absent.values()))}; name another --from for {', '.join(absent)}")


def _bring(forms: Sequence[Source], origin: str, data: Path, digests: Mapping[str, str | None], begin: Begin) -> str:
    """Fetch a file in the first of its forms that `origin` has, unless one is there; says in one line what was done."""
    from tasks.data.fetch import is_archive, unpack
    from tasks.data.sources import folder_with

    found = ((source, folder) for source in forms if (folder := folder_with(data, source)))
    if there := next(found, None):
        target, expected = there[1] / there[0].file, digests[there[0].file]
        _refuse_another_version(target, expected)
        said = f"{target}: already there"
    else:
        target, said = _fetch_first(forms, origin, data, digests, begin)
    if is_archive(target) and target.is_file():
        said += f", {counted(unpack(target, begin), 'file')} unpacked"
    return said


def _fetch_first(
    forms: Sequence[Source], origin: str, data: Path, digests: Mapping[str, str | None], begin: Begin
) -> tuple[Path, str]:
    from tasks.data.fetch import fetch

    absent: list[MissingError] = []
    for source in forms:
        target, expected = data / source.task / source.file, digests[source.file]
        try:
            digest = fetch(origin, source.file, target, sha256=expected, begin=begin)
        except MissingError as error:
            absent.append(error)
        else:
            verified = "as expected" if expected else "(none is known to compare with)"
            return target, f"{target}: fetched, SHA-256 {digest} {verified}"
    raise absent[0]


def _refuse_another_version(target: Path, expected: str | None) -> None:
    """Raise `DataError` where a file that is there has another digest than the one asked for."""
    from harness.files import digest_of_file

    if expected is None or not target.is_file() or (digest := digest_of_file(target)) == expected:
        return
    raise DataError(
        f"{target} is there with the SHA-256 {digest} and not {expected}; move it away to fetch that one, or name the "
        "digest by --sha256 if this is the version you want"
    )


def _chosen(files: Sequence[str] | None, known: Sequence[Source]) -> list[Source]:
    for name in files or ():
        _known_file(name, known)
    return [source for source in known if (source.file in files if files else source.needed)]


def _digests(given: Sequence[str], known: Sequence[Source]) -> dict[str, str]:
    """File -> digest of what was given as FILE=DIGEST."""
    digests = {}
    for one in given:
        name, _, digest = one.rpartition("=")
        if len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
            raise UsageError(f"--sha256 {one}: expected FILE=DIGEST with the 64 hex digits of a SHA-256")
        _known_file(name, known)
        digests[name] = digest.lower()
    return digests


def _known_file(name: str, known: Sequence[Source]) -> None:
    if name not in (source.file for source in known):
        raise UsageError(
            f"{known[0].task} has no file '{name}'; its files are {', '.join(source.file for source in known)}"
        )


def _as_json(one: Held) -> Mapping[str, object]:
    source = asdict(one.source)
    del source["task"]
    source["expected_sha256"] = source.pop("sha256")
    there = one.sha256 is not None
    return source | {"state": one.state, "path": str(one.path) if there else None, "sha256": one.sha256}


def _as_text(one: Held, found: Sequence[Held]) -> str:
    source = one.source
    state, about = one.state, source.about
    if source.instead_of:
        about += f", instead of {source.instead_of}"
    if state == "missing" and source.needed:
        others = [
            other.source.file
            for other in found
            if other.state != "missing" and (other.source.task, other.source.instead_of) == (source.task, source.file)
        ]
        state = f"missing, but there is {others[0]}" if others else "MISSING, and needed"
    elif not one.path.match(f"{source.task}/{source.file}"):
        state += f" in {one.path.parent}"
    digests = [f"SHA-256 {one.sha256}"] if one.sha256 else []
    if source.sha256 not in (None, one.sha256):
        digests.append(f"SHA-256 as published {source.sha256}")
    lines = (f"{source.task}/{source.file}: {state}", about, f"from {source.origin}", f"licence: {source.licence}")
    return "\n    ".join((*lines, *digests))


@build_app.command("pope", cls=OnceCommand)
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

    made = build_set(coco, out, images, seed)
    if as_json:
        typer.echo(json.dumps(made))
        return
    told = ", ".join(f"{count} {group}" for group, count in made["questions"].items())
    typer.echo(f"{told} questions about {counted(images, 'image')} written to {out}")


@build_app.command("ic", cls=OnceCommand)
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
        told = {"benchmark": "ic", "seed": seed, "size": size, "eligible": chosen.eligible_images, "digest": digest}
        typer.echo(json.dumps(told))
        return
    done = "written to" if written else "unchanged in"
    typer.echo(f"{size} of {chosen.eligible_images} eligible images, ids {digest[:12]}, {done} {out}")


@build_app.command("chair", cls=OnceCommand)
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
    from dataclasses import replace

    from strop.progress import progress_bars
    from tasks.chair.build import read_source, truth_of_annotations, write_source
    from tasks.reading import text

    made = read_source(source)
    name = source.stem
    if coco is not None:
        if made.images is not None:
            raise UsageError(f"{source} holds a truth of its own; leave --coco away, or name a synonyms.txt")
        text.look_in(*(folder / "nltk_data" for folder in (out, coco, data.expanduser())))
        with progress_bars() as bars:
            made = replace(made, images=truth_of_annotations(coco, made.tables, bars))
        name = "coco"
    files = write_source(out, made, name)
    told = f", the objects of {len(made.images):,} images" if made.images is not None else ""
    typer.echo(f"{len(made.tables.synonyms)} classes{told}: {', '.join(files)} in {out}")


@build_app.command("grounding", cls=OnceCommand)
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
