"""The sections of a report, in the order in which they are shown: one line each."""

from __future__ import annotations

from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import Section
from bench.report.sections import (
    alignment,
    attribution,
    cells,
    comparisons,
    curves,
    effort,
    gate,
    latency,
    memory,
    provenance,
    scores,
    settings,
    training,
)

OF_A_RUN: tuple[Section[RunInputs], ...] = (
    scores.SECTION,
    comparisons.SECTION,
    alignment.SECTION,
    attribution.SECTION,
    effort.SECTION,
    training.SECTION,
    curves.SECTION,
    settings.SECTION,
    settings.METHODS,
    cells.COUNTS,
    cells.SECTION,
    cells.FILES,  # behind all sections that read files
    provenance.SECTION,
)

OF_MEASUREMENTS: tuple[Section[MeasuredInputs], ...] = (
    latency.SECTION,
    memory.SECTION,
    gate.SECTION,
    cells.FILES,
    provenance.SECTION,
)
