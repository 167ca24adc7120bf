"""The options that several commands share: each is declared once, here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness import lm_eval_names
from harness.disks import refuse_unwritable_file, refuse_unwritable_folder
from harness.models.options import AttnImplementation, Dtype, GenerationSettings, ModelOptions, Thinking
from harness.plugins import OLDER_PATH_VARIABLE, PLUGIN_PATH_VARIABLE
from harness.runs.ids import ID_FORMS
from tasks.data.root import DATA_VARIABLE

ID_HELP = f"{ID_FORMS[0].upper()}{ID_FORMS[1:]}."
"""Help of an argument that is an ID (`harness.runs.ids`)."""

IDS_HELP = f"{ID_HELP.removesuffix('.')}; of a grid's folder, all finished runs."

# What goes in

DataOption = Annotated[
    Path,
    typer.Option(
        "--data", envvar=DATA_VARIABLE, help="The data folder, with a folder a task: files not named lie there."
    ),
]
PluginPathOption = Annotated[
    Path | None,
    typer.Option(
        "--plugin-path",
        envvar=[PLUGIN_PATH_VARIABLE, OLDER_PATH_VARIABLE],
        help="Folder of Python files with TASKS, COLLECTORS, VERIFIERS, OPTIMISERS or FORMATS; they are run.",
    ),
]
IncludePathOption = Annotated[
    Path | None,
    typer.Option(
        "--include-path",
        envvar=lm_eval_names.PATH_VARIABLE,
        help="Folder of YAML files of lm-eval tasks of your own, asked by the name lm_eval:NAME as lm-eval's are.",
    ),
]
RunsOption = Annotated[Path, typer.Option("--runs", help="Folder in which names and weights digests are looked up.")]
CocoOption = Annotated[
    Path, typer.Option("--coco", help="Folder of COCO's `instances_*.json`; for grounding also one such file.")
]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.SUB=VALUE", help="Change a field of the recipe; repeatable."),
]

# Which model answers

_MODEL = typer.Option(
    "--model",
    help="pictos-seed (shipped), a local folder, a hub id with an optional @revision, or a name at --endpoint.",
)
ModelOption = Annotated[str, _MODEL]
SeedModelOption = Annotated[str | None, _MODEL]
"""The model that a recipe hones, in the place of its own."""

AdapterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--adapter",
        help="A LoRA adapter to merge into the model: a folder, or a hub id as a model's. Repeated, each is merged in "
        "turn, as peft adds up several that are active.",
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, cuda:1 ...; default: a GPU where there is one.")
]
DtypeOption = Annotated[
    Dtype,
    typer.Option(
        "--dtype", help="Precision of the weights; auto: bfloat16 on a GPU from a gigabyte of them on, else float32."
    ),
]
AttnImplementationOption = Annotated[
    AttnImplementation | None,
    typer.Option(
        "--attn-implementation",
        help="What computes attention, by transformers' names. Default: what transformers chooses, mostly sdpa.",
        show_default=False,
    ),
]
SystemOption = Annotated[
    str | None, typer.Option("--system", metavar="TEXT", help="A system turn before every question.")
]
ThinkingOption = Annotated[
    Thinking | None,
    typer.Option(
        "--thinking",
        help="Whether a chat template with enable_thinking (Qwen3 ...) asks for a thought. Default: as it does by "
        "itself.",
        show_default=False,
    ),
]
MaxThoughtTokensOption = Annotated[
    int | None,
    typer.Option(
        "--max-thought-tokens",
        min=1,
        help="Tokens of a thought beside those of its answer; then it is closed by force. Default: both share "
        "--max-tokens.",
        show_default=False,
    ),
]
GenerationConfigOption = Annotated[
    GenerationSettings,
    typer.Option(
        "--generation-config",
        help="model: follow what its generation_config.json changes greedy answers by (repetition penalty ...), as "
        "generate does; none: leave it out. Results name it.",
    ),
]
EndBiasOption = Annotated[
    float,
    typer.Option(
        "--end-bias",
        metavar="NATS",
        help="Added to the logits of the tokens that end an answer: below 0 answers get longer, above 0 shorter. What "
        "saying more or less earns a model without training. Results name it.",
    ),
]
PicturesOption = Annotated[
    Literal["pad", "processor"] | None,
    typer.Option(
        "--pictures",
        help="pad: to a square with the mean colour, as LLaVA's authors do; processor: as the model's stored "
        "processor has them. Default: pad where that would cut something off.",
        show_default=False,
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        help="Base URL of an OpenAI-compatible server, such as http://localhost:8000/v1; --model is then the name "
        "served there. The key, if it wants one, is read from STROP_API_KEY or OPENAI_API_KEY.",
    ),
]
ParallelOption = Annotated[
    int, typer.Option("--parallel", min=1, help="How many questions an endpoint is asked at once.")
]
JudgeOption = Annotated[
    str | None,
    typer.Option(
        "--judge",
        help="The judge: pictos-seed (shipped), a local folder, a hub id with an optional @revision, or the name "
        "served at --judge-endpoint.",
    ),
]
JudgeEndpointOption = Annotated[
    str | None,
    typer.Option("--judge-endpoint", help="Base URL of an OpenAI-compatible server that --judge is asked at."),
]

# Which samples

LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N samples of each task.")]
SplitOption = Annotated[str, typer.Option("--split", help="Split of the tasks: test or dev.")]

# What comes out

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def with_placement(
    changes: list[str] | None, device: str | None, dtype: Dtype, attn_implementation: AttnImplementation | None
) -> list[str]:
    """The changes of a recipe with those that `--device`, `--dtype` and `--attn-implementation` make of it."""
    chosen = ModelOptions(device=device, dtype=dtype, attn_implementation=attn_implementation)
    fields = {**({"device": device} if device else {}), **chosen.off_default}
    return [*(changes or ()), *(f"{name}={json.dumps(value)}" for name, value in fields.items())]


def writable_folder(folder: Path | None) -> Path | None:
    """The callback of an option that names a folder for results: refuses one that cannot be written before the work."""
    if folder is not None:
        refuse_unwritable_folder(folder)
    return folder


def writable_file(path: Path | None) -> Path | None:
    """The same for a file."""
    if path is not None:
        refuse_unwritable_file(path)
    return path
