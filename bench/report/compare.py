"""Runs beside each other as a report: what differs, whether it holds, and what else differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.records.store import Problem
from bench.report import spent, unlike
from bench.report.across import (
    SAME,
    RunComparison,
    Unmatched,
    compare,
    runs,
    table,
    unmatched,
    unmatched_table,
)
from bench.report.comparisons import (
    BETTER,
    NOT_COMPARABLE,
    NOT_SHOWN,
    ONE_SEED,
    WORSE,
    interval,
    signed,
)
from bench.report.contents import by_file
from bench.report.document import NOT_GLUE, Report, marked, strict
from bench.report.results import Results
from bench.report.scores import OFF
from bench.report.sectioned import Section
from bench.report.table import Table
from bench.union import names
from reaugkd.errors import UserError

SCHEMA = 1
NOTHING = "The runs have no finished student of the same task and method: nothing to compare."


class CompareError(UserError):
    """The runs cannot be compared."""


def build(found: Sequence[Results]) -> Report:
    """The report of several runs, all of them against the first.

    Args:
        found: at least two runs, finished or not.

    Raises:
        CompareError: if there is one run only, or one comes twice.
    """
    if len(found) < 2:
        raise CompareError("give at least two runs: the others are compared with the first")
    folders = [one.folder.resolve() for one in found]
    twice = next((f for place, f in enumerate(folders) if f in folders[:place]), None)
    if twice is not None:
        raise CompareError(f"RUN {twice.name} is given twice")
    known = runs(found, names(folders))
    first = known[0].name
    compared, left = compare(known), unmatched(known)
    settings, trained, searched = (
        unlike.settings(known),
        spent.trained(known),
        spent.searched(known),
    )
    machines = unlike.machine_table(known)
    problems = [
        (run.name, problem)
        for run in known
        for problem in by_file(*run.results.problems, *run.examples.problems)
    ]
    sections = [
        _section(
            "comparisons",
            "Comparisons",
            table(compared) if compared else None,
            unmatched_table(left),
            records=(*compared, *left),
        ),
        _section("settings", "Settings", unlike.settings_table(settings, first), records=settings),
        _section(
            "effort", "Cost of training", spent.trained_table(trained, first), records=trained
        ),
        _section(
            "costs", "Cost of retrieval", spent.searched_table(searched, first), records=searched
        ),
        _section("runs", "Runs", unlike.run_table(known), machines, about=True),
        _section("cells", "Cells", _file_table(problems), about=True),
    ]
    others = ", ".join(run.name for run in known[1:])
    records = [record for run in known for record in run.results.records]
    mini = any(record.suite == "mini" for record in records)
    data = {
        "schema_version": SCHEMA,
        "runs": [{"name": run.name, "folder": str(run.results.folder)} for run in known],
        "headline": in_short(compared),
        "comparisons": [asdict(one) for one in compared],
        "only_in_one": [asdict(one) for one in left],
        "settings": [asdict(one) for one in settings],
        "effort": [asdict(one) for one in trained],
        "costs": [asdict(one) for one in searched],
        "unusable_files": [
            {"run": run, "file": one.path.name, "reason": one.reason} for run, one in problems
        ],
    }
    return Report(
        title=f"{others} against {first}",
        lead=(
            *((NOT_GLUE,) if mini else ()),
            f"Compared with {first}: {others}.",
            *_lead(machines, left),
        ),
        sections=tuple(
            section if section.about else marked(section, records)
            for section in sections
            if section.tables
        ),
        rows=[],
        data=strict(data),
        headline=in_short(compared),
    )


def in_short(compared: Sequence[RunComparison]) -> tuple[str, ...]:
    """One sentence per run: how many differences hold, and in which direction."""
    if not compared:
        return (NOTHING,)
    lines = []
    for run in dict.fromkeys(one.run for one in compared):
        own = [one for one in compared if one.run == run]
        counts = Counter(one.verdict.partition(":")[0] for one in own)
        parts = [
            f"{counts.pop(what)} {said}"
            for what, said in (
                (BETTER, BETTER),
                (WORSE, WORSE),
                (NOT_SHOWN, "without a difference shown"),
                (SAME, "with the same answers"),
                (ONE_SEED.partition(":")[0], "of one seed, which no test can be made of"),
                (NOT_COMPARABLE, NOT_COMPARABLE),
            )
            if counts[what]
        ]
        count = f"{len(own)} comparison{'s' * (len(own) > 1)}"
        head = f"{run} against {own[0].first}: {count}"
        lines.append(f"{head}: {', '.join(parts)}.{_largest(own)}")
    return tuple(lines)


def _largest(own: Sequence[RunComparison]) -> str:
    """The largest difference that holds, in a sentence; empty without one."""
    holding = [one for one in own if one.verdict in (BETTER, WORSE)]
    known = [(one, one.difference) for one in holding if one.difference]
    if not known:
        return ""
    one, difference = max(known, key=lambda pair: abs(pair[1].estimate))
    index = "" if one.retrieval == OFF else f" with {one.retrieval}"
    what = f"{signed(difference.estimate)} points {interval(difference)}"
    return f" The largest that holds: {one.title} {one.method}{index}, {what}."


def _lead(machines: Table | None, left: Sequence[Unmatched]) -> list[str]:
    lines = []
    if machines is not None:
        what = ", ".join(row[0] for row in machines.rows)
        lines.append(f"Warning: the runs were not made alike ({what} differ; see Runs).")
    if left:
        columns = "1 column is" if len(left) == 1 else f"{len(left)} columns are"
        lines.append(f"{columns} in one of two runs only and not compared.")
    return lines


def _file_table(found: Sequence[tuple[str, Problem]]) -> Table | None:
    rows = tuple((run, one.path.name, " ".join(one.reason.split())) for run, one in found)
    return Table("Unusable files", ("run", "file", "reason"), rows, 3) if rows else None


def _section(
    name: str,
    title: str,
    *tables: Table | None,
    records: Sequence[Any] = (),
    about: bool = False,
) -> Section:
    there = tuple(table for table in tables if table is not None)
    return Section(name, title, there, tuple(records), about)
