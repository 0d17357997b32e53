"""A folder of measurements as a report: latency, memory and the history of the gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from bench.measure import history
from bench.measure.gate import BUSY
from bench.measure.record import LatencyRecord
from bench.measure.results import Kind, Measured, Measurements, PlanFile
from bench.report import history as courses
from bench.report import latency, markdown, memory, origin
from bench.report.document import Report
from bench.report.section import Section
from bench.report.status import file_table
from bench.store import Problem, StoreError

HISTORY = "history.jsonl"
"""Where ``bench gate --history`` may put its history for ``bench report`` to find."""


def build(measurements: Measurements, kinds: Sequence[Kind] = ("latency", "memory")) -> Report:
    """The report of everything below a folder, finished or not.

    Args:
        measurements: the folder.
        kinds: which records to show.
    """
    found, problems = measurements.read()
    records = [record for record in found if record.kind in kinds]
    timed = [record for record in records if isinstance(record, LatencyRecord)]
    weighed = [record for record in records if not isinstance(record, LatencyRecord)]
    sections = []
    if timed:
        tables = (*latency.matrices(timed), latency.table(timed))
        sections.append(Section("latency", latency.TITLE, tables))
    if weighed:
        sections.append(Section("memory", memory.TITLE, (memory.table(weighed),)))
    if (measurements.folder / HISTORY).is_file():
        try:
            past = history.read(measurements.folder / HISTORY)
        except history.HistoryError as error:
            problems.append(Problem(measurements.folder / HISTORY, str(error)))
        else:
            sections.append(Section("gate", courses.TITLE, (courses.table(past.entries),)))
            problems += past.problems
    facts = _facts(records)
    if unusable := file_table(tuple(problems)):
        sections.append(Section("cells", "Cells", (unusable,), about=True))
    if records:
        where = (origin.origin_table(facts),)
        sections.append(Section("provenance", "Provenance", where, about=True))
    warnings = [*origin.warnings(facts), *_busy(timed)] if records else []
    return Report(
        title=measurements.folder.resolve().name,
        lead=(*_lead(measurements, records, kinds), *(f"Warning: {text}" for text in warnings)),
        sections=tuple(sections),
        rows=[],
        data={},
    )


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
