"""Sections that are not ported yet, as parts of a report on frames. To be deleted with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.report import document, legacy_pictures, measured, run_settings
from bench.report.build import MINI, Part, Report, parts
from bench.report.charts import differences
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
        """Whether there is anything to see."""
        return bool(self.fixed or self.pictures)


def run(inputs: RunInputs) -> Report:
    """The report of a run."""
    old = document.build(inputs.results, baseline=inputs.baseline)
    results = inputs.results
    plans = [cell.plan for cell in results.cells]
    return _report(
        old,
        parts(OF_A_RUN, inputs, mini=inputs.mini),
        legacy_pictures.of_run(inputs, old),
        mini=inputs.mini,
        methods=tuple(dict.fromkeys(plan.method for plan in plans)),
        backends={results.index_name(p): p.backend for p in plans if p.backend},
    )


def of_measurements(inputs: MeasuredInputs) -> Report:
    """The report of a folder of measurements."""
    old = measured.build(inputs.measurements, inputs.kinds)
    pictures = legacy_pictures.of_measurements(inputs)
    return _report(old, parts(OF_MEASUREMENTS, inputs), pictures)


def of_runs(old: document.Report) -> Report:
    """The report of a comparison of runs, for the page."""
    compared = next((section for section in old.sections if section.name == "comparisons"), None)
    records = [one for one in compared.records if hasattr(one, "verdict")] if compared else []
    frame = typed({**asdict(one), "outcome": one.verdict} for one in records)
    return _report(old, (), {"comparisons": tuple(differences.between_runs(frame))})


def _report(
    old: document.Report,
    new: Sequence[Part],
    pictures: legacy_pictures.Pictures,
    *,
    mini: bool = False,
    **more: Any,
) -> Report:
    keys = {part.section.name.replace("-", "_") for part in new if part.section.data}
    made: list[Part] = []
    for section in old.sections:
        own = [part for part in new if part.section.heading == section.name]
        made += [*own, *_legacy(section, own, pictures, mini=mini)]
    for name, title in (("curves", "Training curves"), ("settings", "Settings")):
        tables = run_settings.tables(old.data) if name == "settings" else ()
        section = OldSection(name, title, tables, about=name == "settings")
        there = any(part.section.name == name for part in made) or not (tables or name in pictures)
        made += [] if there else _legacy(section, (), pictures, mini=mini)
    made += [part for part in new if part not in made]
    made.sort(key=lambda part: part.section.about)
    about = {name: value for name, value in old.data.items() if name not in keys}
    return Report(old.title, old.headline, old.lead, tuple(made), about, **more)


def _legacy(
    section: OldSection,
    ported: Sequence[Part],
    pictures: legacy_pictures.Pictures,
    *,
    mini: bool,
) -> Iterator[Part]:
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
            page_only=section.name == "settings",
        )
        shown = () if ported else pictures.get(section.name, ())
        part = LegacyPart(stub, frame, (), shown, fixed=tables)
        yield part.titled(f" {MINI}") if mini and not section.about else part
