"""What the training of a student cost, its method's stages and its teacher's passes among it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reaugkd.training.loop import TrainingSummary


def cost_of(
    result: TrainingSummary, stages: Sequence[Mapping[str, Any]], cached: int
) -> dict[str, Any]:
    """What a student cost in examples and seconds, see :class:`bench.records.run.Cost`.

    ``stages`` ran before its own training, ``cached`` rows of ``fit`` have signals from the cache.
    """
    student = result.work["student"]
    others = [work for name, work in result.work.items() if name != "student"] + [*stages]
    peaks = [result.peak_bytes, *(stage.get("peak_bytes") for stage in stages)]
    counts = ("seconds", 0.0), ("forwards", 0), ("backwards", 0)
    return {
        "steps_per_second": result.steps / result.seconds,
        "student_forwards": student["forwards"],
        "student_backwards": student["backwards"],
        "teacher_forwards": cached + sum(work.get("forwards", 0) for work in others),
        "teacher_backwards": sum(work.get("backwards", 0) for work in others),
        "cached_forwards": cached,
        "peak_bytes": max((int(peak) for peak in peaks if peak is not None), default=None),
        "stages": [
            {"stage": stage["stage"], **{name: stage.get(name, zero) for name, zero in counts}}
            for stage in stages
        ],
    }
