"""The sections of a report, in the order in which they are shown: one line each."""

from __future__ import annotations

from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import Section
from bench.report.sections import (
    alignment,
    attribution,
    cells,
    comparisons,
    condensing,
    gate,
    latency,
    memory,
    off_on,
    published,
    retrieval,
    scores,
    settings,
    sweeps,
    training,
)

OF_A_RUN: tuple[Section[RunInputs], ...] = (
    scores.SECTION,
    comparisons.SECTION,
    off_on.OVER_TASKS,
    retrieval.SELECTION_BIAS,
    off_on.SECTION,
    published.SECTION,
    alignment.SECTION,
    attribution.SECTION,
    condensing.SECTION,
    retrieval.SECTION,
    retrieval.INDEXES,
    retrieval.COSTS,
    sweeps.K,
    sweeps.BETA_TAU,
    training.EFFORT,
    training.SECTION,
    training.CURVES,
    settings.SECTION,
    settings.METHODS,
    scores.ROWS,
    cells.COUNTS,
    cells.SECTION,
    cells.FILES,  # behind all sections that read files
    cells.PROVENANCE,
)

OF_MEASUREMENTS: tuple[Section[MeasuredInputs], ...] = (
    latency.SECTION,
    memory.SECTION,
    gate.SECTION,
    cells.FILES,
    cells.PROVENANCE,
)
