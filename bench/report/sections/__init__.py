"""The sections of a report, in the order in which they are shown: one line each."""

from __future__ import annotations

from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import Section
from bench.report.sections import (
    ann,
    beta_tau,
    comparisons,
    costs,
    k,
    memory,
    off_on,
    over_tasks,
    published,
    retrieval,
    rows,
    scores,
    selection_bias,
)

OF_A_RUN: tuple[Section[RunInputs], ...] = (
    scores.SECTION,
    comparisons.SECTION,
    over_tasks.SECTION,
    selection_bias.SECTION,
    off_on.SECTION,
    published.SECTION,
    retrieval.SECTION,
    ann.SECTION,
    costs.SECTION,
    k.SECTION,
    beta_tau.SECTION,
    rows.SECTION,
)

OF_MEASUREMENTS: tuple[Section[MeasuredInputs], ...] = (memory.SECTION,)
