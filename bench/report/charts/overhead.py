"""The overhead of retrieval against the size of the knowledge base, with the limit of the claim."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.points import Points
from bench.report.frame import Row, rows
from bench.report.section import Picture

if TYPE_CHECKING:
    from pandas import DataFrame

Groups = dict[str, list[Row]]


def pictures(frame: DataFrame) -> Iterator[Picture]:
    """A panel per batch and precision, a line per backend, the limit and the noise floor."""
    lines = rows(frame)
    groups = panels([row for row in lines if row.result is not None])
    if not groups:
        return
    shown = [row for group in groups.values() for row in group]
    missing = len(lines) - len(shown)
    notes = [f"Cells without figures, not drawn: {missing}."] if missing else []
    verdicts = Counter(row.verdict or row.status for row in shown).most_common()
    told = f"{', '.join(f'{count} {verdict}' for verdict, count in verdicts)}."
    yield picture(
        "overhead",
        "Overhead of retrieval against the size of the knowledge base",
        (mark for name, group in groups.items() for mark in _marks(name, group)),
        Points(
            Axis("entries of the knowledge base", log=True),
            Axis("overhead, % of forward", log=True),
            joined=True,
        ),
        (
            "Overhead: what retrieval adds / the student's forward of the same batch, with its "
            "95 % bootstrap interval over processes and inputs.",
            "Noise floor: of forward against forward, the larger end of its interval (median of "
            "the cells). A difference of two end-to-end times below it could not be seen; the "
            "overhead is a direct ratio within one loop and can be.",
            *notes,
        ),
        told,
    )


def panels(lines: Sequence[Row]) -> Groups:
    """The cells of each batch and precision and of what else varies, the smallest base first."""
    groups: Groups = {}
    for row in sorted(lines, key=_order):
        cell = row.cell
        axes = {"k": f"k {cell.k}", "threads": f"threads {cell.threads}", "student": cell.student}
        names = [f"batch {cell.batch}", cell.precision]
        names += [text for name, text in axes.items() if _varies(name, lines)]
        # Each base has lengths of its own by default: they tell only if one base has several.
        if _varies("lengths", [other for other in lines if other.cell.base == cell.base]):
            names.append(cell.lengths)
        groups.setdefault(", ".join(names), []).append(row)
    return groups


def _order(row: Row) -> tuple[Any, ...]:
    """Exact search before the others."""
    cell = row.cell
    return cell.batch, cell.size, cell.backend != "exact", cell.backend


def _varies(axis: str, lines: Sequence[Row]) -> bool:
    return len({getattr(row.cell, axis) for row in lines}) > 1


def noise_floor(found: Sequence[Row]) -> float:
    """Percent: the median over cells of the end of the A/A interval that is further from zero."""
    noise = (row.result.noise for row in found)
    return float(100 * statistics.median(max(abs(one.low), abs(one.high)) for one in noise))


def place(row: Row) -> Mark:
    """The fields of a cell that ``--select`` knows."""
    cell = row.cell
    return {"base": cell.base, "backend": cell.backend, "batch": cell.batch, "k": cell.k}


def _marks(name: str, group: Sequence[Row]) -> Iterator[Mark]:
    levels = {100 * row.limit: f"limit {100 * row.limit:g} %" for row in group}
    floor = noise_floor(group)
    levels = dict(sorted(levels.items())) | {floor: f"noise floor {floor:.2g} %"}
    backends = dict.fromkeys(row.cell.backend for row in group)
    lines = [row for backend in backends for row in group if row.cell.backend == backend]
    rest = list(levels)
    for row in lines:
        rule = rest.pop(0) if rest else None
        ratio = row.result.ratio
        yield {
            "panel": name,
            "series": row.cell.backend,
            "x": row.cell.size,
            "y": 100 * ratio.estimate,
            "low": 100 * ratio.low,
            "high": 100 * ratio.high,
            "rule": rule,
            "rule_text": None if rule is None else levels[rule],
            "text": _text(row),
            **place(row),
        }


def _text(row: Row) -> str:
    ratio = row.result.ratio
    return (
        f"{row.cell.base} ({row.cell.size:,}), {backend(row)}: {100 * ratio.estimate:.2f} % "
        f"[{100 * ratio.low:.2f}, {100 * ratio.high:.2f}], {row.verdict or row.status}; "
        f"{row.result.added.p50:.3f} ms on a forward of "
        f"{row.result.forward.p50:.1f} ms"
    )


def backend(row: Row) -> str:
    """The backend, and for ``auto`` what it stood for."""
    asked: str = row.cell.backend
    return asked if row.index is None or row.index.spec == asked else f"{asked} -> {row.index.spec}"
