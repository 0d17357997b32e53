"""Runs beside each other: the sections of their report, in the order in which they are shown."""

from __future__ import annotations

from bench.report.compared import beside, differences
from bench.report.compared.inputs import ComparedRun, CompareError, CompareInputs
from bench.report.section import Section

__all__ = ["OF_RUNS", "CompareError", "CompareInputs", "ComparedRun"]

OF_RUNS: tuple[Section[CompareInputs], ...] = (
    differences.SECTION,
    differences.UNMATCHED,
    beside.SETTINGS,
    beside.EFFORT,
    beside.COSTS,
    beside.RUNS,
    beside.MACHINES,
    beside.FILES,  # behind all sections that read files
)
