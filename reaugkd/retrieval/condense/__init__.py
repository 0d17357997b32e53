"""Condensers: a few entries that stand for a whole knowledge base, one file each.

A *spec* names a condenser and, after a colon, the number of entries: ``full``, ``random:256``,
``kmeans:256``. ``@1`` is another draw of its random numbers: ``random:256@1``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reaugkd.errors import UserError
from reaugkd.registry import Entry, Registry

if TYPE_CHECKING:
    from reaugkd.retrieval.condense.condenser import Condenser

FULL = "full"

CONDENSERS: Registry[type[Condenser]] = Registry(
    "condenser",
    {
        FULL: Entry("reaugkd.retrieval.condense.full:Full", "every row is an entry"),
        "random": Entry("reaugkd.retrieval.condense.random:Random", "rows drawn at random, nested"),
        "kmeans": Entry(
            "reaugkd.retrieval.condense.kmeans:KMeans", "mean keys and values of spherical k-means"
        ),
        "medoid": Entry(
            "reaugkd.retrieval.condense.medoid:Medoid", "the real row nearest to each of those"
        ),
        "merge": Entry(
            "reaugkd.retrieval.condense.merge:Merging", "nearest neighbours of one class, joined"
        ),
        "cnn": Entry(
            "reaugkd.retrieval.condense.cnn:CNN",
            "the rows without which student and base would answer otherwise",
        ),
        "learned": Entry(
            "reaugkd.retrieval.condense.learned:Learned",
            "keys and values trained to answer as the teacher, with the student",
        ),
    },
    group="reaugkd.condensers",
)


class Spec(NamedTuple):
    """A condenser by name, its number of entries (None: its own choice) and its draw."""

    name: str
    entries: int | None = None
    draw: int = 0

    def __str__(self) -> str:
        entries = "" if self.entries is None else f":{self.entries}"
        return f"{self.name}{entries}" + (f"@{self.draw}" if self.draw else "")

    @property
    def drawless(self) -> str:
        """The spec without its draw: what several draws have in common."""
        return str(self._replace(draw=0))


def parse(text: str) -> Spec:
    """Read a spec; nothing is imported.

    >>> parse("Random:256"), str(parse("random: 64@0"))
    (Spec(name='random', entries=256, draw=0), 'random:64')

    Raises:
        UserError: for an unknown name, or what is no number of entries or draw.
    """
    name, colon, rest = text.partition(":")
    number, at, draw = (rest if colon else name).partition("@")
    if not colon:
        name, number = number, ""
    spelled = CONDENSERS.resolve(name.strip())
    if (colon and not number.strip().isdigit()) or (at and not draw.strip().isdigit()):
        raise UserError(
            f"condenser '{text}': expected {spelled}:ENTRIES or {spelled}:ENTRIES@DRAW with whole "
            f"numbers, e.g. {spelled}:256"
        )
    return Spec(spelled, int(number) if number.strip() else None, int(draw or 0))


def make(spec: str) -> Condenser:
    """The condenser of ``spec``, or a UserError for entries that it does not take."""
    name, entries, draw = parse(spec)
    return CONDENSERS[name](entries, draw)
