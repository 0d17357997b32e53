"""The whole report: what is said above the tables, the tables, and the same as data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.records.run import Record
from bench.report import contents, headline, run_settings, tidy
from bench.report import lead as leads
from bench.report.frame import typed
from bench.report.inputs import RunInputs
from bench.report.lead import NOT_GLUE as NOT_GLUE
from bench.report.results import Results
from bench.report.sectioned import Section
from bench.report.table import Table

SCHEMA = 1


@dataclass(frozen=True)
class Report:
    """A run's report.

    Attributes:
        title: names the run.
        lead: sentences above the sections.
        sections: in the order they are shown.
        rows: every score, for CSV.
        data: all of it as plain JSON.
        headline: what was found, in a few sentences, before everything else.
    """

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    rows: list[tidy.Row]
    data: dict[str, Any]
    headline: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """Those of all sections."""
        return tuple(table for section in self.sections for table in section.tables)


def build(results: Results, *, baseline: str | None = None) -> Report:
    """The report of a run, finished or not.

    Args:
        results: of the run.
        baseline: the method that others are compared with; see :func:`comparisons.baseline_of`.

    Raises:
        UnknownNameError: ``baseline`` is no method of the run.
    """
    made = contents.contents(results, baseline)
    parts = contents.parts(made)
    rows = tidy.rows(results)
    lead = tuple(leads.of_run(RunInputs(results, baseline)))
    missing = sum(cell.status == "missing" for cell in results.cells)
    frames = {
        "off-on": typed(made.pairs),
        "comparisons": typed(
            {**asdict(one), "outcome": one.verdict.partition(":")[0]}
            if not one.verdict.startswith("one seed")
            else {**asdict(one), "outcome": one.verdict}
            for one in made.compared
        ),
        "over-tasks": typed(made.over),
        "effort": typed(made.efforts),
        "costs": typed(made.costs),
    }
    found = headline.of_run(frames, made.baseline, missing)
    if found and any(record.suite == "mini" for record in results.records):
        found = (*found, NOT_GLUE)
    data = {
        "schema_version": SCHEMA,
        "run": {name: value for name, value in results.run.items() if name != "cells"},
        "headline": found,
        "lead": lead,
        "baseline": made.baseline,
        **{
            part.name.replace("-", "_"): _plain(part.records)
            for part in parts
            if part.records is not None
        },
        "over_tasks": _plain(made.over),
        "selection_bias": _plain(made.biases),
        "costs": _plain(made.costs),
        "settings": run_settings.of_methods(results),
        "unusable_files": [{"file": p.path.name, "reason": p.reason} for p in made.problems],
        "provenance": made.facts,
        "rows": _plain(rows),
    }
    return Report(
        title=results.folder.resolve().name,
        lead=lead,
        sections=tuple(_section(part, made) for part in parts if part.shown),
        rows=rows,
        data=strict(data),
        headline=found,
    )


def _section(part: contents.Part, made: contents.Contents) -> Section:
    section = Section(
        name=part.name,
        title=part.title,
        tables=tuple(table for table in part.tables() if table is not None),
        records=tuple(part.records or ()),
        about=part.about,
    )
    return section if part.about else marked(section, made.results.records)


def marked(section: Section, records: Sequence[Record]) -> Section:
    """Every table with figures of the embedded suite says what they are."""
    if all(record.suite != "mini" for record in records):
        return section
    what = "(mini tasks are generated, not GLUE)"
    tables = tuple(replace(table, title=f"{table.title} {what}") for table in section.tables)
    return replace(section, tables=tables)


def _plain(found: Iterable[Any]) -> list[dict[str, Any]]:
    return [asdict(item) for item in found]


def strict(value: Any) -> Any:
    """``value`` as strict JSON: None for a float that is not finite."""
    if isinstance(value, dict):
        return {name: strict(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
