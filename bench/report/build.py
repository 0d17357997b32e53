"""Reports: a headline, what is said above the tables, and the sections with their frames.

A section is computed whole (:meth:`ReportInputs.frame`), then shown: its views and pictures are
made from the whole frame, and :mod:`bench.report.select` chooses among rows afterwards. A report of
measurements may be joined to that of a run: its sections then stand beside those of the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bench.report import headline
from bench.report import lead as leads
from bench.report.document import Part, Report
from bench.report.inputs import MeasuredInputs, ReportInputs, RunInputs
from bench.report.names import Names
from bench.report.section import Section
from bench.report.sections import OF_A_RUN, OF_MEASUREMENTS, latency, settings

SCHEMA = 1
"""Of the JSON file."""

MINI = "(mini tasks are generated, not GLUE)"

InputsT = TypeVar("InputsT", bound=ReportInputs)


def of_run(inputs: RunInputs) -> Report:
    """The report of a run, finished or not."""
    results = inputs.results
    sections = parts(OF_A_RUN, inputs, mini=inputs.mini)
    missing = sum(cell.status == "missing" for cell in results.cells)
    frames = {part.section.name: part.frame for part in sections}
    sentences = headline.of_run(frames, inputs.baseline, missing)
    if sentences and inputs.mini:
        sentences = (*sentences, leads.NOT_GLUE)
    lead = tuple(leads.of_run(inputs))
    plans = [cell.plan for cell in results.cells]
    return Report(
        title=results.folder.resolve().name,
        headline=sentences,
        lead=lead,
        parts=sections,
        about={
            "run": {name: value for name, value in results.run.items() if name != "cells"},
            "baseline": inputs.baseline,
            "settings": settings.of_methods(results),
            **_about(inputs, sentences, lead),
        },
        methods=tuple(dict.fromkeys(plan.method for plan in plans)),
        backends={results.index_name(plan): plan.backend for plan in plans if plan.backend},
        unfinished=missing > 0,
    )


def of_measurements(inputs: MeasuredInputs) -> Report:
    """The report of a folder of measurements, finished or not."""
    sentences = tuple(headline.of_latency(inputs.frame(latency.SECTION)))
    lead = tuple(leads.of_measurements(inputs))
    title, keys = inputs.folder.resolve().name, {record.key for record in inputs.records}
    return Report(
        title=title,
        headline=sentences,
        lead=lead,
        parts=parts(OF_MEASUREMENTS, inputs),
        about={
            "folder": title,
            "plans": [plan.model_dump(mode="json") for plan in inputs.plans],
            **_about(inputs, sentences, lead),
        },
        unfinished=any(key not in keys for plan in inputs.plans for key in plan.cells),
    )


def _about(
    inputs: RunInputs | MeasuredInputs, sentences: Sequence[str], lead: Sequence[str]
) -> dict[str, Any]:
    said = {"headline": sentences, "lead": lead}
    return {"schema_version": SCHEMA, **said, "provenance": inputs.facts}


def parts(
    sections: Iterable[Section[InputsT]], inputs: InputsT, *, mini: bool = False
) -> tuple[Part, ...]:
    """Every section of some inputs; with ``mini``, titles say that tasks are generated."""
    shown = []
    for section in sections:
        frame = inputs.frame(section)
        views, pictures = section.views(frame, inputs), section.pictures(frame, inputs)
        part = Part(section, frame, tuple(views), tuple(pictures))
        shown.append(part.titled(f" {MINI}") if mini and not section.about else part)
    return tuple(shown)


def join(report: Report, others: Sequence[tuple[str, Report]]) -> Report:
    """``report`` with the sections of the others; those about the runs still come last.

    Sections of one name become one. Their tables and pictures then say of which folder they are,
    and so does all that is about a folder.

    Args:
        report: of a run or of measurements.
        others: name and report of each folder of measurements; of one name, they get numbers.
    """
    if not others:
        return report
    seen: Counter[str] = Counter()
    named = []
    for name, other in others:
        seen[name] += 1
        named.append((name if seen[name] == 1 else f"{name} ({seen[name]})", other))
    joined = list(report.parts)
    everyone = [*joined, *(part for _, other in named for part in other.parts)]
    times = Counter(part.section.name for part in everyone if part.shown)
    names = Names(taken=(picture.name for part in joined for picture in part.pictures))
    for name, other in named:
        for part in other.parts:
            part = replace(part, folder=name)
            if times[part.section.name] > 1 or part.section.about:
                part = part.titled(f", {name}")
                renamed = [
                    replace(picture, name=names.of(f"{picture.name}-{name}"))
                    for picture in part.pictures
                ]
                part = replace(part, pictures=tuple(renamed))
            joined.append(part)
    headings = list(dict.fromkeys(part.section.heading for part in joined))
    joined.sort(key=lambda part: (part.section.about, headings.index(part.section.heading)))
    return replace(
        report,
        headline=(*report.headline, *(line for _, other in named for line in other.headline)),
        lead=(*report.lead, *(f"{name}: {line}" for name, other in named for line in other.lead)),
        parts=tuple(joined),
        measured=tuple(named),
        unfinished=report.unfinished or any(other.unfinished for _, other in named),
    )
