"""What it costs to train a student by a method, counted in examples as well as in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reaugkd.training.loop import TrainingResult

STUDENT = "student"


def of_student(
    result: TrainingResult, stages: Sequence[Mapping[str, Any]], cached_rows: int
) -> dict[str, Any]:
    """The cost of one student as plain JSON, see :class:`bench.records.run.Cost`.

    Args:
        result: of the student's own training.
        stages: what ran before it, as ``Context.stages`` keeps it.
        cached_rows: rows of ``fit`` whose signals the method took from the cache.
    """
    own = result.work[STUDENT]
    others = [work for name, work in result.work.items() if name != STUDENT] + [*stages]
    known = [result.peak_bytes, *(stage.get("peak_bytes") for stage in stages)]
    peaks = [int(peak) for peak in known if peak is not None]
    return {
        "steps_per_second": result.steps / result.seconds,
        "student_forwards": own["forwards"],
        "student_backwards": own["backwards"],
        "teacher_forwards": cached_rows + sum(work.get("forwards", 0) for work in others),
        "teacher_backwards": sum(work.get("backwards", 0) for work in others),
        "cached_forwards": cached_rows,
        "peak_bytes": max(peaks, default=None),
        "stages": [
            {
                "stage": stage["stage"],
                "seconds": stage.get("seconds", 0.0),
                "forwards": stage.get("forwards", 0),
                "backwards": stage.get("backwards", 0),
            }
            for stage in stages
        ],
    }
