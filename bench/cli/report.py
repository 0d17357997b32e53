"""``bench report``: the tables of a run, in the terminal, as files, as a page."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from bench.cli.console import console, show
from bench.cli.run import _list
from bench.report import files, kept, markdown, selection
from bench.report.document import Report
from bench.report.request import Request, unfinished
from bench.report.server import PORT

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

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(epilog=EXAMPLES)
@click.argument("run", required=False)
@click.option("--baseline", help="Method that differences refer to.  [default: kd, if it is there]")
@click.option(
    "--format",
    "formats",
    multiple=True,
    callback=_list,
    help=f"a,b of {', '.join(files.FORMATS)}  [default: {','.join(files.USUAL)}]",
)
@click.option("--figures", multiple=True, callback=_list, help="Files of each picture: svg,png.")
@click.option(
    "--select",
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
    select: tuple[str, ...],
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
    request = Request(
        folder=files.find(run, files.RUNS),
        beside=tuple(map(_folder, beside)),
        baseline=baseline,
        selection=selection.parse(select, group_by),
    )
    if serve:
        _serve(request, port)
        return
    wanted = files.known("format", formats, files.FORMATS) or files.USUAL
    pictures = files.known("picture format", figures, files.PICTURES)
    folder, command = out or request.folder, _command()
    store = kept.Kept(folder)
    options = {**request.options, "formats": wanted, "pictures": pictures, "command": command}
    stamp = kept.stamp(request.folders, options)
    if (found := store.find(stamp)) is not None:
        _print(found.report)
        click.echo(_written("up to date in", folder, found.files), err=True)
        return
    made, whole = request.make()
    paths = files.write(made, folder, wanted, pictures, whole=whole, command=command)
    store.keep(stamp, made, paths)
    _print(made)
    click.echo(_written("wrote", folder, paths), err=True)


def _serve(request: Request, port: int) -> None:
    from bench.report.page import render
    from bench.report.server import serve

    command = _command()

    def stamp() -> str:
        return kept.stamp(request.folders, request.options)

    def page() -> str:
        made = ready.pop(stamp(), None) or request.make()
        ready.clear()
        return render(made[0], command=command, live=unfinished(made[0]))

    def told(url: str) -> None:
        click.echo(f"serving {request.folder} at {url} (Ctrl-C ends it)", err=True)

    # Made before anything is announced: a mistake is told here and not in the browser.
    ready = {stamp(): request.make()}
    serve(page, port, told, stamp=stamp)


def _folder(given: Path) -> Path:
    """A folder, or the name of one in results/runs."""
    below = files.RUNS / given
    return below if not given.is_dir() and below.is_dir() else given


def _command() -> str:
    """As it was typed, for the page."""
    return shlex.join(["bench", *sys.argv[1:]])


def _print(report: Report) -> None:
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
