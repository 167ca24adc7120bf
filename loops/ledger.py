"""A run's ledger: which stages are done, from which inputs, at which cost, so that a stopped run continues.

A stage writes into a hidden folder, which is renamed to the stage's name when it is whole, and then a line goes into
`ledger.jsonl`. A stage is done when its line has the digest of its present inputs and of what its folder holds.
"""

from __future__ import annotations

import fcntl
import gc
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.disks import reading, refuse_unwritable_folder, writing
from harness.errors import RunError
from harness.files import digest_of_json, finite
from harness.lines import DAMAGED, checked_line, drop_half_line, set_aside, whole_lines
from harness.models.weights import model_digest
from harness.provenance import provenance
from harness.runs.names import CHECKPOINT, LEDGER
from harness.types import Checkpoint
from loops.shared import digest_of_folder, keep, locked, set_folder_aside, take

_FIELDS = ("stage", "inputs", "outputs", "facts")
"""What a line of a ledger has at least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a stage reports: `facts` are figures that its inputs determine, `cost` what it took (may vary): numbers in
    the unit that their names give, such as `seconds` and `mb` (mebibytes). The ledger adds seconds and peak memory.
    `computed` says of each model that ran, by its role, on which `device`, in which `dtype` and by which
    `attn_implementation`."""

    facts: Mapping[str, Any]
    cost: Mapping[str, float]
    computed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A finished stage: its folder, the digest of all that it wrote, its facts. Of a `planned` one there is no folder
    yet, and the digest is that of its inputs."""

    folder: Path
    digest: str
    facts: Mapping[str, Any]
    fresh: bool
    planned: bool = False

    def checkpoint(self, parent: str | None) -> Checkpoint:
        """The model that the stage left in its folder, a descendant of the one with the digest `parent`."""
        path = self.folder / CHECKPOINT
        return Checkpoint(path=path, digest=self.digest if self.planned else model_digest(path), parent=parent)


class Ledger:
    """The run folder `root`, and the folder of stages shared with other runs where there is one (`loops.shared`).
    Open it with `open_run`."""

    def __init__(self, root: Path, shared: Path | None = None) -> None:
        self.root, self.shared = root, shared
        self.path = root / LEDGER
        self.lines: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            drop_half_line(self.path)
            with reading(self.path), self.path.open("rb") as stream:
                lines = list(whole_lines(stream, _FIELDS))
            self.lines = {line.entry["stage"]: dict(line.entry) for line in lines if not line.reason}
            if damaged := [line for line in lines if line.reason]:
                set_aside(self.path, damaged)

    @property
    def _was_damaged(self) -> bool:
        """Whether the ledger has lost lines, so that a folder without one may be a finished stage."""
        return self.path.with_name(LEDGER + DAMAGED).exists()

    def stage(self, name: str, inputs: Mapping[str, Any], work: Callable[[Path], Outcome]) -> Done:
        """Do a stage unless it is done. `inputs` is all that its result depends on; `work` fills the folder.

        A kill at any time leaves either the finished stage or none of it. A folder that is not as the stage left it is
        set aside, and the stage done again. A shared stage costs nothing here; what it took is its line's
        `shared_cost`, and its provenance is that of the run that did it.
        """
        key = digest_of_json(inputs)
        folder = self.root / name
        line = self.lines.get(name)
        if line and line["inputs"] == key and folder.is_dir() and digest_of_folder(folder) == line["outputs"]:
            return Done(folder=folder, digest=line["outputs"], facts=line["facts"], fresh=False)
        partial = folder.with_name(f".{folder.name}.partial")
        try:
            entry = self._shared_or_computed(f"{folder.name}-{key}", partial, work)
        except KeyboardInterrupt as stop:
            stop.add_note(f"finished stages are kept in {self.root}, the same command goes on from there")
            raise
        if folder.is_dir() and (line["inputs"] == key if line else self._was_damaged):
            set_folder_aside(folder)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        line = {"stage": name, "inputs": key, **entry, "finished": datetime.now(UTC).isoformat(timespec="seconds")}
        with writing(self.path), self.path.open("ab") as stream:
            stream.write(checked_line(line))
            stream.flush()
            os.fsync(stream.fileno())
        self.lines[name] = line
        return Done(folder=folder, digest=line["outputs"], facts=line["facts"], fresh=True)

    def _shared_or_computed(self, key: str, folder: Path, work: Callable[[Path], Outcome]) -> dict[str, Any]:
        if self.shared is None:
            return _make(folder, work)
        with locked(self.shared / key) as shared:
            line = take(shared, folder)
            if line is not None:
                return {**line, "cost": {"seconds": 0.0}, "shared_cost": line["cost"]}
            line = _make(folder, work)
            keep(shared, folder, line)
            return line


def added(*costs: Mapping[str, float]) -> dict[str, float]:
    """Costs of several models together: those of one name are summed, since a verifier may be a model that answers."""
    total: dict[str, float] = {}
    for its in costs:
        for name, value in its.items():
            total[name] = total.get(name, 0) + value
    return total


@contextmanager
def open_run(root: Path, shared: Path | None = None) -> Iterator[Ledger]:
    """The ledger of a run folder, locked for this process; raises `RunError` where another has it locked."""
    with hold(root), _set_aside():
        yield Ledger(root, shared)


@contextmanager
def _set_aside() -> Iterator[None]:
    """Within it, what was there before is not gone through each time that models are freed: half a million objects of
    libraries, a quarter of a second."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def hold(root: Path) -> Iterator[None]:
    """Create a folder and lock it; raises `RunError` where another process has it locked."""
    refuse_unwritable_folder(root)
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"{root}: another process is running in it; wait for it or name another --out") from error
        yield


def _make(folder: Path, work: Callable[[Path], Outcome]) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    free_models()
    _forget_peak()
    began = time.monotonic()
    outcome = work(folder)
    seconds = round(time.monotonic() - began, 2)
    return {
        "outputs": digest_of_folder(folder),
        "facts": finite(outcome.facts),
        "cost": finite({"seconds": seconds, **outcome.cost, "peak_memory_mb": _peak_megabytes(), **_device_peak()}),
        **({"computed": outcome.computed} if outcome.computed else {}),
        "provenance": provenance(),
    }


def free_models() -> None:
    """Give the memory of the models before back: trainers and models refer to themselves, and torch keeps what it freed
    on a GPU."""
    gc.collect()
    if cuda := _used_gpus():
        cuda.empty_cache()


def _forget_peak() -> None:
    """Start the records of peak memory anew: the devices', and the operating system's of this process where it can."""
    if cuda := _used_gpus():
        for device in range(cuda.device_count()):
            cuda.reset_peak_memory_stats(device)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_megabytes() -> float:
    try:
        status = Path("/proc/self/status").read_text()
        kilobytes = int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError, ValueError):
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(kilobytes / 1024, 1)


def _device_peak() -> dict[str, float]:
    """The most memory that tensors took on the GPUs, all together; nothing where none was used."""
    cuda = _used_gpus()
    if cuda is None:
        return {}
    peak = sum(cuda.max_memory_allocated(device) for device in range(cuda.device_count()))
    return {"peak_device_memory_mb": round(peak / 2**20, 1)}


def _used_gpus() -> Any:
    """torch's module of GPUs where this process has begun to use them; torch is not imported for the question."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
