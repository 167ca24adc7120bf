"""Models and adapters as the hub has them: `owner/name@revision` becomes a folder of the hub's cache.

The habits are those of huggingface_hub, which reads its own variables: HF_HOME and HF_HUB_CACHE say where the cache
lies, HF_TOKEN or a saved login opens private and gated repositories, HF_HUB_OFFLINE forbids every request, HF_ENDPOINT
names another hub. Only what a model is loaded from is downloaded, after a line with its size; no token is read or
written here.
"""

from __future__ import annotations

import logging
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.disks import trouble
from harness.errors import ModelError, StropError
from harness.provenance import masked
from harness.wording import counted, first_line, one_line

_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>\S+))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")

_WHOLE_MODEL = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
"""The names under which transformers looks for a model's weights."""

_MISTRALS_OWN = "consolidated"
"""The same weights once more, in a layout that transformers does not read."""

_BESIDE_WEIGHTS = (".json", ".jinja", ".model", ".tiktoken", ".txt")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")

_SIGN_IN = "set HF_TOKEN or sign in by `hf auth login`"


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a whole commit, which no push changes."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class HubId:
    """A repository of models and a revision of it: a branch, a tag or a commit; None is its main branch."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"

    @property
    def cache(self) -> str:
        """The name of the repository's folder in the hub's cache."""
        return f"models--{self.repository.replace('/', '--')}"


def hub_id(name: str) -> HubId | None:
    """The hub id that a name is by its form, or None.

    Example:
        >>> str(hub_id("owner/model@v1.0")), hub_id("./model"), hub_id("runs/demo/round-1")
        ('owner/model@v1.0', None, None)
    """
    match = None if name.startswith((".", "/", "~")) else _ID.fullmatch(name)
    return HubId(repository=match["repository"], revision=match["revision"]) if match else None


def origin_of(folder: Path) -> HubId | None:
    """The repository and the commit of a snapshot in a cache of the hub's layout; None for any other folder.

    Example:
        >>> str(origin_of(Path("/cache/models--owner--model/snapshots/0123")))
        'owner/model@0123'
    """
    snapshot = folder.resolve()
    cache = snapshot.parent.parent.name
    if snapshot.parent.name != "snapshots" or not cache.startswith("models--"):
        return None
    return HubId(repository=cache.removeprefix("models--").replace("--", "/", 1), revision=snapshot.name)


def origins(folder: Path, *adapters: Path) -> Mapping[str, str]:
    """What results say of a model that came from the hub: repository and commit of its weights, and of its adapters
    (`adapter_name`)."""
    named = {"weights": origin_of(folder)}
    named |= {adapter_name(number): origin_of(adapter) for number, adapter in enumerate(adapters)}
    return {name: str(origin) for name, origin in named.items() if origin}


def adapter_name(number: int) -> str:
    """What results call a model's adapters, counted from 0."""
    return f"adapter {number + 1}" if number else "adapter"


def snapshot_in(cache: Path, revision: str | None) -> Path | None:
    """The snapshot of a revision (by default main, or the only one) in a repository's folder of the hub's cache; None
    where it has none such."""
    snapshots = cache / "snapshots"
    reference = cache / "refs" / (revision or "main")
    commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision
    if commit is None:
        present = sorted(snapshots.iterdir()) if snapshots.is_dir() else []
        return present[0] if len(present) == 1 else None
    return snapshots / commit if (snapshots / commit).is_dir() else None


def snapshot(name: HubId, *, what: str, adapter: bool = False, weights: bool = True) -> Path:
    """The folder of a repository at a revision, downloaded where it is not whole in the cache; without `weights`, all
    but these.

    A revision is resolved to its commit once in a process. Raises `ModelError`, which begins with `what`, with the
    reason and the remedy; a repository without safetensors is refused before anything large is downloaded.
    """
    from huggingface_hub import constants, is_offline_mode

    cache = Path(constants.HF_HUB_CACHE) / name.cache
    with _hub_errors(name, what, cache):
        revision = resolved(name, constants.HF_HUB_CACHE, is_offline_mode())
        folder: Path = cache / "snapshots" / revision.resolved
        listing = _listing(name.repository, revision.resolved, folder)
        if listing is None:  # put there by another program, and nobody can be asked what belongs to it
            if weights and not any(folder.glob("*.safetensors")):
                raise ModelError(f"{what}: no safetensors weights in {folder}; download it again where there is a hub")
            return folder
        files = needed(listing)
        _refuse_unloadable(listing, files, what, adapter)
        files = files if weights else [file for file in files if not file.endswith(".safetensors")]
        missing = {file: listing[file] for file in files if not (folder / file).exists()}
        if missing:
            if is_offline_mode():
                raise ModelError(
                    f"{what}: {counted(len(missing), 'file is', 'files are')} missing of its snapshot in the cache "
                    f"({next(iter(missing))}), and HF_HUB_OFFLINE is set; unset it once, and the rest is downloaded"
                )
            _refuse_full_disk(cache, sum(missing.values()), what)
            _download(name.repository, revision, files, missing, folder)
        return folder


def pinned(name: HubId, *, what: str) -> HubId:
    """The repository at the commit that its revision is now, by the hub or, without it, by the cache; nothing is
    downloaded. Raises `ModelError` as `snapshot` does."""
    from huggingface_hub import constants, is_offline_mode

    with _hub_errors(name, what, Path(constants.HF_HUB_CACHE) / name.cache):
        commit = resolved(name, constants.HF_HUB_CACHE, is_offline_mode()).resolved
    return HubId(repository=name.repository, revision=commit)


@lru_cache
def resolved(name: HubId, cache: str, offline: bool) -> Any:
    """huggingface_hub's `ResolvedRevision` of a hub id: by the hub, and by the cache where that cannot be asked."""
    from huggingface_hub import HfApi

    return HfApi().resolve_revision(name.repository, revision=name.revision, cache_dir=cache, local_files_only=offline)


def needed(files: Iterable[str]) -> list[str]:
    """Of a repository's files, those that a model or an adapter is loaded from, and its card.

    Weights under transformers' names are all of the weights where there are any; no other format of them is needed.
    """
    files = sorted(files)
    weights = [file for file in files if file.endswith(".safetensors") and "/" not in file and not is_mistrals(file)]
    whole = [file for file in weights if _WHOLE_MODEL.fullmatch(file)]
    return [*(whole or weights), *(file for file in files if _is_beside_weights(file))]


def _is_beside_weights(file: str) -> bool:
    folder, _, name = file.rpartition("/")
    if folder:
        return folder == "additional_chat_templates"
    card = name == "README.md" or name.startswith("LICENSE")
    return card or (name.endswith(_BESIDE_WEIGHTS) and not name.endswith(".bin.index.json") and not is_mistrals(name))


def is_mistrals(file: str) -> bool:
    """Whether a file of weights, by its name, is in the layout of Mistral's own code, which repeats what the others
    hold."""
    return file.startswith(_MISTRALS_OWN)


def _listing(repository: str, commit: str, folder: Path) -> dict[str, int] | None:
    """Each file of a commit with its size in bytes; None where only a folder in the cache is at hand."""
    from huggingface_hub import HfApi, get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, HfHubHTTPError
    from huggingface_hub.hf_api import RepoFile

    try:
        entries: Iterable[Any] = get_cached_repo_tree(repository, revision=commit)
    except CachedRepoTreeNotFoundError:
        try:
            entries = list(HfApi().list_repo_tree(repository, recursive=True, revision=commit))
        except Exception as error:  # the hub refuses, or its connection fails, of which there are many kinds
            if not folder.is_dir() or (isinstance(error, HfHubHTTPError) and error.response.status_code < 500):
                raise
            return None
    return {entry.path: entry.size for entry in entries if isinstance(entry, RepoFile)}


def _refuse_unloadable(listing: Iterable[str], files: Sequence[str], what: str, adapter: bool) -> None:
    """Raise `ModelError` for a repository that holds nothing to load, by the names of its files."""
    if adapter and "adapter_config.json" not in files:
        raise ModelError(f"{what}: no adapter_config.json in it; name a repository of an adapter that peft saved")
    if any(file.endswith(".safetensors") for file in files):
        return
    others = sorted(file for file in listing if "/" not in file)
    kinds = {
        "pickled weights only": ([file for file in others if file.endswith(_PICKLED)],
                                 "they are not loaded, since unpickling runs code; take a repository with safetensors, "
                                 "or convert it"),
        "weights for llama.cpp only": ([file for file in others if file.endswith(".gguf")],
                                       "take the repository that they were made from"),
        "weights in Mistral's own layout only": ([file for file in others if is_mistrals(file)],
                                                 "take the model in the layout of transformers"),
    }  # fmt: skip
    for kind, (named, remedy) in kinds.items():
        if named:
            raise ModelError(f"{what}: {kind} ({named[0]}); {remedy}")
    raise ModelError(f"{what}: no safetensors weights in it; name a repository of a model")


def _refuse_full_disk(cache: Path, size: int, what: str) -> None:
    standing = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(standing).free
    if size > free:
        raise ModelError(
            f"{what}: {bytes_text(size)} to download and {bytes_text(free)} free at {cache.parent}; make room, or set "
            "HF_HUB_CACHE to a folder on another disk"
        )


def _download(repository: str, revision: Any, files: list[str], missing: Mapping[str, int], folder: Path) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, snapshot_download

    # who may list a gated repository may not have its files
    get_hf_file_metadata(hf_hub_url(repository, next(iter(missing)), revision=revision.resolved))
    logging.getLogger(__name__).warning(
        "downloading %s, commit %s: %s, %s, into %s",
        repository, revision.resolved[:8], counted(len(missing), "file"), bytes_text(sum(missing.values())), folder,
    )  # fmt: skip
    try:
        snapshot_download(repository, revision=revision, allow_patterns=files, tqdm_class=_bar())
    except KeyboardInterrupt as stop:
        stop.add_note("files that were downloaded whole are kept, the same command goes on from there")
        raise


def _bar() -> Any:
    """The class of huggingface_hub's progress bars: of all that it draws, the bar of bytes, and only on a terminal."""
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            shown = sys.stderr.isatty() and str(options.get("desc")).startswith("Downloading")
            super().__init__(*arguments, **{**options, "disable": not shown, "leave": False})

    return Bar


def bytes_text(size: int) -> str:
    """A size as people read it, in powers of 1000.

    Example:
        >>> bytes_text(512), bytes_text(16_600_000_000)
        ('512 B', '16.6 GB')
    """
    shown, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while shown >= 999.5 and len(units) > 1:
        shown, units = shown / 1000, units[1:]
    return f"{shown:.3g} {units[0]}"


@contextmanager
def _hub_errors(name: HubId, what: str, cache: Path) -> Iterator[None]:
    """Whatever keeps a repository from being had within it is a `ModelError` of one line."""
    from huggingface_hub import errors

    try:
        yield
    except StropError:
        raise
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{what}: its repository is gated and this account has no access to it; ask for it on the repository's "
            f"page, and {_SIGN_IN}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"{what}: no such folder, and no repository of that name on the hub that this account may read; check the "
            f"name, or {_SIGN_IN} if it is private"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(
            f"{what}: the repository has no revision {name.revision or 'main'}; name a branch, a tag or a commit of it"
        ) from error
    except errors.HFValidationError as error:
        raise ModelError(f"{what}: no such folder, and no hub id ({_reason(error)}); name 'owner/model'") from error
    except errors.HfHubHTTPError as error:
        raise ModelError(f"{what}: the hub does not give it ({_reason(error)}); {_SIGN_IN}, or try later") from error
    except Exception as error:  # connections fail in many ways, each library with a kind of its own
        raise ModelError(_unreachable(name, what, cache, error)) from error


def _unreachable(name: HubId, what: str, cache: Path, error: Exception) -> str:
    from huggingface_hub import is_offline_mode

    if isinstance(error, OSError) and error.errno is not None:
        return f"{what}: {trouble(error, cache, 'written')}"
    if is_offline_mode():
        return (
            f"{what}: no such folder, not in the cache ({cache.parent}), and HF_HUB_OFFLINE is set; unset it to "
            "download it, or copy the cache of a machine that has it"
        )
    origin = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return (
        f"{what}: no such folder, and the hub cannot be reached ({_reason(origin)}); check the network and HF_ENDPOINT "
        "and give the same command again: files that were downloaded whole are kept"
    )


def _reason(error: Exception) -> str:
    return one_line(masked([first_line(error)])[0])
