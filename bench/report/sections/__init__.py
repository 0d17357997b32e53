"""The sections of a report, in the order in which they are shown: one line each."""

from __future__ import annotations

from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import Section
from bench.report.sections import (
    alignment,
    ann,
    attribution,
    beta_tau,
    cells,
    comparisons,
    costs,
    curves,
    effort,
    gate,
    k,
    latency,
    memory,
    off_on,
    over_tasks,
    provenance,
    published,
    retrieval,
    rows,
    scores,
    selection_bias,
    settings,
    training,
)

OF_A_RUN: tuple[Section[RunInputs], ...] = (
    scores.SECTION,
    comparisons.SECTION,
    over_tasks.SECTION,
    selection_bias.SECTION,
    off_on.SECTION,
    published.SECTION,
    alignment.SECTION,
    attribution.SECTION,
    retrieval.SECTION,
    ann.SECTION,
    costs.SECTION,
    k.SECTION,
    beta_tau.SECTION,
    effort.SECTION,
    training.SECTION,
    curves.SECTION,
    settings.SECTION,
    settings.METHODS,
    rows.SECTION,
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
