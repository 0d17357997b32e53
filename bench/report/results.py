"""A run as it is read back: see :mod:`bench.records.results`."""

from bench.records.planned import Planned
from bench.records.results import (
    BASE_AXES,
    HELD_OUT,
    CellState,
    Pairs,
    Results,
    Status,
    load,
)

__all__ = ["BASE_AXES", "HELD_OUT", "CellState", "Pairs", "Planned", "Results", "Status", "load"]
