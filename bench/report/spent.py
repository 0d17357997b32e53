"""What the same thing cost in several runs, side by side. Times compare machines as well."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from bench.records.run import TrainingResult
from bench.report import costs
from bench.report.across import At, Run
from bench.report.costs import Cost
from bench.report.summary import number, size
from bench.report.table import EMPTY, Table


@dataclass(frozen=True)
class Trained:
    """Training of one method on one task in one run: medians over its n seeds.

    Attributes:
        seconds: of the student's training loop.
        relative: ``seconds`` / the same of the first run; None where that has none.
        peak_bytes: most memory of the process that trained; None where it was not measured.
    """

    run: str
    task: str
    title: str
    method: str
    n: int
    seconds: float
    relative: float | None
    examples_per_second: float
    peak_bytes: float | None


@dataclass(frozen=True)
class Searched:
    """One index of one run, and its search time / that of the same index in the first run."""

    run: str
    cost: Cost
    relative: float | None


def trained(found: Sequence[Run]) -> list[Trained]:
    """Training of every method that the first run and another have; their runs below each other."""
    made: dict[tuple[str, str], list[Trained]] = {}
    for run in found:
        own: dict[tuple[str, str, str], list[TrainingResult]] = {}
        for record, result in run.results.trained:
            own.setdefault((record.task, record.title, record.method), []).append(result)
        for (task, title, method), results in own.items():
            made.setdefault((task, method), []).append(
                _trained(run.name, task, title, method, results)
            )
    return [
        replace(one, relative=_ratio(one.seconds, rows[0].seconds))
        for rows in made.values()
        if rows[0].run == found[0].name and len(rows) > 1
        for one in rows
    ]


def searched(found: Sequence[Run]) -> list[Searched]:
    """Every index that the first run and another have; their runs below each other."""
    made: dict[At, list[Searched]] = {}
    for run in found:
        places = {(at[0], at[1], name): at for at, (name, _) in run.columns().items()}
        for cost in costs.costs(run.results):
            at = places[cost.task, cost.method, cost.index]
            made.setdefault(at, []).append(Searched(run.name, cost, None))
    return [
        replace(one, relative=_ratio(one.cost.search_us_p50, rows[0].cost.search_us_p50))
        for rows in made.values()
        if rows[0].run == found[0].name and len(rows) > 1
        for one in rows
    ]


def trained_table(found: Sequence[Trained], first: str) -> Table | None:
    """Training, or None where no student has finished."""
    rows = tuple(
        (
            one.title,
            one.method,
            one.run,
            str(one.n),
            number(one.seconds),
            times(one.relative),
            number(one.examples_per_second),
            size(one.peak_bytes),
        )
        for one in found
    )
    columns = ("task", "method", "run", "n", "seconds", f"/ {first}", "examples/s", "peak memory")
    notes = (
        "Medians over n seeds: training loop of the student, whole process for the memory. Runs "
        "of different machines, or of a busy one, compare those and not the methods.",
    )
    return Table("Cost of training", columns, rows, 3, notes) if rows else None


def searched_table(found: Sequence[Searched], first: str) -> Table | None:
    """Knowledge bases and indexes, or None where there are none."""
    rows = tuple(
        (
            one.cost.title,
            one.cost.method,
            one.cost.index,
            one.run,
            f"{one.cost.entries:,.0f}",
            size(one.cost.kb_bytes),
            size(one.cost.index_bytes),
            number(one.cost.build_seconds),
            number(one.cost.search_us_p50),
            times(one.relative),
            number(one.cost.search_us_p95),
        )
        for one in found
    )
    labels = ("task", "method", "index", "run")
    figures = ("entries", "KB size", "index size", "build s", "search µs p50", f"/ {first}")
    notes = ("Medians over seeds. Search: one query, one thread, index call only, in a hot loop.",)
    columns = (*labels, *figures, "search µs p95")
    return Table("Cost of retrieval", columns, rows, len(labels), notes) if rows else None


def times(ratio: float | None) -> str:
    """A ratio.

    >>> times(1.234), times(None)
    ('1.23 x', '–')
    """
    return EMPTY if ratio is None else f"{ratio:.2f} x"


def _trained(
    run: str, task: str, title: str, method: str, results: Sequence[TrainingResult]
) -> Trained:
    def median(value: Callable[[TrainingResult], float]) -> float:
        return float(statistics.median(map(value, results)))

    peaks = _known(one.cost.peak_bytes for one in results)
    return Trained(
        run=run,
        task=task,
        title=title,
        method=method,
        n=len(results),
        seconds=median(lambda r: r.seconds),
        relative=None,
        examples_per_second=median(lambda r: r.examples_per_second),
        peak_bytes=float(statistics.median(peaks)) if peaks else None,
    )


def _ratio(value: float, first: float) -> float | None:
    return value / first if first else None


def _known(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]
