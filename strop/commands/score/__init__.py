"""`strop score`: mark published answer files with the rules their authors used, with an interval beside every figure.

A figure's JSON is {"task", "profile", "metrics": {name: {"value", "low", "high", "n", "method"}}, "info", "notes"} with
fractions in full precision (None for 0/0); `info` says which truth was used and what was left over, `notes` are the
lines printed below the table. All profiles of a task are a list of such objects, and `info` holds what each makes of
the answers (`harness.marking.compare_profiles`). CHAIR's with `--cut` also has "cut": {"sentences" or "words": [{"k"
(None: whole), "shortened" (captions that were longer), "metrics"}]}.
"""

from __future__ import annotations

import typer

from strop.commands.score.chair import chair
from strop.commands.score.grounding import grounding
from strop.commands.score.ic import ic
from strop.commands.score.mathvista import mathvista
from strop.commands.score.physics import physics
from strop.commands.score.pope import pope
from strop.commands.score.scienceqa import scienceqa
from strop.parsing import OnceCommand

score_app = typer.Typer(
    name="score",
    help="""Score an answer file by the rules of its benchmark, with intervals.

    **Examples**

    strop score chair --answers greedy.jsonl --truth ground_truth_maxlinn.json.gz

    strop score mathvista --answers output_bard.json.gz --profile all
    """,
    no_args_is_help=True,
)
for command in (pope, chair, ic, grounding, scienceqa, mathvista, physics):
    score_app.command(command.__name__, cls=OnceCommand)(command)
