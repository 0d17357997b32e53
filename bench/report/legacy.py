"""Sections that are not ported yet, as parts of a report on frames. To be deleted with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.report import document, measured
from bench.report.build import Part, Report, parts
from bench.report.forest import forest
from bench.report.frame import plain, rows, typed
from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import Section
from bench.report.sectioned import Section as OldSection
from bench.report.sections import OF_A_RUN, OF_MEASUREMENTS
from bench.report.table import Table


@dataclass(frozen=True, eq=False)
class LegacyPart(Part):
    """Tables of strings with the records behind them."""

    fixed: tuple[Table, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """What the old code rendered."""
        return self.fixed

    @property
    def shown(self) -> bool:
        """Whether there is a table."""
        return bool(self.fixed)


def run(inputs: RunInputs) -> Report:
    """The report of a run."""
    old = document.build(inputs.results, baseline=inputs.baseline)
    results = inputs.results
    plans = [cell.plan for cell in results.cells]
    return _report(
        old,
        parts(OF_A_RUN, inputs, mini=inputs.mini),
        methods=tuple(dict.fromkeys(plan.method for plan in plans)),
        backends={results.index_name(p): p.backend for p in plans if p.backend},
    )


def of_measurements(inputs: MeasuredInputs) -> Report:
    """The report of a folder of measurements."""
    old = measured.build(inputs.measurements, inputs.kinds)
    return _report(old, parts(OF_MEASUREMENTS, inputs))


def of_comparison(report: Report) -> document.Report:
    """The report of ``bench compare`` as the old page wants it."""
    sections: dict[str, OldSection] = {}
    for part in report.shown:
        pictures = [forest(rows(part.frame))] if part.section.name == "comparisons" else []
        section = OldSection(
            part.section.heading,
            part.section.title,
            part.tables,
            tuple(one for one in pictures if one is not None),
            about=part.section.about,
        )
        first = sections.setdefault(section.name, section)
        if first is not section:
            tables = (*first.tables, *section.tables)
            sections[section.name] = replace(first, tables=tables)
    about = plain(dict(report.about))
    shown = tuple(sections.values())
    return document.Report(report.title, report.lead, shown, [], about, report.headline)


def _report(old: document.Report, new: Sequence[Part], **more: Any) -> Report:
    keys = {part.section.name.replace("-", "_") for part in new if part.section.data}
    made: list[Part] = []
    for section in old.sections:
        own = [part for part in new if part.section.heading == section.name]
        made += [*own, *_legacy(section, own)]
    made += [part for part in new if part not in made]
    made.sort(key=lambda part: part.section.about)
    about = {name: value for name, value in old.data.items() if name not in keys}
    return Report(old.title, old.headline, old.lead, tuple(made), about, **more)


def _legacy(section: OldSection, ported: Sequence[Part]) -> Iterator[Part]:
    titles = {view.title for part in ported for view in part.views}
    tables = tuple(table for table in section.tables if table.title not in titles)
    if tables or not ported:
        frame = typed(() if ported else section.records)
        stub: Section[Any] = Section(
            f"{section.name}-more" if ported else section.name,
            section.title,
            lambda _: frame,
            under=section.name,
            about=section.about,
            data=bool(section.records) and not ported,
        )
        yield LegacyPart(stub, frame, (), fixed=tables)
