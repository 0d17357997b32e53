"""Sections that are not ported yet, as parts of a report on frames. To be deleted with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.report.build import Part, Report
from bench.report.frame import typed
from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import Picture, Section
from bench.report.sectioned import Section as OldSection
from bench.report.table import Table

if TYPE_CHECKING:
    from bench.report import document

ABOUT = {
    "schema_version", "run", "headline", "lead", "baseline", "settings", "unusable_files",
    "provenance", "plans", "folder", "rows",
}  # fmt: skip


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

    def titled(self, what: str) -> LegacyPart:
        """The part with ``what`` behind every title."""
        fixed = tuple(replace(one, title=f"{one.title}{what}") for one in self.fixed)
        pictures = tuple(replace(one, title=f"{one.title}{what}") for one in self.pictures)
        return replace(self, fixed=fixed, pictures=pictures)


def completed(new: tuple[Part, ...], inputs: RunInputs | MeasuredInputs) -> tuple[Part, ...]:
    """The new parts with those that are still made as strings."""
    from bench.report import document, legacy_pictures, measured

    if isinstance(inputs, RunInputs):
        old = document.build(inputs.results, baseline=inputs.baseline)
        pictures = legacy_pictures.of_run(inputs, old)
    else:
        old = measured.build(inputs.measurements, inputs.kinds)
        pictures = legacy_pictures.of_measurements(inputs)
    return _completed(new, old, pictures)


def of_runs(old: document.Report) -> Report:
    """The report of a comparison of runs, for the page."""
    from bench.report.charts import differences

    compared = next((section for section in old.sections if section.name == "comparisons"), None)
    records = [one for one in compared.records if hasattr(one, "verdict")] if compared else []
    frame = typed({**asdict(one), "outcome": one.verdict} for one in records)
    parts = _completed((), old, {"comparisons": tuple(differences.between_runs(frame))})
    return Report(old.title, old.headline, old.lead, parts)


def _completed(
    new: tuple[Part, ...], old: document.Report, pictures: Mapping[str, tuple[Picture, ...]]
) -> tuple[Part, ...]:
    from bench.report import run_settings

    names = {part.section.name for part in new}
    made: list[Part] = []
    for section in old.sections:
        own = [part for part in new if part.section.heading == section.name]
        made += [*own, *_legacy(section, own, pictures)]
    for name, title in (("curves", "Training curves"), ("settings", "Settings")):
        tables = run_settings.tables(old.data) if name == "settings" else ()
        section = OldSection(name, title, tables, about=name == "settings")
        there = any(part.section.name == name for part in made) or not (tables or name in pictures)
        made += [] if there else _legacy(section, (), pictures)
    made += [part for part in new if part not in made]
    names |= {part.section.name for part in made}
    for name, rows in old.data.items():
        dashed = name.replace("_", "-")
        if name not in ABOUT and dashed not in names:
            stub: Section[Any] = Section(dashed, dashed, lambda _: typed(()))
            made.append(LegacyPart(stub, typed(rows), ()))
    made.sort(key=_about)
    return tuple(made)


def _about(part: Part) -> bool:
    return part.section.about


def _latency(records: Sequence[Any]) -> Callable[[Any], Any]:
    """The rows of ``latency.csv`` as the text that the old code makes."""
    import io

    import pandas

    from bench.report import latency

    text = latency.as_csv(list(records))
    return lambda _: pandas.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def _legacy(
    section: OldSection, ported: Sequence[Part], pictures: Mapping[str, tuple[Picture, ...]]
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
            tidy=("latency.csv", _latency(section.records)) if section.name == "latency" else None,
        )
        shown = () if ported else pictures.get(section.name, ())
        yield LegacyPart(stub, frame, (), shown, fixed=tables)
