"""Other harnesses, and how each is told what to ask: its own command line, fed with files that are written here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets

from harness.errors import StropError
from harness.files import read_jsonl, write_json
from harness.peers.clocked import LOG, Taken, last_words, run_clocked
from harness.peers.environment import environment
from harness.pictures import open_picture
from harness.types import Sample

TASK = "strop_questions"

SAME = ("torch", "torchvision", "transformers", "pillow")
"""Packages that a peer has in the versions that are here: what is measured is how harnesses differ, not libraries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """What is asked: samples with a picture each, answered greedily in at most `max_tokens` tokens by the checkpoint in
    a folder, on a device, in a precision."""

    samples: Sequence[Sample]
    max_tokens: int
    checkpoint: Path
    device: str
    dtype: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """A harness of others: what pip installs, the module of its command, the function of it that answers, the sizes of
    batch to try.

    `fields` are those of its task's file that say how a document is asked, `words` those of its command that name the
    model, for some questions.
    """

    packages: tuple[str, ...]
    command: str
    function: str
    batches: tuple[int, ...]
    fields: Callable[[Questions], dict[str, Any]]
    words: Callable[[Questions], list[str]]


def _asked_by_lm_eval(questions: Questions) -> dict[str, Any]:
    return {
        "doc_to_text": "marked",
        "doc_to_image": ["image"],
        "generation_kwargs": {"until": [], "max_gen_toks": questions.max_tokens, "do_sample": False},
    }


def _asked_by_lmms_eval(questions: Questions) -> dict[str, Any]:
    return {
        "doc_to_text": "prompt",
        "doc_to_visual": "image",
        "generation_kwargs": {"max_new_tokens": questions.max_tokens, "temperature": 0, "do_sample": False},
    }


PEERS = {
    "lm-eval": Peer(
        packages=("lm-eval[hf]==0.4.13",),
        command="lm_eval",
        function="lm_eval.models.hf_vlms:HFMultimodalLM.generate_until",
        batches=(8, 32, 128, 512),
        fields=_asked_by_lm_eval,
        words=lambda questions: [
            "run", "--model", "hf-multimodal", "--apply_chat_template", "--device", questions.device,
            "--model_args", f"pretrained={questions.checkpoint},dtype={questions.dtype}",
        ],
    ),
    "lmms-eval": Peer(
        # decord, which its class for LLaVA imports, it does not require; of filelock it needs a module gone since
        packages=("lmms-eval==0.7.3", "decord==0.6.0", "filelock==4.2.11"),
        command="lmms_eval",
        function="lmms_eval.models.chat.llava_hf:LlavaHf.generate_until",
        batches=(1,),  # it refuses others
        fields=_asked_by_lmms_eval,
        words=lambda questions: [
            "--model", "llava_hf",
            "--model_args",
            f"pretrained={questions.checkpoint},dtype={questions.dtype},device={questions.device},"
            f"device_map={questions.device}",
        ],
    ),
}  # fmt: skip
"""By the name of the package; each asks by its own class for models of LLaVA's kind in transformers' layout."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A peer with its environment made and its files written, asked by `answer`."""

    peer: Peer
    python: Path
    folder: Path
    questions: Questions

    def answer(self, batch: int, limit: int | None, out: Path) -> tuple[Taken, list[str]]:
        """What its command took for the first questions, and its answers; raises `StropError` where it fails."""
        words = [
            *self.peer.words(self.questions), "--tasks", TASK, "--include_path", str(self.folder), "--log_samples",
            "--batch_size", str(batch), "--output_path", str(out), *(["--limit", str(limit)] if limit else []),
        ]  # fmt: skip
        hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}  # packages of ours
        outside = {name: value for name, value in os.environ.items() if name not in hidden}
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(self.folder / "cache")}
        taken = run_clocked(self.python, self.peer.function, self.peer.command, words, out, {**outside, **offline})
        return taken, _answers(out, len(self.questions.samples[:limit]))

    def best_batch(self, limit: int, out: Path) -> int:
        """The size of batch with the least seconds of computing for the first questions: tried from the smallest on,
        until one is no better than the one before."""
        best, least = self.peer.batches[0], float("inf")
        for batch in self.peer.batches if len(self.peer.batches) > 1 else ():
            taken, _ = self.answer(batch, limit, out / f"batch-{batch}")
            if taken.cpu >= least:
                break
            best, least = batch, taken.cpu
        return best


def ready(name: str, questions: Questions, folder: Path) -> Ready:
    """A peer that can be asked: its environment, made where it is not there, and its task's files in a folder."""
    peer = PEERS[name]
    same = [f"{package}=={version(package).partition('+')[0]}" for package in SAME]
    python = environment(name, [*peer.packages, *same])
    folder.mkdir(parents=True)
    table = folder / "questions.parquet"
    rows = datasets.Dataset.from_list(list(_documents(questions.samples)))
    rows.cast_column("image", datasets.Image()).to_parquet(table)
    write_json(  # JSON is YAML
        folder / "questions.yaml",
        {
            "task": TASK, "dataset_path": "parquet", "dataset_kwargs": {"data_files": {"test": str(table)}},
            "test_split": "test", "output_type": "generate_until", "num_fewshot": 0, "doc_to_target": "target",
            "metric_list": [{"metric": "bypass"}], **peer.fields(questions),
        },
    )  # fmt: skip
    return Ready(peer, python, folder, questions)


def _documents(samples: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    """`marked`: the prompt behind the mark that stands for its picture in lm-eval's prompts."""
    for sample in samples:
        (picture,) = sample.images
        image = open_picture(picture)
        yield {"prompt": sample.prompt, "marked": f"<image>{sample.prompt}", "target": "", "image": image}


def _answers(out: Path, count: int) -> list[str]:
    """The answers that a command logged, in the order of its documents, without the blanks around them."""
    rows = {row["doc_id"]: _text(row["resps"]) for path in out.rglob("*samples_*.jsonl") for row in read_jsonl(path)}
    if sorted(rows) != list(range(count)):
        # a command may fail and end with 0
        raise StropError(f"{len(rows)} of {count} answers are logged ({last_words(out / LOG)})")
    return [rows[index].strip() for index in range(count)]


def _text(logged: Any) -> str:
    """An answer, which lm-eval logs as a list of a list, and lmms-eval as it is."""
    return _text(logged[0]) if isinstance(logged, list) else str(logged)
