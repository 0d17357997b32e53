"""Sections that are not ported yet, as parts of a report on frames. To be deleted with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.report import document, measured
from bench.report.build import Part, Report, parts
from bench.report.frame import typed
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

    def titled(self, what: str) -> LegacyPart:
        """The part with ``what`` behind every title."""
        fixed = tuple(replace(one, title=f"{one.title}{what}") for one in self.fixed)
        return replace(self, fixed=fixed)


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
