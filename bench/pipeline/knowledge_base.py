"""The knowledge bases that a run wants, and why one cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from bench.records.base import Base, percent

if TYPE_CHECKING:
    from bench.config import RetrievalConfig


OWN = {"projected": "student"}
"""Keys -> those that stand for them where the teacher has no embeddings."""


def wanted(
    config: RetrievalConfig,
    specs: Sequence[str],
    method: str,
    seed: int,
    *,
    embeds: bool = True,
) -> list[tuple[Base, str]]:
    """The knowledge bases of a student, each with the backend (of ``specs``) that it lies behind.

    The first of every axis makes the reference, which comes first. ``product`` has every
    combination; ``one-at-a-time`` varies one axis at a time around the reference. Backends of one
    knowledge base follow each other, so that its exact answers are found once. Where no teacher
    ``embeds`` the rows, there is nothing to project: the student's keys stand for projected ones.
    """
    keys = config.keys if embeds else tuple(OWN.get(key, key) for key in config.keys)
    axes: list[Sequence[Any]] = [
        tuple(dict.fromkeys(keys)),
        config.values,
        config.share,
        config.control,
        specs,
    ]
    points = list(product(*axes))
    if config.design == "one-at-a-time":
        first = points[0]
        points = [first]
        for at in reversed(range(len(axes))):  # backends first: they share the reference
            points += [(*first[:at], value, *first[at + 1 :]) for value in axes[at][1:]]
    return [(Base(method, seed, *base), spec) for *base, spec in points]


def impossible(
    base: Base, k: int, rows: int, widths: Mapping[str, int], *, trains: bool = True
) -> str | None:
    """Why there can be no such knowledge base, or None.

    Args:
        base: the knowledge base.
        k: the largest number of neighbours that is asked for.
        rows: of fit.
        widths: of the embeddings of ``teacher``, 0 without any, and ``student``.
        trains: whether the teacher is trained here, so that others can be.
    """
    entries = base.entries(rows)
    if k > entries:
        at = f" at share {percent(base.share)}" if base.share != 1 else ""
        return f"k = {k} is larger than the {entries} entries there are{at}"
    if base.values == "cross-fitted" and not trains:
        return (
            "values 'cross-fitted' come from teachers that are trained without a part of the rows, "
            "but this teacher is not trained: use values 'soft' or 'hard'"
        )
    if base.keys == "teacher" and not widths["teacher"]:
        return (
            "keys 'teacher': the teacher's outputs have no embeddings: use keys 'student', or "
            "give a key encoder"
        )
    if base.keys == "teacher" and widths["teacher"] != widths["student"]:
        return (
            f"keys 'teacher': the teacher's embedding has {widths['teacher']} dimensions, the "
            f"student's {widths['student']}: use keys 'projected' or 'student'"
        )
    return None
