"""The picture that needs both a run and measurements: the score against the added time."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from bench.records.measurement import LatencyRecord
from bench.report.document import Report
from bench.report.effects import Effect
from bench.report.figures.tradeoff import accuracy_by_added_time
from bench.report.scores import Score

Kind = TypeVar("Kind")


def with_added_time(report: Report) -> Report:
    """``report`` with the score against the added time, where its records have both."""
    figure = accuracy_by_added_time(
        _records(report, Effect), _records(report, LatencyRecord), _records(report, Score)
    )
    if figure is None:
        return report
    sections = tuple(
        replace(one, figures=(*one.figures, figure)) if one.name == "ann" else one
        for one in report.sections
    )
    return replace(report, sections=sections)


def _records(report: Report, kind: type[Kind]) -> list[Kind]:
    return [one for section in report.sections for one in section.records if isinstance(one, kind)]
