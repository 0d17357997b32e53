"""The picture that needs both a run and measurements: the score against the added time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.records.measurement import LatencyRecord
from bench.report.document import Report
from bench.report.figures.tradeoff import accuracy_by_added_time


def with_added_time(report: Report) -> Report:
    """``report`` with the score against the added time, where its records have both."""
    figure = accuracy_by_added_time(
        _of(report, "retrieval"), _measured(report), _of(report, "scores")
    )
    if figure is None:
        return report
    sections = tuple(
        replace(one, figures=(*one.figures, figure)) if one.name == "ann" else one
        for one in report.sections
    )
    return replace(report, sections=sections)


def _of(report: Report, name: str) -> list[Any]:
    return [one for section in report.sections if section.name == name for one in section.records]


def _measured(report: Report) -> list[LatencyRecord]:
    records = [one for section in report.sections for one in section.records]
    return [one for one in records if isinstance(one, LatencyRecord)]
