"""Whether a submission is what the GLUE server takes; nothing but its files is looked at."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.submission.layout import (
    ABOUT,
    ARCHIVE,
    FILES,
    HEADER,
    HIGHEST,
    LOWEST,
    AnswerFile,
)
from reaugkd.errors import UserError
from reaugkd.tasks import glue


def problems(path: Path, files: Sequence[AnswerFile] = FILES) -> list[str]:
    """What is wrong with the submission in a folder or zip, a line each; empty if nothing is.

    A folder has the files, and may have the zip of the same files and ``submission.json``.

    Raises:
        UserError: if there is no such folder or zip, or it cannot be read.
    """
    try:
        found = _of_folder(path, files) if path.is_dir() else _of_parts(*_unzipped(path), files)
        return list(found)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: expected a folder or a zip") from error
    except OSError as error:
        raise UserError(f"cannot read {error.filename or path}: {error.strerror}") from error


def of_file(file: AnswerFile, content: bytes) -> Iterator[str]:
    """What is wrong with the content of one file: the first flaw of its lines, and their number."""
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        yield f"{file.name}: not UTF-8 text: {error}"
        return
    if not lines[-1]:
        lines.pop()
    header, *rows = [line.removesuffix("\r") for line in lines] or [""]
    if header != HEADER:
        yield f"{file.name}:1: expected the header {HEADER!r}, found {header[:80]!r}"
    if len(rows) != file.rows:
        yield f"{file.name}: expected {file.rows} rows, found {len(rows)}"
    flaws = ((row, _flaw(file, row, line)) for row, line in enumerate(rows))
    if first := next(((row, flaw) for row, flaw in flaws if flaw), None):
        yield f"{file.name}:{first[0] + 2}: {first[1]}"


def _flaw(file: AnswerFile, row: int, line: str) -> str | None:
    """What is wrong with one line."""
    number, tab, answer = line.partition("\t")
    if not tab or "\t" in answer:
        return f"expected two columns with a tab between, found {line[:80]!r}"
    if number != str(row):
        return f"expected index {row}, found {number[:80]!r}"
    if file.labels:
        known = answer in file.labels
        return None if known else f"expected {' or '.join(file.labels)}, found {answer[:80]!r}"
    try:
        inside = LOWEST <= float(answer) <= HIGHEST  # NaN is not
    except ValueError:
        inside = False
    if not inside:
        return f"expected a score from {LOWEST:g} to {HIGHEST:g}, found {answer[:80]!r}"
    return None


def _of_folder(folder: Path, files: Sequence[AnswerFile]) -> Iterator[str]:
    names = sorted(path.name for path in folder.iterdir())
    known = {file.name for file in files}
    contents = {name: (folder / name).read_bytes() for name in names if name in known}
    yield from _of_parts([n for n in names if n not in (ARCHIVE, ABOUT)], contents, files)
    if ARCHIVE in names:
        zipped_names, zipped = _unzipped(folder / ARCHIVE)
        yield from (f"{ARCHIVE}: {flaw}" for flaw in _of_parts(zipped_names, zipped, files))
        differing = [n for n in contents if n in zipped and contents[n] != zipped[n]]
        yield from (f"{ARCHIVE}: {name} is not the file beside it" for name in differing)
    if ABOUT in names:
        yield from _of_sources((folder / ABOUT).read_bytes(), files)


def _unzipped(path: Path) -> tuple[list[str], dict[str, bytes]]:
    """The names in a zip, some perhaps twice, and what the files of those names hold."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return names, {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"{path} is no whole zip: {error}") from error
    except RuntimeError as error:  # it is encrypted, or packed in a way that Python lacks
        raise UserError(f"{path} cannot be unpacked: {error}") from error


def _of_parts(
    names: Sequence[str], contents: Mapping[str, bytes], files: Sequence[AnswerFile]
) -> Iterator[str]:
    known = {file.name for file in files}
    yield from (f"{name} is missing" for name in sorted(known - {*names}))
    for name, count in Counter(names).items():
        if name not in known:
            yield f"{name} does not belong to a submission: its files lie at the root, nothing else"
        elif count > 1:
            yield f"{name} is there {count} times"
    for file in files:
        if file.name in contents:
            yield from of_file(file, contents[file.name])


def _of_sources(content: bytes, files: Sequence[AnswerFile]) -> Iterator[str]:
    """Whether the diagnostic rows were answered by what answered MNLI's."""
    try:
        sources = {name: source["cell"] for name, source in json.loads(content)["files"].items()}
        answered = {sources[file.name] for file in files if file.task == "mnli"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"{ABOUT}: does not say what answered each file ({error!r})"
        return
    if len(answered) > 1:
        name = next(file.name for file in files if file.split == glue.DIAGNOSTIC)
        yield f"{ABOUT}: {name} is not answered by the student of MNLI"
