"""Names of classes: those of somebody else's model or file, matched with the task's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from reaugkd.errors import UserError

GENERIC = re.compile(r"label_?\d+", re.IGNORECASE)
"""What transformers calls classes that nobody has named: ``LABEL_0``, ``LABEL_1``, ..."""


class LabelError(UserError):
    """Names of classes that are not those of the task."""


class LabelOrder(NamedTuple):
    """Where the task's classes stand among the other's.

    Attributes:
        places: [C], for each of the task's classes its place among the other's.
        note: what a reader should know of how they were matched, or None if they are the same.
    """

    places: tuple[int, ...]
    note: str | None = None


def plain(name: str) -> str:
    """A name without what does not tell classes apart: case, spaces, ``_`` and ``-``.

    >>> plain("Not_Entailment") == plain("not entailment")
    True
    """
    return re.sub(r"[\s_-]+", "", name).casefold()


def match(theirs: Sequence[str], ours: Sequence[str], who: str) -> LabelOrder:
    """The order that puts ``theirs``, the classes of ``who``, in the order of ``ours``.

    Classes are matched by name, whatever their case, spaces, ``_`` and ``-``. Where nobody has
    named them (``LABEL_0``, ...) they are taken by place; plain numbers are the task's class ids.

    >>> match(["POSITIVE", "NEGATIVE"], ["negative", "positive"], "the teacher").places
    (1, 0)
    >>> match(["LABEL_0", "LABEL_1"], ["negative", "positive"], "the teacher").places
    (0, 1)

    Raises:
        LabelError: another number of classes, or other names; both sets are named.
    """
    shown, wanted = ", ".join(theirs), ", ".join(ours)
    if len(theirs) != len(ours):
        raise LabelError(f"{who} has {len(theirs)} classes ({shown}), needed are {wanted}")
    places = {plain(name): place for place, name in enumerate(theirs)}
    names = [plain(name) for name in ours]
    if len(places) == len(theirs) and set(names) == set(places):
        order = tuple(places[name] for name in names)
        if order == tuple(range(len(ours))):
            return LabelOrder(order)
        return LabelOrder(order, f"labels of {who}: {shown}; mapped by name to {wanted}")
    if all(GENERIC.fullmatch(name) for name in theirs):
        order = tuple(range(len(ours)))
        return LabelOrder(
            order, f"labels of {who} have no names ({shown}): taken by place, {wanted}"
        )
    if set(places) == set(map(str, range(len(ours)))):
        order = tuple(places[str(number)] for number in range(len(ours)))
        return LabelOrder(order, f"labels of {who} are numbers ({shown}): taken as ids of {wanted}")
    raise LabelError(
        f"{who} has the classes {shown}, needed are {wanted}: give them the same names"
    )
