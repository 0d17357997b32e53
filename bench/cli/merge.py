"""``bench merge``: the cells of several runs, of several machines too, in one run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.command import command

if TYPE_CHECKING:
    from bench.merge import Merge

EXAMPLES = """
\b
Examples:
  bench merge results/runs/all machine-a machine-b
  bench merge results/runs/all machine-a machine-b --dry-run
  bench merge results/runs/all old new --prefer newest
  bench report all
"""


@click.command(epilog=EXAMPLES)
@click.argument("into", type=click.Path(path_type=Path, file_okay=False))
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
    from bench.merge import merge as write
    from bench.merge import preview
    from bench.report.files import find

    folders = [find(run) for run in runs]
    if dry_run:
        planned = preview(into, folders, command=command(), prefer=prefer)
        _tell(planned, "would be ")
        return 1 if planned.conflicts and prefer is None else 0
    _tell(write(into, folders, command=command(), prefer=prefer), "")
    click.echo(f"bench report {into}")
    return 0


def _tell(merge: Merge, would: str) -> None:
    """What there is to know; files that could not be used go to standard error."""
    from bench.cli.console import show
    from bench.report.table import Table

    if merge.differences:
        columns = ("setting", *merge.differences[0].runs)
        rows = tuple((setting.setting, *setting.values) for setting in merge.differences)
        show(Table("Settings that differ between the runs", columns, rows, len(columns)))
    if merge.conflicts:
        names = ("cell", "taken", "not taken", "what differs")
        rows = tuple((c.cell, c.taken, c.other, c.what) for c in merge.conflicts)
        show(Table("Cells on which the runs contradict each other", names, rows, len(names)))
    for note in merge.notes:
        click.echo(note)
    for problem in merge.problems:
        click.echo(f"{problem.path} is passed over: {problem.reason}", err=True)
    click.echo(
        f"{merge.folder}: {len(merge.cells)} cells: {len(merge.todo)} {would}copied, {merge.kept} "
        f"there already, {merge.waiting} without a record in any run"
    )
