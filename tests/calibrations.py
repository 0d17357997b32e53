"""Calibrations made by hand, so that no test measures for seconds and every time is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reaugkd.retrieval.ann.auto.calibrate import (
    EXACT_SIZES,
    GRAPH_SIZES,
    Calibration,
    Machine,
    this_machine,
)
from reaugkd.retrieval.ann.auto.search_times import CALLS, Candidate, SearchTime

Time = Callable[[int, int], float]
"""Microseconds of a call at (size, batch)."""


def exact(size: int, batch: int) -> float:
    """Half a microsecond per entry and query, of which a batch shares most."""
    return 5 + 0.5 * size * (0.8 + 0.2 * batch)


def graph(size: int, batch: int) -> float:
    """Equal to ``exact`` near 100 entries for one query, near 200 for 32."""
    return 14.5 * size**0.3 * batch**0.8


TIMES: dict[str, Time] = {"exact": exact, "hnswlib": graph}


def candidate(spec: str, time: Time, recall: float = 1.0) -> Candidate:
    """A candidate that was measured to take exactly ``time``."""
    sizes = EXACT_SIZES if spec == "exact" else GRAPH_SIZES
    points = [
        SearchTime(size=n, batch=b, microseconds=time(n, b), effort=None, recall=recall)
        for n in sizes
        for b in CALLS
    ]
    return Candidate(spec=spec, points=tuple(points))


def calibration(
    dim: int = 12,
    threads: int = 1,
    times: Mapping[str, Time] = TIMES,
    more: tuple[Candidate, ...] = (),
) -> Calibration:
    """A calibration of this machine with the given times; ``more`` goes last."""
    measured = (*(candidate(spec, time) for spec, time in times.items()), *more)
    return Calibration(machine=this_machine(dim, threads), measured=measured, seconds=1, load=0)


def measure(machine: Machine, *_: object) -> Calibration:
    """What stands for ``calibrate.measure``."""
    return calibration(machine.dim, machine.threads).model_copy(update={"machine": machine})
