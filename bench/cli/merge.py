"""``bench merge``: the cells of several runs, of several machines too, in one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli.command import command
from bench.cli.options import UserPath

EXAMPLES = """
\b
Examples:
  bench merge results/runs/all machine-a machine-b
  bench merge results/runs/all machine-a machine-b --dry-run
  bench merge results/runs/all old new --prefer newest
  bench report all
"""


@click.command(epilog=EXAMPLES)
@click.argument("into", type=UserPath(file_okay=False))
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--prefer",
    type=click.Choice(["first", "newest"]),
    help="Whose cell to take where two runs contradict each other; without it they are refused.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, every conflict; stop.")
def merge(into: Path, runs: tuple[str, ...], prefer: Any, dry_run: bool) -> int:
    """Copy the cells of every RUN into the run INTO: a new folder, or one that merge has made.

    A RUN is a folder or the name of one in results/runs; none of them is changed. A cell that
    several of them have is copied once; if it is not the same in all but times, memory and
    provenance, nothing is written and the line names it, unless --prefer says which one to take.
    So are two cells that a report could not tell apart, e.g. one method with two learning rates.
    The same command again copies only what is new.
    """
    from bench import merge as merging
    from bench.report.files import find

    work = merging.preview if dry_run else merging.merge
    done = work(into, [find(run) for run in runs], command=command(), prefer=prefer)
    lines = [f"settings differ: {difference}" for difference in done.differences]
    lines += [f"conflict, {c.taken} is taken: {c.text}" for c in done.conflicts]
    click.echo("".join(f"{line}\n" for line in [*lines, *done.notes]), nl=False)
    for problem in done.problems:
        click.echo(f"{problem.path} is passed over: {problem.reason}", err=True)
    copied, waiting = len(done.todo), done.waiting
    click.echo(
        f"{into}: {len(done.cells)} cells: {copied} {'would be ' if dry_run else ''}copied, "
        f"{len(done.cells) - copied - waiting} there already, {waiting} without a record in any run"
    )
    if dry_run:
        return 1 if done.conflicts and prefer is None else 0
    click.echo(f"bench report {into}")
    return 0
