"""The knowledge bases that a run wants, and why one cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.records.base import NEVER, RANDOM, Base, percent
from reaugkd.errors import UserError
from reaugkd.retrieval import condense, skip
from reaugkd.retrieval.condense import FULL

if TYPE_CHECKING:
    from bench.config import RetrievalConfig


OWN = {"projected": "student"}
"""Keys -> those that stand for them where the teacher has no embeddings."""


class Wanted(NamedTuple):
    """A knowledge base, the spec of the backend that it lies behind, and the rule of skipping."""

    base: Base
    backend: str
    skip_rule: str = NEVER


@dataclass(frozen=True)
class BaseConditions:
    """What a run has knowledge bases of.

    Attributes:
        ks: numbers of neighbours that are asked for.
        rows: of fit.
        outputs: number of classes, 1 of a regression.
        widths: of the embeddings of ``teacher``, 0 without any, and ``student``.
        trains: whether the teacher is trained here, so that others can be.
    """

    ks: Sequence[int]
    rows: int
    outputs: int
    widths: Mapping[str, int]
    trains: bool = True


def wanted(
    config: RetrievalConfig,
    specs: Sequence[str],
    method: str,
    seed: int,
    rows: int,
    *,
    embeds: bool = True,
) -> list[Wanted]:
    """The knowledge bases of a student, each with the backend (of ``specs``) that it lies behind.

    The first of every axis makes the reference, which comes first. ``product`` has every
    combination; ``one-at-a-time`` varies one axis at a time around the reference. Backends of one
    knowledge base follow each other, so that its exact answers are found once, and so do the rules
    of skipping of one backend. Where no teacher ``embeds`` the rows, there is nothing to project:
    the student's keys stand for projected ones. A percentage of entries is one of ``rows``, of
    which there may be a share.
    """
    keys = config.keys if embeds else tuple(OWN.get(key, key) for key in config.keys)
    axes: list[Sequence[Any]] = [
        tuple(dict.fromkeys(keys)),
        config.values,
        config.share,
        config.control,
        config.condense,
        config.pca,
        config.value_bits,
        config.count_weight,
        specs,
        config.skip,
    ]
    points = list(product(*axes))
    if config.design == "one-at-a-time":
        first = points[0]
        points = [first]
        for at in reversed(range(len(axes))):  # backends first: they share the reference
            points += [(*first[:at], value, *first[at + 1 :]) for value in axes[at][1:]]
    return [
        Wanted(_sized(Base(method, seed, *base), rows), spec, rule) for *base, spec, rule in points
    ]


def _sized(base: Base, rows: int) -> Base:
    return replace(base, condense=str(condense.parse(base.condense).of(base.drawn(rows))))


def impossible(wanted: Wanted, given: BaseConditions) -> str | None:
    """Why there can be no such knowledge base, or none that is queried like that; or None."""
    base = wanted.base
    if reason := _entries(base, given) or _values(base, given) or _keys(base, given):
        return reason
    try:
        skip.parse(wanted.skip_rule).require_classes(given.outputs)
    except UserError as error:
        return str(error)
    return None


def _entries(base: Base, given: BaseConditions) -> str | None:
    rows, largest, least = base.drawn(given.rows), max(given.ks), min(given.ks)
    at = f" at share {percent(base.share)}" if base.share != 1 else ""
    if base.condense == FULL and largest > rows:
        return f"k = {largest} is larger than the {rows} entries there are{at}"
    if base.condense == FULL and base.count_weight:
        return "count_weight: every entry of 'full' stands for one row, so counts weigh nothing"
    condenser, entries = condense.make(base.condense), base.entries(given.rows)
    try:
        condenser.require(rows, given.outputs)
    except UserError as error:
        return f"{error}{at}"
    if least > entries:
        return f"k = {least} is larger than the {entries} entries of '{base.condense}'"
    if condenser.asks and base.control == RANDOM:
        return f"control '{RANDOM}' cannot be '{base.condense}', whose keys a student decides"
    return None


def _values(base: Base, given: BaseConditions) -> str | None:
    if base.values == "cross-fitted" and not given.trains:
        return (
            "values 'cross-fitted' come from teachers that are trained without a part of the rows, "
            "but this teacher is not trained: use values 'soft' or 'hard'"
        )
    return None


def _keys(base: Base, given: BaseConditions) -> str | None:
    widths = given.widths
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
    if base.width(widths["student"]) > widths["student"]:
        return f"pca {base.pca}: the keys have {widths['student']} dimensions"
    return None
