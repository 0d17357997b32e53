"""Where runs are found, and the files that a report leaves behind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from bench.records.measurement import LatencyRecord
from bench.records.measurements import FOLDER as MEASURED
from bench.records.store import RUN, StoreError
from bench.report import document, latency, tidy
from bench.report.build import Report
from bench.report.render import data, latex, markdown
from reaugkd.artifacts.atomic import write_bytes
from reaugkd.errors import UnknownNameError

RUNS = Path("results/runs")
"""Where ``bench run`` puts its runs unless told otherwise."""

MARKDOWN, CSV, JSON, HTML = "report.md", "results.csv", "results.json", "report.html"
TABLES, FIGURES = "tables", "figures"
"""Folders below that of the report."""

Content = tuple[PurePath, str | bytes]


def find(name: str | None, runs: Path = RUNS) -> Path:
    """The folder of a run: a path, a name below ``runs``, or without ``name`` the newest there.

    Raises:
        StoreError: if there are no runs.
        UnknownNameError: with the nearest run's name.
    """
    known = {path.parent.name: path for path in runs.glob(f"*/{RUN}")}
    if name is not None:
        for folder in (Path(name), runs / name):
            if folder.is_dir():
                return folder
        if Path(name).name != name or not known:
            raise StoreError(f"no run at {name}: expected {Path(name) / RUN}")
        measured = {path.parent.name for path in runs.glob(f"*/{MEASURED}")}
        raise UnknownNameError("run", name, known.keys() | measured)
    if not known:
        raise StoreError(f"no runs in {runs}: `bench run` makes one")
    return max(known.values(), key=lambda path: path.stat().st_mtime).parent


@dataclass(frozen=True)
class Source:
    """What files are made from.

    Attributes:
        shown: the report, or the part of it that was asked for.
        whole: all of it; what serves as data is never a part.
        command: that makes the report.
    """

    shown: Report
    whole: Report
    command: str
    page: OldPage | None = None


@dataclass(frozen=True)
class OldPage:
    """The report as strings, for what is not ported: the CSV of scores and of latency."""

    make: Callable[[], tuple[document.Report, document.Report]]

    @cached_property
    def reports(self) -> tuple[document.Report, document.Report]:
        """What is shown, and the whole."""
        return self.make()

    def tidy(self) -> Iterator[Content]:
        """Files of sections that are not ported."""
        whole = self.reports[1]
        if "rows" in whole.data:
            yield PurePath(CSV), tidy.as_csv(whole.rows)
        records = [record for section in whole.sections for record in section.records]
        if timed := [record for record in records if isinstance(record, LatencyRecord)]:
            yield PurePath("latency.csv"), latency.as_csv(timed)


def _markdown(of: Source) -> Iterator[Content]:
    yield PurePath(MARKDOWN), markdown.render(of.shown)


def _tidy(of: Source) -> Iterator[Content]:
    """A row per score of a run, per cell of measurements."""
    if of.page is not None:
        yield from of.page.tidy()
    for name, frame in data.tidy(of.whole):
        yield PurePath(name), data.as_csv(frame)


def _csv(of: Source) -> Iterator[Content]:
    yield from _tidy(of)
    for name, frame in data.sections(of.shown):
        yield PurePath(TABLES, f"{name}.csv"), data.as_csv(frame)


def _parquet(of: Source) -> Iterator[Content]:
    if of.page is not None and "rows" in of.whole.about:
        whole = of.page.reports[1]
        yield PurePath(CSV).with_suffix(".parquet"), tidy.as_parquet(whole.rows)
    for name, frame in data.sections(of.shown):
        yield PurePath(TABLES, f"{name}.parquet"), data.as_parquet(frame)


def _latex(of: Source) -> Iterator[Content]:
    for name, text in latex.files(of.shown).items():
        yield TABLES / name, text


def _json(of: Source) -> Iterator[Content]:
    yield PurePath(JSON), data.json_text(data.as_json(of.whole))


def _html(of: Source) -> Iterator[Content]:
    from bench.report.render.html import render

    yield PurePath(HTML), render(of.shown, command=of.command)


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
    found = tuple(dict.fromkeys(name.lower() for name in names))
    for name in found:
        if name not in (allowed := tuple(among)):
            raise UnknownNameError(what, name, allowed)
    return found


def write(
    report: Report,
    folder: Path,
    formats: Sequence[str] = USUAL,
    pictures: Sequence[str] = (),
    *,
    whole: Report | None = None,
    command: str = "bench report",
    page: OldPage | None = None,
) -> dict[Path, str]:
    """Write the report into ``folder``, made if needed; each file appears whole or not at all.

    Args:
        report: what is shown.
        folder: where.
        formats: of :data:`FORMATS`.
        pictures: of :data:`PICTURES`; the kinds of file each figure is drawn as.
        whole: the report that ``report`` is a part of, for the files that are data.
        command: that makes the report; the page says it.

    Returns:
        The files, in their order, with the checksum of what was written to each.

    Raises:
        StoreError: if it cannot be written.
    """
    written: dict[Path, str] = {}
    source = Source(report, whole or report, command, page)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in formats:
            for file, content in FORMATS[name](source):
                written[folder / file] = put(folder / file, content)
        for kind in pictures:
            for file, content in _drawn(report, kind):
                written[folder / file] = put(folder / file, content)
    except OSError as error:
        raise StoreError(f"cannot write the report to {folder}: {error.strerror}") from error
    return written


def put(path: Path, content: str | bytes) -> str:
    """Write one file, whole or not at all, and its folder if needed.

    Returns:
        The checksum of what was written, whoever writes there next.

    Raises:
        OSError: if it cannot be written.
    """
    raw = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, raw)
    return hashlib.sha256(raw).hexdigest()


def _drawn(report: Report, kind: str) -> Iterator[Content]:
    from bench.report.charts.export import drawn_as

    for part in report.parts:
        for picture in part.pictures:
            yield PurePath(FIGURES, f"{picture.name}.{kind}"), drawn_as(picture, kind)
