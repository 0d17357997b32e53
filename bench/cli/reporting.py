"""What ``bench report`` does with a request: files and tables, or the page over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import click

from bench.cli.command import command
from bench.cli.console import console, show
from bench.report import files, kept
from bench.report.build import Report
from bench.report.render import markdown
from bench.report.request import Request, unfinished


def write(request: Request, folder: Path, formats: Sequence[str], figures: Sequence[str]) -> None:
    """Print the tables and write the files, unless both are there already.

    Raises:
        UserError: for a format that does not exist, or a folder that cannot be written.
    """
    wanted = files.known("format", formats, files.FORMATS) or files.USUAL
    pictures = files.known("picture format", figures, files.PICTURES)
    typed = command()
    store = kept.Kept(folder)
    options = {**request.options, "formats": wanted, "pictures": pictures, "command": typed}
    stamp = kept.stamp(request.folders, options)
    if (found := store.find(stamp)) is not None:
        _print(found.report)
        click.echo(_written("up to date in", folder, found.files), err=True)
        return
    made, whole = request.make()
    page = files.OldPage(request.make_page)
    written = files.write(made, folder, wanted, pictures, whole=whole, command=typed, page=page)
    store.keep(stamp, made, written)
    _print(made)
    click.echo(_written("wrote", folder, tuple(written)), err=True)


def serve(request: Request, port: int) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        UserError: if the port is in use.
    """
    from bench.report.render import server
    from bench.report.render.html import render

    typed = command()

    def stamp() -> str:
        return kept.stamp(request.folders, request.options)

    def make() -> tuple[Report, bool, float]:
        began = perf_counter()
        shown, whole = request.make()
        return shown, unfinished(whole), perf_counter() - began

    def page() -> str:
        now = stamp()
        shown, live, seconds = ready.pop(now) if now in ready else make()
        ready.clear()
        return render(shown, command=typed, live=live, seconds=seconds)

    def told(url: str) -> None:
        click.echo(f"serving {request.folder} at {url} (Ctrl-C ends it)", err=True)

    # Made before anything is announced: a mistake is told here and not in the browser.
    ready = {stamp(): make()}
    server.serve(page, port, told, stamp=stamp)


def folder(given: Path) -> Path:
    """A folder, or the name of one in results/runs."""
    below = files.RUNS / given
    return below if not given.is_dir() and below.is_dir() else given


def _print(report: markdown.Shown) -> None:
    """Tables in a terminal, Markdown in a pipe."""
    out = console()
    if not out.is_terminal:
        click.echo(markdown.render(report), nl=False)
        return
    out.print(report.title, style="bold")
    if report.headline:
        out.print("", *(f"- {line}" for line in report.headline), sep="\n")
    out.print("", *report.lead, "", sep="\n")
    show(*report.tables)


def _written(verb: str, folder: Path, paths: Sequence[Path]) -> str:
    """One line: files by name, those of a folder below it by their number."""
    below = Counter(path.parent.name for path in paths if path.parent != folder)
    own = [path.name for path in paths if path.parent == folder]
    own += [f"{name}/ ({count} file{'s' * (count > 1)})" for name, count in below.items()]
    return f"{verb} {folder}: {', '.join(own) or 'nothing: there is nothing to write'}"
