"""``bench submit``: a finished run as the files and the zip that the GLUE server takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.command import command
from bench.cli.options import UserPath

if TYPE_CHECKING:
    from bench.submission.finished import Chosen
    from bench.submission.make import FileOrigin

INVALID = 1
"""Exit code of ``--check``: the server would not take it."""

EXAMPLES = """
\b
Examples:
  bench submit results/runs/NAME --data-dir GLUE --out glue-submission
  bench submit NAME --method kd --no-retrieval --data-dir GLUE --out kd-submission
  bench submit NAME --ann hnswlib --seed 1 --missing majority --data-dir GLUE --out partial
  bench submit --check glue-submission/submission.zip
"""


@click.command(epilog=EXAMPLES)
@click.argument("run", required=False)
@click.option("--method", default="reaugkd", show_default=True, help="whose students answer")
@click.option("--seed", type=int, help="of the students  [default: the first of the run]")
@click.option("--ann", "backend", help="e.g. exact  [default: the first of the run]")
@click.option("--no-retrieval", is_flag=True, help="the students answer alone")
@click.option(
    "--missing",
    type=click.Choice(["majority", "constant"]),
    help="what stands in for tasks without a finished cell: the majority class or mean score of "
    "train, or the first class or middle score (no file is read)  [default: refuse]",
)
@click.option("--data-dir", type=UserPath(), help="GLUE, official layout  [default: as the run]")
@click.option("--cache", type=UserPath(), envvar="REAUGKD_CACHE", help="As for run.")
@click.option("--out", type=UserPath(), help="new folder  [default: submission in that of the run]")
@click.option("--check", "checked", type=UserPath(), help="a folder or zip: look at it and stop")
def submit(
    run: str | None, backend: str | None, checked: Path | None, **options: Any
) -> int | None:
    """Answer GLUE's test rows by the finished students of RUN and write submission.zip.

    Nothing is trained. Of each task the first knowledge base of the plan is asked, with the k,
    beta and tau that its record chose on held-out rows; MNLI's student answers the diagnostic rows
    (AX). What was written is checked as by --check, whose exit code is 0 for a valid submission and
    1 for another.
    """
    if checked is not None:
        return _check(checked)
    from bench.records.results import load
    from bench.records.store import Store
    from bench.report.files import find
    from bench.submission.finished import StudentChoice, choose
    from reaugkd.models import threads
    from reaugkd.retrieval import ann

    if options["no_retrieval"] and backend:
        raise click.UsageError("--ann names an index, --no-retrieval asks none: give one of them")
    results = load(Store(find(run)))
    backend = ann.canonical(backend) if backend else None
    wanted = StudentChoice(options["method"], options["seed"], backend, not options["no_retrieval"])
    chosen = choose(results, wanted)
    out = options["out"] or results.folder / "submission"

    threads.share()
    from bench.cli.console import console
    from bench.executors.quiet import limit_threads, quieten
    from bench.pipeline.workbench import Workbench
    from bench.progress import live as progress
    from bench.submission import make
    from bench.submission.finished import FinishedStore
    from reaugkd.artifacts.cache import default_cache

    quieten()
    limit_threads(None)
    reporter = progress.reporter(console())
    trains = str(results.run.get("command", "bench run"))
    artifacts = FinishedStore(options["cache"] or default_cache(), reporter, trains)
    sources = make.make(
        out,
        results,
        chosen,
        Workbench(artifacts, reporter, command()),
        reporter,
        command=command(),
        missing=options["missing"],
        data_dir=options["data_dir"],
    )
    _tell(sources, chosen, out)
    return None


def _tell(sources: list[FileOrigin], chosen: Chosen, out: Path) -> None:
    """Print what answered each file; what nobody answered is said loudly."""
    from bench.submission.layout import ARCHIVE

    for source in sources:
        click.echo(f"{source.file.name}: {source.file.rows} rows, {source.words}")
    click.echo(f"wrote {out}: {len(sources)} files, and {ARCHIVE} to upload; checked")
    empty = [source.file.name for source in sources if source.cell is None]
    if empty:
        click.secho(
            f"WARNING: no student answered {', '.join(empty)}: their scores, and the server's mean "
            "over all tasks, say nothing of the method",
            fg="red",
            err=True,
        )
        for reason in chosen.lacking:
            click.echo(f"  {reason}", err=True)


def _check(path: Path) -> int:
    from bench.submission import check
    from bench.submission.layout import FILES

    flaws = check.problems(path)
    for flaw in flaws:
        click.echo(f"{path}: {flaw}", err=True)
    if not flaws:
        rows = sum(file.rows for file in FILES)
        click.echo(f"{path}: valid, {len(FILES)} files with {rows} answers")
    return INVALID if flaws else 0
