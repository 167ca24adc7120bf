"""Where a model's weights lie and what their digest is. Imports no model library: a finished run is recognised fast."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ModelError
from harness.files import digest_of_bytes, digest_of_file


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder, by name."""
    return sorted(folder.glob("*.safetensors"))


def model_folder(name: str) -> Path:
    """The local folder of a model: itself, or the snapshot of a hub id (with an optional ``@revision``)."""
    if Path(name).is_dir():
        return Path(name)
    repository, _, revision = name.partition("@")
    if name.startswith((".", "/", "~")) or repository.count("/") != 1:
        raise ModelError(f"{name}: no such folder; name a shipped model, a local folder or a hub id like 'owner/model'")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                repository, revision=revision or None, ignore_patterns=["*.bin", "*.pt", "*.pth", "*.gguf"]
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"{name}: no such folder, and the hub does not give it ({reason})") from error


def model_digest(folder: Path, adapter: Path | None = None) -> str:
    """SHA-256 over the names and bytes of all weight files, the adapter's included."""
    files = [*weight_files(folder), *(weight_files(adapter) if adapter else [])]
    if not files:
        raise ModelError(f"{folder}: no safetensors weights in it; convert the model, pickled weights are not loaded")
    return digest_of_bytes(*(part.encode() for file in files for part in (file.name, digest_of_file(file))))
