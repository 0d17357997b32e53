"""Condensers: a few entries that stand for a whole knowledge base, one file each.

A *spec* names a condenser and, after a colon, the number of entries: ``full``, ``random:256``,
``kmeans:256``, or their percentage of the rows: ``kmeans:1%``. ``@1`` is another draw of its random
numbers: ``random:256@1``.
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
    """A condenser by name, its number of entries (None: its own choice) and its draw.

    ``percent`` stands for a number of entries until the number of rows is known.
    """

    name: str
    entries: int | None = None
    draw: int = 0
    percent: float | None = None

    def __str__(self) -> str:
        entries = "" if self.entries is None else f":{self.entries}"
        entries = entries if self.percent is None else f":{self.percent:g}%"
        return f"{self.name}{entries}" + (f"@{self.draw}" if self.draw else "")

    def of(self, rows: int) -> Spec:
        """With a number of entries in the place of a percentage of ``rows``.

        >>> str(parse("random:1%@2").of(3301))
        'random:33@2'
        """
        if self.percent is None:
            return self
        return self._replace(entries=max(1, round(rows * self.percent / 100)), percent=None)

    @property
    def drawless(self) -> str:
        """The spec without its draw: what several draws have in common."""
        return str(self._replace(draw=0))


def parse(text: str) -> Spec:
    """Read a spec; nothing is imported.

    >>> parse("Random:256"), str(parse("random: 64@0"))
    (Spec(name='random', entries=256, draw=0, percent=None), 'random:64')

    Raises:
        UserError: for an unknown name, or what is no number of entries or draw.
    """
    name, colon, rest = text.partition(":")
    size, at, draw = (rest if colon else name).partition("@")
    if not colon:
        name, size = size, ""
    spelled, size = CONDENSERS.resolve(name.strip()), size.strip()
    entries = int(size) if size.isdigit() else None
    percent = _percent(size)
    if (colon and entries is None and percent is None) or (at and not draw.strip().isdigit()):
        raise UserError(
            f"condenser '{text}': expected {spelled}:ENTRIES or {spelled}:ENTRIES@DRAW with whole "
            f"numbers, e.g. {spelled}:256, or {spelled}:1% of the rows"
        )
    return Spec(spelled, entries, int(draw or 0), percent)


def _percent(size: str) -> float | None:
    """The percentage, above 0 and at most 100, that ``size`` is, if it is one."""
    number, sign, rest = size.partition("%")
    if not sign or rest or not number.strip().replace(".", "", 1).isdigit():
        return None
    return float(number) if 0 < float(number) <= 100 else None


def make(spec: str) -> Condenser:
    """The condenser of ``spec``, or a UserError for entries that it does not take."""
    name, entries, draw, _ = parse(spec)
    return CONDENSERS[name](entries, draw)
