"""Where runs are found, and the files that a report leaves behind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from bench.records.measurements import FOLDER as MEASURED
from bench.records.store import RUN, StoreError
from reaugkd.artifacts.atomic import write_bytes
from reaugkd.errors import UnknownNameError
from reaugkd.paths import expanded

if TYPE_CHECKING:
    from bench.report.document import Report

RUNS = Path("results/runs")
"""Where ``bench run`` puts its runs unless told otherwise."""

MARKDOWN, JSON, HTML = "report.md", "results.json", "report.html"
TABLES, FIGURES = "tables", "figures"
"""Folders below that of the report."""

FORMATS = ("md", "tidy", "csv", "parquet", "latex", "json", "html")
"""Names of formats. ``csv`` is ``tidy`` and a file for each section."""

USUAL = ("md", "tidy", "json", "html")
"""Formats that are written unless told otherwise."""

PICTURES = ("svg", "png", "pdf")

Content = tuple[PurePath, str | bytes]


def find(name: str | None, runs: Path = RUNS) -> Path:
    """The folder of a run: a path, a name below ``runs``, or without ``name`` the newest there.

    Raises:
        StoreError: if there are no runs.
        UnknownNameError: with the nearest run's name.
    """
    folders = {path.parent.name: path for path in runs.glob(f"*/{RUN}")}
    if name is not None:
        path = expanded(name)
        for folder in (path, runs / path):
            if folder.is_dir():
                return folder
        if path.name != name or not folders:
            raise StoreError(f"no run at {path}: expected {path / RUN}")
        measured = {path.parent.name for path in runs.glob(f"*/{MEASURED}")}
        raise UnknownNameError("run", name, folders.keys() | measured)
    if not folders:
        raise StoreError(f"no runs in {runs}: `bench run` makes one")
    return max(folders.values(), key=lambda path: path.stat().st_mtime).parent


def known(what: str, names: Iterable[str], among: Sequence[str]) -> tuple[str, ...]:
    """``names`` in lower case, each once.

    Raises:
        UnknownNameError: for one that is not ``among`` them, e.g. ``format 'pdf'``.
    """
    distinct = tuple(dict.fromkeys(name.lower() for name in names))
    for name in distinct:
        if name not in among:
            raise UnknownNameError(what, name, among)
    return distinct


def contents(
    shown: Report,
    whole: Report,
    formats: Sequence[str],
    pictures: Sequence[str] = (),
    command: str = "bench report",
) -> Iterator[Content]:
    """Every file of a report below its folder.

    Args:
        shown: the report, or the part of it that was asked for.
        whole: all of it; what serves as data is never a part.
        formats: of :data:`FORMATS`.
        pictures: of :data:`PICTURES`; the kinds of file each picture is drawn as.
        command: that makes the report; the page says it.
    """
    from bench.report.render import data, latex, markdown

    for name in formats:
        match name:
            case "md":
                yield PurePath(MARKDOWN), markdown.render(shown)
            case "tidy" | "csv" | "parquet":
                kind = "parquet" if name == "parquet" else "csv"
                for file, frame in data.tidy(whole):
                    yield PurePath(file).with_suffix(f".{kind}"), data.WRITERS[kind](frame)
                for section, frame in data.sections(shown) if name != "tidy" else ():
                    yield PurePath(TABLES, f"{section}.{kind}"), data.WRITERS[kind](frame)
            case "latex":
                for path, text in latex.files(shown).items():
                    yield TABLES / path, text
            case "json":
                yield PurePath(JSON), data.json_text(whole.data)
            case "html":
                from bench.report.render.html import render

                yield PurePath(HTML), render(shown, command=command)
    for kind in pictures:
        from bench.report.charts.export import drawn_as

        for picture in (picture for part in shown.parts for picture in part.pictures):
            yield PurePath(FIGURES, f"{picture.name}.{kind}"), drawn_as(picture, kind)


def write(folder: Path, contents: Iterable[Content]) -> dict[Path, str]:
    """Write files into ``folder``, made if needed; each appears whole or not at all.

    Returns:
        The files, in their order, with the checksum of what was written to each, whoever writes
        there next.

    Raises:
        StoreError: if one cannot be written.
    """
    written: dict[Path, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents:
            raw = content.encode("utf-8") if isinstance(content, str) else content
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, raw)
            written[path] = hashlib.sha256(raw).hexdigest()
    except OSError as error:
        raise StoreError(f"cannot write the report to {folder}: {error.strerror}") from error
    return written
