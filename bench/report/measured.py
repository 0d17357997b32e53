"""A folder of measurements as a report: latency, memory and the history of the gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from bench.measure import history
from bench.measure.gate import BUSY
from bench.records.measurement import LatencyRecord, MemoryRecord
from bench.records.measurements import Kind, Measured, Measurements, PlanFile
from bench.records.store import Problem, StoreError
from bench.report import flat, latency, markdown, memory, origin, verdicts
from bench.report import history as courses
from bench.report.document import Report
from bench.report.figures.gate import gate_history
from bench.report.figures.overhead import overhead
from bench.report.figures.recall import recall_by_added_time
from bench.report.section import Section
from bench.report.status import file_table

SCHEMA = 1
"""Of the JSON file."""

HISTORY = "history.jsonl"
"""Where ``bench gate --history`` may put its history for ``bench report`` to find."""


def build(measurements: Measurements, kinds: Sequence[Kind] = ("latency", "memory")) -> Report:
    """The report of everything below a folder, finished or not.

    Args:
        measurements: the folder.
        kinds: which records to show.
    """
    found, problems = measurements.records()
    records = [record for record in found if record.kind in kinds]
    timed = latency.ordered([one for one in records if isinstance(one, LatencyRecord)])
    weighed = [record for record in records if isinstance(record, MemoryRecord)]
    past, unread = _history(measurements.folder / HISTORY)
    problems += unread
    facts = _facts(records)
    warnings = [*origin.warnings(facts), *_busy(timed)] if records else []
    lead = (*_lead(measurements, records, kinds), *(f"Warning: {text}" for text in warnings))
    headline = tuple(verdicts.headline(timed))
    return Report(
        title=measurements.folder.resolve().name,
        lead=lead,
        sections=tuple(_sections(timed, weighed, past, problems, facts)),
        rows=[],
        data=flat.plain(
            {
                "schema_version": SCHEMA,
                "folder": measurements.folder.resolve().name,
                "headline": headline,
                "lead": lead,
                "plans": [
                    plan.model_dump(mode="json")
                    for kind in kinds
                    if isinstance(plan := measurements.read_plan(kind), PlanFile)
                ],
                "latency": timed,
                "memory": weighed,
                "gate": past,
                "unusable_files": [{"file": p.path.name, "reason": p.reason} for p in problems],
                "provenance": facts,
            }
        ),
        headline=headline,
    )


def _history(path: Path) -> tuple[tuple[history.HistoryEntry, ...], list[Problem]]:
    """The entries of a history, none if there is none, and what of it cannot be used."""
    if not path.is_file():
        return (), []
    try:
        past = history.read(path)
    except history.HistoryError as error:
        return (), [Problem(path, str(error))]
    return past.entries, list(past.problems)


def _sections(
    timed: Sequence[LatencyRecord],
    weighed: Sequence[MemoryRecord],
    past: Sequence[history.HistoryEntry],
    problems: Sequence[Problem],
    facts: origin.Facts,
) -> Iterator[Section]:
    if timed:
        tables = (*latency.matrices(timed), latency.table(timed))
        pictures = (overhead(timed), recall_by_added_time(timed))
        shown = tuple(one for one in pictures if one is not None)
        yield Section("latency", latency.TITLE, tables, shown, tuple(timed))
    if weighed:
        yield Section("memory", memory.TITLE, (memory.table(weighed),), records=tuple(weighed))
    if past:
        course = gate_history(past)
        drawn = () if course is None else (course,)
        yield Section("gate", courses.TITLE, (courses.table(past),), drawn, tuple(past))
    if unusable := file_table(tuple(problems)):
        yield Section("cells", "Cells", (unusable,), about=True)
    if timed or weighed:
        yield Section("provenance", "Provenance", (origin.origin_table(facts),), about=True)


def write(report: Report, measurements: Measurements, folder: Path, name: str) -> list[Path]:
    """Write ``<name>.md``, and the CSV of each kind there is.

    Raises:
        StoreError: if the folder cannot be written.
    """
    texts = {f"{name}.md": markdown.render(report)}
    timed, weighed = measurements.latency(), measurements.memory()
    if timed:
        texts["latency.csv"] = latency.as_csv(timed)
    if weighed and name != "latency":
        texts["memory.csv"] = memory.as_csv(weighed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write the report to {folder}: {error.strerror}") from error
    return [folder / file for file in texts]


def _lead(
    measurements: Measurements, records: Sequence[Measured], kinds: Sequence[Kind]
) -> Iterator[str]:
    there = {record.key: record.status for record in records}
    for kind in kinds:
        plan = measurements.read_plan(kind)
        if isinstance(plan, Problem):
            yield f"Warning: {plan.path.name} is passed over: {plan.reason}."
        if not isinstance(plan, PlanFile):
            continue
        done = sum(there.get(key) == "ok" for key in plan.cells)
        counted = f"{kind.capitalize()}: {done} of {len(plan.cells)} cells measured"
        yield f"{counted} by `{plan.command}`."
        missing = [label for key, label in plan.cells.items() if key not in there]
        if missing:
            yield f"Not measured yet: {'; '.join(missing)}."
        others = sum(r.kind == kind and r.key not in plan.cells for r in records)
        if others:
            yield f"{others} cells here are of other plans than the last."


def _facts(records: Sequence[Measured]) -> origin.Facts:
    """Provenance; threads are an axis here, so that several are no mixture of machines."""
    # Only the provenance of a record is read there, which all kinds of records have.
    facts = origin.facts(cast(Any, records))
    facts["threads"] = [", ".join(facts["threads"])] if records else []
    return facts


def _busy(records: Sequence[LatencyRecord]) -> Iterator[str]:
    loads = [
        (environment.load_before[0], record.cell.threads)
        for record in records
        if record.result is not None
        for environment in record.result.environments
    ]
    over = [load for load, threads in loads if load > threads + BUSY]
    if over:
        yield (
            f"{len(over)} of {len(loads)} processes began on a busy machine (load up to "
            f"{max(over):.1f}): measure again with --overwrite always when nothing else runs."
        )
