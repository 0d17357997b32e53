"""A folder of measurements as a report: latency, memory and the history of the gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.measure.gate import BUSY
from bench.records.measurement import LatencyRecord
from bench.records.measurements import Kind, Measured, Measurements, PlanFile
from bench.records.store import Problem, StoreError
from bench.report import claim, flat, memory, origin
from bench.report.document import Report
from bench.report.figure import Figure
from bench.report.figures.gate import gate_history
from bench.report.figures.overhead import overhead
from bench.report.figures.recall import recall_by_added_time
from bench.report.frame import rows
from bench.report.inputs import MeasuredInputs
from bench.report.render import data, markdown
from bench.report.section import Section as OnFrames
from bench.report.sectioned import Section
from bench.report.sections import cells, gate, latency, provenance

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
    inputs = MeasuredInputs(measurements, kinds)
    warnings = [*origin.warnings(inputs.facts), *_busy(inputs.latency)] if inputs.records else []
    lead = (
        *_lead(measurements, inputs.records, kinds),
        *(f"Warning: {text}" for text in warnings),
    )
    headline = tuple(claim.headline(inputs.frame(latency.SECTION)))
    title = measurements.folder.resolve().name
    data = {
        "schema_version": SCHEMA,
        "folder": title,
        "headline": headline,
        "lead": lead,
        "plans": [plan.model_dump(mode="json") for plan in inputs.plans],
        "latency": inputs.latency,
        "memory": inputs.memory,
        "gate": inputs.past,
        "unusable_files": [{"file": p.path.name, "reason": p.reason} for p in inputs.problems],
        "provenance": inputs.facts,
    }
    return Report(title, lead, tuple(_sections(inputs)), [], flat.plain(data), headline)


def _sections(inputs: MeasuredInputs) -> Iterator[Section]:
    timed, weighed, past = inputs.latency, inputs.memory, inputs.past
    if timed:
        lines = rows(inputs.frame(latency.SECTION))
        pictures = (overhead(lines), recall_by_added_time(lines))
        yield _ported(inputs, latency.SECTION, pictures, timed)
    if weighed:
        tables = (memory.table(weighed),)
        yield Section("memory", memory.TITLE, tables, records=tuple(weighed))
    if past:
        yield _ported(inputs, gate.SECTION, (gate_history(past),), past)
    if inputs.problems:
        yield _ported(inputs, cells.FILES)
    if timed or weighed:
        yield _ported(inputs, provenance.SECTION)


def _ported(
    inputs: MeasuredInputs,
    section: OnFrames[MeasuredInputs],
    pictures: Sequence[Figure | None] = (),
    records: Sequence[Any] = (),
) -> Section:
    """A section on frames, as the old page wants it."""
    frame = inputs.frame(section)
    tables = tuple(view.table(frame) for view in section.views(frame, inputs))
    shown = tuple(one for one in pictures if one is not None)
    heading = section.heading
    return Section(heading, section.title, tables, shown, tuple(records), section.about)


def write(report: Report, measurements: Measurements, folder: Path, name: str) -> list[Path]:
    """Write ``<name>.md``, and the CSV of each kind there is.

    Raises:
        StoreError: if the folder cannot be written.
    """
    texts = {f"{name}.md": markdown.render(report)}
    timed = MeasuredInputs(measurements).frame(latency.SECTION)
    weighed = measurements.memory()
    if len(timed):
        texts["latency.csv"] = data.as_csv(latency.tidy(timed))
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
