"""Measurements beside a run: one report of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bench.report.document import Report
from bench.report.sectioned import Section


def join(report: Report, others: Sequence[tuple[str, Report]]) -> Report:
    """``report`` with the sections of the others; those about the runs still come last.

    Sections of one name become one. Their tables and pictures then say of which folder they are,
    and so does all that is about a folder.

    Args:
        report: of a run or of measurements.
        others: name and report of each folder of measurements.
    """
    if not others:
        return report
    sections = {section.name: section for section in report.sections}
    times = Counter([*sections, *(one.name for _, other in others for one in other.sections)])
    for name, other in others:
        for section in other.sections:
            told = times[section.name] > 1 or section.about
            own = _of(name, section) if told else section
            there = sections.get(section.name)
            sections[section.name] = own if there is None else _merged(there, own)
    data = {name: other.data for name, other in _distinct(others)}
    return replace(
        report,
        lead=(*report.lead, *(f"{name}: {line}" for name, other in others for line in other.lead)),
        sections=tuple(sorted(sections.values(), key=lambda section: section.about)),
        data=report.data | {"measured": data},
        headline=(*report.headline, *(line for _, other in others for line in other.headline)),
    )


def _distinct(others: Sequence[tuple[str, Report]]) -> list[tuple[str, Report]]:
    """The reports by names of their own: two folders of one name get numbers."""
    seen: Counter[str] = Counter()
    found = []
    for name, other in others:
        seen[name] += 1
        found.append((name if seen[name] == 1 else f"{name} ({seen[name]})", other))
    return found


def _of(folder: str, section: Section) -> Section:
    """The section with its folder in every title."""
    tables = tuple(replace(one, title=f"{one.title}, {folder}") for one in section.tables)
    return replace(section, tables=tables)


def _merged(one: Section, other: Section) -> Section:
    return replace(
        one,
        tables=(*one.tables, *other.tables),
        records=(*one.records, *other.records),
    )
