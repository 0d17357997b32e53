"""``bench gate``: does the overhead of retrieval stay below a limit? The exit code says so."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bench.cli import measuring
from bench.cli.command import command
from bench.cli.options import UserPath
from reaugkd.errors import UserError

if TYPE_CHECKING:
    from bench.measure.gate import GateCells
    from bench.measure.options import Options
    from bench.records.measurement import LatencyRecord

ERROR, INTERRUPTED = 2, 130

OWN = ("max_overhead", "time_budget", "overwrite", "out")
"""Shared flags that mean something else here."""

EXAMPLES = """
\b
Examples:
  bench gate --time-budget 900
  bench gate --bases mrpc,sst2 --ann exact,hnswlib --batch 1,32 --max-overhead 3%
  bench gate --bases glue --condense kmeans:256 --ann exact --batch 1,32
  bench gate --bases mrpc --time-budget 120 --on-undecided pass --summary "$GITHUB_STEP_SUMMARY"
  bench gate results/runs/nightly --json gate.json --junit gate.xml --history history.jsonl

\b
Exit codes (docs/gate.md); with several causes, the first of 1, 2, 3, 0:
  0  holds: every interval ends at or below the limit
  1  fails: the whole interval of a cell is above the limit
  2  a mistake, or something was not measured
  3  undecided: the limit lies inside an interval
"""


MEASURING = [
    parameter
    for parameter in measuring.flags(*measuring.CASE, *measuring.TIMED)(click.Command("")).params
    if parameter.name not in OWN
]

_FILE = UserPath()


@click.command(
    epilog=EXAMPLES,
    params=[click.Argument(["folder"], required=False, type=_FILE), *MEASURING],
)
@click.option("--out", type=_FILE, help="keep the measurements there; else they are dropped")
@measuring.MAX_OVERHEAD
@click.option(
    "--time-budget",
    default=300.0,
    show_default=True,
    help="seconds of measuring, divided among the cells",
)
@click.option(
    "--on-undecided",
    type=click.Choice(["fail", "pass"]),
    default="fail",
    show_default=True,
    help="whether undecided cells end with 3, or pass",
)
@click.option("--json", type=_FILE, help="everything, as JSON")
@click.option("--junit", type=_FILE, help="JUnit XML, one test case per cell")
@click.option("--summary", type=_FILE, help="a Markdown table, appended")
@click.option("--history", type=_FILE, help="JSON lines, one per cell, appended")
@click.pass_context
def gate(context: click.Context, /, folder: Path | None, **values: Any) -> int:
    """Judge latency cells by a limit: those of a FOLDER of `bench latency`, or measured here.

    Prints one line per cell, the answer last. What is measured here is measured anew, whatever
    was measured before; indexes come from the cache. Without a base, a backend or another axis of
    the cells it measures a few whole bases and a condensed one (docs/gate.md).
    """
    try:
        return _gate(context, folder, values)
    except (UserError, click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except KeyboardInterrupt:
        click.echo("error: interrupted, nothing is decided", err=True)
        return INTERRUPTED
    except Exception:  # noqa: BLE001  Python's own exit code is 1, which here means: fails
        traceback.print_exc()
        return ERROR


def _gate(context: click.Context, folder: Path | None, values: dict[str, Any]) -> int:
    from bench.cli import gate_files
    from bench.measure.gate import decide, judge, read
    from bench.measure.options import share
    from bench.records import provenance
    from bench.report.gate import line, verdict

    given = values["max_overhead"]
    limit = None if given is None else share(given)
    _one_source(context, folder)
    names = ("history", "json", "junit", "summary")  # a history that fails leaves no answer
    paths = {name: values[name] for name in names if values[name] is not None}
    for problem in gate_files.start(paths).problems:
        click.echo(f"{problem.path}: {problem.reason}, passed over", err=True)

    def show(record: LatencyRecord) -> None:
        click.echo(line(judge(record, limit)))

    cells = _measure(context, values, show) if folder is None else read(folder)
    tree, _ = provenance.source_state()
    outcome = decide(
        cells.records, cells.problems, limit, values["on_undecided"], tree, cells.notes
    )
    gate_files.write(paths, outcome, _call())
    for record in cells.records if folder is not None else ():  # else they were shown one by one
        show(record)
    for problem in cells.problems:
        click.echo(f"{problem.path}: {' '.join(problem.reason.split())}", err=True)
    click.echo(verdict(outcome))
    return outcome.code


def _one_source(context: click.Context, folder: Path | None) -> None:
    """Raise if there is a folder and something to measure as well."""
    only = {*(parameter.name for parameter in MEASURING), "out", "time_budget"}
    for parameter in context.command.params:
        name = parameter.name or ""
        if folder is not None and name in only and _typed(context, name):
            flag = parameter.opts[0]
            raise UserError(f"{flag} is for measuring, FOLDER {folder} is measured: give one")


def _typed(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _parts(context: click.Context, values: dict[str, Any]) -> tuple[list[Options], list[str]]:
    """What the flags ask for or, where they do not say what to measure, what is watched; notes."""
    from bench.measure import watched

    if any(_typed(context, name) for name in watched.AXES):
        return [measuring.options(values)], []
    parts, notes = watched.parts()
    return [measuring.options(values | part) for part in parts], notes


def _measure(
    context: click.Context, values: dict[str, Any], show: Callable[[LatencyRecord], None]
) -> GateCells:
    """Measure every cell anew, each with its share of the budget."""
    from bench.measure.gate import GateCells, missing
    from bench.records.measurements import PlanFile

    parts, notes = _parts(context, values)
    with (
        tempfile.TemporaryDirectory(prefix="reaugkd-gate-") as folder,
        measuring.session() as reporter,
    ):
        places = {"out": values["out"] or Path(folder, "cells"), "overwrite": "always"}
        meters = [measuring.meter("latency", values | places, part, reporter) for part in parts]
        labels = {plan.key: plan.label for meter in meters for plan in meter.plan()}
        records: list[LatencyRecord] = []
        for meter in meters:
            budget = meter.options.budget / max(1, len(labels))
            meter.options = meter.options.model_copy(update={"budget": budget})
            records += meter.run(lambda done: show(done.record))
        measurements = meters[0].measurements  # all of one folder, whose plan is that of all
        plan = PlanFile(kind="latency", command=command(), cells=labels)
        measurements.write_plan(plan)
        for record in records:
            labels.pop(record.key, None)
        return GateCells(records, missing(measurements, labels), notes)


def _call() -> dict[str, Any]:
    """This call, as the JSON file tells it."""
    from datetime import UTC, datetime
    from os import cpu_count

    from bench.records import provenance
    from reaugkd import __version__

    commit, dirty = provenance.source_state()
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(),
        "version": __version__,
        "commit": commit,
        "dirty": dirty,
        "cpu": provenance.cpu()[0],
        "cores": cpu_count() or 1,
    }
