"""The folder of a submission: it appears whole and checked, or not at all."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.submission import check
from bench.submission.layout import ABOUT, ARCHIVE, FILES, AnswerFile
from reaugkd.artifacts import disk
from reaugkd.artifacts.store import write_json
from reaugkd.errors import UserError


def require_new(folder: Path) -> None:
    """Raise UserError if ``folder`` is there already, or nothing can be written beside it."""
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder} is there already: name a new folder with --out")
    try:
        with disk.writing(folder.parent):
            _beside(folder).mkdir(parents=True)
            _beside(folder).rmdir()
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}") from error


def write(
    folder: Path,
    contents: Mapping[str, str],
    about: Mapping[str, Any],
    files: Sequence[AnswerFile] = FILES,
) -> None:
    """Write the files, their zip and ``submission.json`` into a new ``folder``.

    They are written beside it, checked there and get its name by one rename: a kill leaves no half
    zip under that name. The same contents give the same bytes.

    Raises:
        UserError: if the folder is there already, cannot be written, or is no valid submission.
    """
    require_new(folder)
    work = _beside(folder)
    try:
        with disk.writing(folder.parent):
            work.mkdir()
            _fill(work, contents, about)
            if flaws := check.problems(work, files):
                raise UserError(f"the submission is not valid, nothing is written: {flaws[0]}")
            work.rename(folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _beside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{os.getpid()}.tmp")


def _fill(work: Path, contents: Mapping[str, str], about: Mapping[str, Any]) -> None:
    with zipfile.ZipFile(work / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            raw = content.encode()
            (work / name).write_bytes(raw)
            entry = zipfile.ZipInfo(name)  # dated 1980, whenever it is made
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, raw, zipfile.ZIP_DEFLATED)
    write_json(work / ABOUT, dict(about))
