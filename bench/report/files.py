"""Where runs are found, and the files that a report leaves behind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from bench.records.measurements import FOLDER as MEASURED
from bench.records.store import RUN, StoreError
from reaugkd.artifacts.atomic import write_bytes
from reaugkd.errors import UnknownNameError

if TYPE_CHECKING:
    from bench.report.build import Report

RUNS = Path("results/runs")
"""Where ``bench run`` puts its runs unless told otherwise."""

MARKDOWN, JSON, HTML = "report.md", "results.json", "report.html"
TABLES, FIGURES = "tables", "figures"
"""Folders below that of the report."""

Content = tuple[PurePath, str | bytes]


def find(name: str | None, runs: Path = RUNS) -> Path:
    """The folder of a run: a path, a name below ``runs``, or without ``name`` the newest there.

    Raises:
        StoreError: if there are no runs.
        UnknownNameError: with the nearest run's name.
    """
    folders = {path.parent.name: path for path in runs.glob(f"*/{RUN}")}
    if name is not None:
        for folder in (Path(name), runs / name):
            if folder.is_dir():
                return folder
        if Path(name).name != name or not folders:
            raise StoreError(f"no run at {name}: expected {Path(name) / RUN}")
        measured = {path.parent.name for path in runs.glob(f"*/{MEASURED}")}
        raise UnknownNameError("run", name, folders.keys() | measured)
    if not folders:
        raise StoreError(f"no runs in {runs}: `bench run` makes one")
    return max(folders.values(), key=lambda path: path.stat().st_mtime).parent


@dataclass(frozen=True)
class Source:
    """What files are made from.

    Attributes:
        shown: the report, or the part of it that was asked for.
        whole: all of it; what serves as data is never a part.
        command: that makes the report; the page says it.
        request: what was asked for; for the page and the pictures as they were.
    """

    shown: Report
    whole: Report
    command: str = "bench report"


def _markdown(of: Source) -> Iterator[Content]:
    from bench.report.render import markdown

    yield PurePath(MARKDOWN), markdown.render(of.shown)


def _tidy(of: Source) -> Iterator[Content]:
    """A row per score of a run, per cell of measurements."""
    from bench.report.render import data

    for name, frame in data.tidy(of.whole):
        yield PurePath(name), data.as_csv(frame)


def _csv(of: Source) -> Iterator[Content]:
    from bench.report.render import data

    yield from _tidy(of)
    for name, frame in data.sections(of.shown):
        yield PurePath(TABLES, f"{name}.csv"), data.as_csv(frame)


def _parquet(of: Source) -> Iterator[Content]:
    from bench.report.render import data

    for name, frame in data.tidy(of.whole):
        yield PurePath(name).with_suffix(".parquet"), data.as_parquet(frame)
    for name, frame in data.sections(of.shown):
        yield PurePath(TABLES, f"{name}.parquet"), data.as_parquet(frame)


def _latex(of: Source) -> Iterator[Content]:
    from bench.report.render import latex

    for name, text in latex.files(of.shown).items():
        yield TABLES / name, text


def _json(of: Source) -> Iterator[Content]:
    from bench.report.render import data

    yield PurePath(JSON), data.json_text(of.whole.data)


def _html(of: Source) -> Iterator[Content]:
    from bench.report.render.html import render

    yield PurePath(HTML), render(of.shown, command=of.command)


def _drawn(of: Source, kind: str) -> Iterator[Content]:
    from bench.report.charts.export import drawn_as

    for part in of.shown.parts:
        for picture in part.pictures:
            yield PurePath(FIGURES, f"{picture.name}.{kind}"), drawn_as(picture, kind)


FORMATS: dict[str, Callable[[Source], Iterator[Content]]] = {
    "md": _markdown,
    "tidy": _tidy,
    "csv": _csv,
    "parquet": _parquet,
    "latex": _latex,
    "json": _json,
    "html": _html,
}
"""Name -> the files of a format. ``csv`` is ``tidy`` and a file for each section."""

USUAL = ("md", "tidy", "json", "html")
"""Formats that are written unless told otherwise."""

PICTURES = ("svg", "png", "pdf")


def known(what: str, names: Iterable[str], among: Iterable[str]) -> tuple[str, ...]:
    """``names`` in lower case, each once.

    Raises:
        UnknownNameError: for one that is not ``among`` them, e.g. ``format 'pdf'``.
    """
    distinct, allowed = dict.fromkeys(name.lower() for name in names), tuple(among)
    for name in distinct:
        if name not in allowed:
            raise UnknownNameError(what, name, allowed)
    return tuple(distinct)


def contents(of: Source, formats: Sequence[str], pictures: Sequence[str] = ()) -> Iterator[Content]:
    """Every file of a report below its folder.

    Args:
        of: the report.
        formats: of :data:`FORMATS`.
        pictures: of :data:`PICTURES`; the kinds of file each picture is drawn as.
    """
    for name in formats:
        yield from FORMATS[name](of)
    for kind in pictures:
        yield from _drawn(of, kind)


def write(folder: Path, contents: Iterable[Content]) -> Mapping[Path, str]:
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
