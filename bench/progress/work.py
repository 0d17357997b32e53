"""What the cells of a run take time like, for :mod:`bench.progress.eta`; nothing is made for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bench.cell import Workbench
from bench.plan import Planned
from bench.progress.eta import SHARED, Work
from reaugkd.distiller import FINE_TUNED


def works(planned: Iterable[Planned], workbench: Workbench) -> dict[str, Work]:
    """Key of every cell that can run -> what it takes time like."""
    return {one.cell.key: _work(one, workbench) for one in planned if one.skip is None}


def _work(planned: Planned, workbench: Workbench) -> Work:
    cell, pipeline = planned.cell, workbench.pipeline(planned.cell.config)
    rows = max(1, len(pipeline.rows.data.fit))
    if cell.kind != "training":
        what = " ".join(filter(None, (cell.method, cell.backend)))
        return Work(cell.kind, what, cell.task, rows)
    student = pipeline.student_identity(cell.method, cell.seed)
    size = rows * max(1, cell.config.student.recipe.epochs)
    there = pipeline.artifacts.has("student", student)
    return Work("training", cell.method, cell.task, size, there)


def teachers(
    todo: Iterable[Planned], works: Mapping[str, Work], workbench: Workbench
) -> Iterator[Work]:
    """The teachers that ``todo`` needs and the cache does not hold, one per task."""
    seen = set()
    for cell in (one.cell for one in todo if one.cell.key in works):
        pipeline = workbench.pipeline(cell.config)
        if cell.task in seen or not pipeline.needs(cell.method) & FINE_TUNED:
            continue
        seen.add(cell.task)
        teacher = pipeline.teacher
        if not teacher.artifacts.has("teacher", teacher.identity):
            epochs = cell.config.teacher.recipe.epochs
            rows = len(pipeline.rows.data.fit)
            yield Work(SHARED, "", cell.task, max(1, rows) * max(1, epochs))
