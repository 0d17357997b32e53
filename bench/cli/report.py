"""``bench report``: the tables of a run, in the terminal, as files, as a page."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from bench.cli.command import command
from bench.cli.console import console, echo, printed, written
from bench.cli.options import UserPath, names
from bench.report.render.server import PORT

if TYPE_CHECKING:
    from bench.report.document import Report
    from bench.report.request import Request

EXAMPLES = """
\b
Examples:
  bench report                                        the newest run
  bench report results/runs/mini --out results/mini
  bench report NAME --baseline finetune --select comparisons
  bench report NAME --select scores,k --select task=mrpc,rte --group-by method
  bench report NAME --format latex,csv --figures svg --out paper
  bench report NAME --with results/runs/latency-1a2b3c4d
  bench report results/runs/latency-1a2b3c4d
  bench report NAME --serve                           http://127.0.0.1:8765/, until Ctrl-C
  bench report > report.md
"""

_FOLDER = UserPath(file_okay=False)


@click.command(epilog=EXAMPLES)
@click.argument("run", required=False)
@click.option("--baseline", help="Method that differences refer to.  [default: kd, if it is there]")
@click.option(
    "--format",
    "formats",
    multiple=True,
    callback=names,
    help="a,b of md, tidy, csv, parquet, latex, json, html  [default: md,tidy,json,html]",
)
@click.option(
    "--figures", multiple=True, callback=names, help="Files of each picture: svg,png,pdf."
)
@click.option(
    "--select",
    "chosen",
    multiple=True,
    help="Show only these sections (scores,k) or rows (task=mrpc,rte); may be repeated.",
)
@click.option("--group-by", metavar="COLUMN", help="One table per value, e.g. task or method.")
@click.option(
    "--with",
    "beside",
    multiple=True,
    type=_FOLDER,
    help="Folder of bench latency, memory or gate to show in the same report; may be repeated.",
)
@click.option("--out", type=_FOLDER, help="Folder for the files; the run's own.")
@click.option("--serve", is_flag=True, help="Serve the page on this machine, and write no files.")
@click.option("--port", type=int, default=PORT, show_default=True, help="For --serve; 0: any free.")
def report(
    run: str | None,
    baseline: str | None,
    formats: list[str],
    figures: list[str],
    chosen: tuple[str, ...],
    group_by: str | None,
    beside: tuple[Path, ...],
    out: Path | None,
    serve: bool,
    port: int,
) -> None:
    """Show the tables of RUN and write report.md, results.csv, results.json and report.html.

    RUN is a folder or the name of one in results/runs; by default the newest. It may still be
    going on. In a pipe, the tables are Markdown. A folder of bench latency or bench memory gets
    latency.csv and memory.csv instead of results.csv; a history.jsonl of bench gate there is
    shown too. The files go beside the cells unless --out says otherwise. What has not changed
    since the last call is not made again.

    Formats: md; tidy (results.csv, a row per score); csv and parquet (that, and tables/ with a
    file per section in full precision); latex (tables/*.tex, booktabs); json (everything); html
    (the page, one file).
    """
    from bench.report import files, select
    from bench.report.request import Request

    def folder(name: Path) -> Path:
        return name if name.is_dir() or not (files.RUNS / name).is_dir() else files.RUNS / name

    request = Request(
        folder=files.find(run, files.RUNS),
        beside=tuple(map(folder, beside)),
        baseline=baseline,
        selection=select.parse(chosen, group_by),
    )
    if serve:
        _serve(request, port)
    else:
        _write(request, out or request.folder, formats, figures)


def _write(request: Request, folder: Path, formats: list[str], figures: list[str]) -> None:
    """Print the tables and write the files, unless both are there already.

    Raises:
        UserError: for a format that does not exist, or a folder that cannot be written.
    """
    from bench.report import files, kept

    wanted = files.known("format", formats, files.FORMATS) or files.USUAL
    pictures = files.known("picture format", figures, files.PICTURES)
    line, out = command(), console()
    screen = [out.is_terminal, out.width, out.color_system]
    options = {"formats": wanted, "pictures": pictures, "command": line, "screen": screen}
    stamp = kept.stamp(request.folders, request.options | options)
    if (earlier := kept.find(folder, stamp)) is not None:
        echo(earlier.printed)
        written("up to date in", folder, [folder / name for name in earlier.files])
        return
    with _uncollected():
        shown, whole = request.make()
        paths = files.write(folder, files.contents(shown, whole, wanted, pictures, line))
        text = printed(shown)
    kept.keep(folder, stamp, text, paths)
    echo(text)
    written("wrote", folder, paths)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector, which would walk the millions of objects of a large run many times.

    It costs a tenth of the time there and frees next to nothing: one report is made, and kept.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _serve(request: Request, port: int) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        UserError: if the port is in use.
    """
    from bench.report import kept
    from bench.report.render import server
    from bench.report.render.html import render

    stamp = partial(kept.stamp, request.folders, request.options)
    # Made before anything is announced: a mistake is told here and not in the browser.
    ready: dict[str, tuple[Report, Report]] = {stamp(): request.make()}

    def page() -> str:
        began = perf_counter()
        now = stamp()
        shown, whole = ready.pop(now) if now in ready else request.make()
        ready.clear()
        seconds = perf_counter() - began
        return render(shown, command=command(), live=whole.unfinished, seconds=seconds)

    def announce(url: str) -> None:
        click.echo(f"serving {request.folder} at {url} (Ctrl-C ends it)", err=True)

    server.serve(page, port, announce, stamp=stamp)
