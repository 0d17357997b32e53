"""``bench power``: what a plan of test rows and seeds can see, before it is run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import numbers

if TYPE_CHECKING:
    from bench.report.pilots import Pilot

EXAMPLES = """
\b
Examples:
  bench power results/glue-minilm-seeds --rows 2000,20000 --seeds 3,5
  bench power my-pilot --rows 20000 --seeds 5 --difference 0.4
  bench power --disagreement 4 --seed-sd 0.2 --rows 20000 --seeds 5 --difference 0.4
  bench power my-pilot --json | jq .plans

A pilot is a small run of the methods that are meant, of at least two seeds, with its outputs beside
the cells. Where the numbers come from: docs/statistics.md.
"""


@click.command(epilog=EXAMPLES)
@click.argument("runs", nargs=-1, metavar="[RUN...]")
@click.option(
    "--rows",
    multiple=True,
    callback=numbers(int),
    help="test rows of the plan  [default: 2000,20000]",
)
@click.option(
    "--seeds", multiple=True, callback=numbers(int), help="seeds of the plan  [default: 3,5]"
)
@click.option("--difference", type=float, help="points that must be seen: what does it take?")
@click.option(
    "--disagreement",
    type=float,
    help="instead of RUN: percent of the rows on which exactly one of two is right",
)
@click.option(
    "--seed-sd",
    type=click.FloatRange(0),
    help="with --disagreement: sd of the true difference between seeds, in points  [default: 0]",
)
@click.option(
    "--power",
    "chance",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
    help="chance of showing the difference",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="p below which it is shown",
)
@click.option("--task", help="only this task of the runs")
@click.option("--baseline", help="the method that others are compared with, as in bench report")
@click.option("--json", "as_json", is_flag=True, help="print JSON; differences are shares")
def power(runs: tuple[str, ...], chance: float, alpha: float, **options: Any) -> None:
    """Tell what a plan can see, by pilot cells of RUN, before it is run.

    Pairs are those of the report: every method against the baseline, with and without retrieval,
    and every student with retrieval against itself alone. A RUN is a folder or the name of one in
    results/runs.
    """
    from bench.cli.console import show
    from bench.report import outlook
    from bench.stats.power import FEWEST

    rows, seeds = options["rows"] or [2_000, 20_000], options["seeds"] or [3, 5]
    for flag, values, least in (("--rows", rows, 1), ("--seeds", seeds, FEWEST)):
        if min(values) < least:
            why = ": one seed has no interval and no test" if flag == "--seeds" else ""
            raise click.UsageError(f"{flag} {min(values)}: at least {least}{why}")
    difference = options["difference"]
    if difference is not None and not 0 < difference < 100:
        raise click.UsageError(f"--difference {difference:g}: points above 0 and below 100")
    if bool(runs) == (options["disagreement"] is not None):
        raise click.UsageError("give RUN, the folder of pilot cells, or else --disagreement")
    if runs:
        if options["seed_sd"] is not None:
            raise click.UsageError("--seed-sd goes with --disagreement: a RUN shows its own")
        pilots = [pilot for run in runs for pilot in _of_run(run, options)]
    else:
        pilots = [_of_disagreement(options, difference)]
    share = None if difference is None else difference / 100
    asked = (pilots, rows, seeds, outlook.Aims(chance, alpha, share))
    if options["as_json"]:
        click.echo(json.dumps(outlook.tree(*asked), indent=2))
    else:
        show(*outlook.tables(*asked))


def _of_run(run: str, options: dict[str, Any]) -> Iterator[Pilot]:
    """The pilots of a run; a UserError tells of a task that it has not, or of nothing at all."""
    from bench.records.results import load
    from bench.records.store import Store
    from bench.report.files import find
    from bench.report.inputs import RunInputs
    from bench.report.pilots import pilots
    from reaugkd.errors import UserError
    from reaugkd.tasks import spelled

    inputs = RunInputs(load(Store(find(run))), options["baseline"])
    wanted = options["task"]
    if wanted is not None:
        wanted = spelled(wanted, dict.fromkeys(task for task, *_ in inputs.examples.columns))
    found = pilots(inputs, wanted)
    if not found:
        raise UserError(f"{run}: no two methods, and none with retrieval, to be compared")
    yield from found


def _of_disagreement(options: dict[str, Any], difference: float | None) -> Pilot:
    from bench.report.pilots import Pilot
    from bench.report.table import EMPTY
    from bench.stats.power import of_disagreement

    percent = options["disagreement"]
    try:
        spread = of_disagreement(
            percent / 100, (difference or 0.0) / 100, (options["seed_sd"] or 0.0) / 100
        )
    except ValueError as error:
        raise click.UsageError(
            f"--disagreement {percent:g}: percent of the rows, from --difference to 100"
        ) from error
    arms = ("one", "one", "other")
    return Pilot("", EMPTY, "accuracy", *arms, disagreement=percent / 100, spread=spread)
