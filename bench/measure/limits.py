"""What is promised of the overhead, cell by cell, where no limit is given."""

from __future__ import annotations

from bench.records.measurement import LatencyCell

GENERAL = 0.03
"""The paper's."""

ONE = {"fp32": 0.005, "bf16": 0.01}
BATCHES = {"fp32": 0.01}
"""Of exact search over a condensed base by precision, torch's forward: one sentence, a batch."""


def limit(cell: LatencyCell, given: float | None = None) -> float:
    """The limit of a cell: the one that was given, else what is promised of such a cell."""
    if given is not None:
        return given
    reduction = cell.reduction
    if (
        cell.runtime is not None
        or reduction is None
        or not reduction.condensed
        or cell.backend != "exact"
    ):
        return GENERAL
    return (ONE if cell.batch == 1 else BATCHES).get(cell.precision, GENERAL)
