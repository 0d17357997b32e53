"""Measurements beside a run: their sections join its report."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from bench.report.document import Report
from bench.report.section import Section


def join(report: Report, others: Iterable[tuple[str, Report]]) -> Report:
    """``report`` with the sections, sentences and data of ``others``.

    Sections with figures come before what is about the run. A section whose name is taken gets
    that of its folder behind it.

    Args:
        report: the run's.
        others: (name of the folder, its report).
    """
    found = list(others)
    if not found:
        return report
    sections = {section.name: section for section in report.sections}
    for folder, other in found:
        for section in other.sections:
            named = _named(section, folder, sections.keys())
            sections[named.name] = named
    ordered = sorted(sections.values(), key=lambda section: section.about)
    return replace(
        report,
        lead=(*report.lead, *(f"{folder}: {line}" for folder, one in found for line in one.lead)),
        sections=tuple(ordered),
        data=report.data | {"measured": {folder: one.data for folder, one in found}},
        headline=(*report.headline, *(line for _, one in found for line in one.headline)),
    )


def _named(section: Section, folder: str, taken: Iterable[str]) -> Section:
    if section.name not in (names := set(taken)):
        return section
    slug = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-") or "other"
    name, number = f"{section.name}-{slug}", 2
    while name in names:
        name, number = f"{section.name}-{slug}-{number}", number + 1
    tables = tuple(replace(table, title=f"{table.title}: {folder}") for table in section.tables)
    figures = tuple(
        replace(one, name=f"{one.name}{name.removeprefix(section.name)}") for one in section.figures
    )
    title = f"{section.title}: {folder}"
    return replace(section, name=name, title=title, tables=tables, figures=figures)
