"""Finding models and writing generated files, so that unchanged bytes leave mtimes and nothing is ever half-written."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from platformio_tflm.errors import InputError, ModelError, UsageError

MAX_MODEL_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class ModelFile:
    """A model as it lies in the project. path: as shown, from the project folder with forward slashes."""

    path: str
    location: Path
    data: bytes


def find_models(project_dir: Path, patterns: Iterable[str], *, required: bool) -> list[Path]:
    """Files that match the patterns, sorted and each once.

    required: the user wrote the patterns, so one that matches nothing is a UsageError.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        names = glob.glob(pattern, root_dir=project_dir, recursive=True)  # noqa: PTH207 - root_dir, and no dot folders
        paths = [path for path in map(project_dir.joinpath, names) if path.is_file() or _dangles(path)]
        if not paths and required:
            raise _no_match(project_dir, pattern)
        found.update(dict.fromkeys(paths))
    return sorted(found, key=lambda path: display_path(path, project_dir))


def _dangles(path: Path) -> bool:
    """A link to nowhere: the user means a model, and is to hear that it is not there."""
    return path.is_symlink() and not path.exists()


def _no_match(project_dir: Path, pattern: str) -> UsageError:
    import difflib  # noqa: PLC0415 - only wanted on the way to an error

    if (project_dir / pattern).is_dir():
        hint = f"It is a folder; {pattern.rstrip('/')}/*.tflite are the models in it."
        return UsageError(f"custom_tflm_models: '{pattern}' matches no file", where="platformio.ini", hint=hint)
    models = glob.glob("**/*.tflite", root_dir=project_dir, recursive=True)  # noqa: PTH207
    names = [Path(name).as_posix() for name in models if (project_dir / name).is_file()]
    close = difflib.get_close_matches(pattern, names, n=1, cutoff=0.3)
    hint = f"Did you mean {close[0]}?" if close else "Paths and patterns count from the project folder."
    return UsageError(f"custom_tflm_models: '{pattern}' matches no file", where="platformio.ini", hint=hint)


def display_path(path: Path, project_dir: Path) -> str:
    """The path as reports and generated text show it: from the project folder, or the bare name outside of it."""
    try:
        return path.relative_to(project_dir).as_posix()
    except ValueError:
        return path.name


def read_model_file(path: Path, project_dir: Path) -> ModelFile:
    """Errors: ModelError when the file cannot be read or is over 64 MiB."""
    shown = display_path(path, project_dir)
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_MODEL_BYTES:
            raise ModelError(
                f"{size_bytes:,} bytes, at most {MAX_MODEL_BYTES:,} are allowed",
                where=shown,
                hint="No microcontroller holds a model of this size; is it the right file?",
            )
        return ModelFile(shown, path, path.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=shown) from error


def write_if_changed(path: Path, content: bytes) -> bool:
    """Put the content there in one step; True if the file had other bytes or was not there.

    Errors: InputError when the folder cannot be written.
    """
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        raise InputError(
            f"cannot be written: {error.strerror}",
            where=str(path),
            hint="Check the folder's rights, the free space and the length of the name.",
        ) from error
    return True


def _replace(path: Path, content: bytes) -> None:
    # The process id keeps two builds of one project from writing into each other's temporary file.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def remove_others(folder: Path, keep: set[Path]) -> None:
    """Delete the files in the folder (not below) that are not to be kept: outputs of models that are gone."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_file() and path not in keep:
            path.unlink(missing_ok=True)
