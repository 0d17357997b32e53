"""The sections of a report, in the order in which they are shown: one line each."""

from __future__ import annotations

from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import Section
from bench.report.sections import comparisons, memory, rows, scores

OF_A_RUN: tuple[Section[RunInputs], ...] = (
    scores.SECTION,
    comparisons.SECTION,
    rows.SECTION,
)

OF_MEASUREMENTS: tuple[Section[MeasuredInputs], ...] = (memory.SECTION,)
