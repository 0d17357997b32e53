"""A picture ready to be drawn: numbers and words, with no knowledge of how or where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Value = float | str | None
"""A place on an axis; None leaves a gap."""

Mode = Literal["lines", "points", "bars"]


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        label: with the unit, e.g. ``added time, ms``.
        log: logarithmic; values must be positive.
    """

    label: str
    log: bool = False


@dataclass(frozen=True)
class Series:
    """Values that belong together and share a colour, a marker and a line of the legend.

    Attributes:
        label: in the legend.
        x, y: as many values as each other.
        low, high: ends of a 95 % interval of y, or empty.
        texts: what is said of each point where the mouse is over it, or empty.
        mode: how they are drawn.
        emphasised: drawn above the others, e.g. a Pareto front.
    """

    label: str
    x: tuple[Value, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    texts: tuple[str, ...] = ()
    mode: Mode = "lines"
    emphasised: bool = False

    def __post_init__(self) -> None:
        lengths = {len(values) for values in (self.x, self.y)}
        lengths |= {len(values) for values in (self.low, self.high, self.texts) if values}
        if len(lengths) != 1:
            raise ValueError(f"{self.label}: x, y, their ends and texts differ in length")


@dataclass(frozen=True)
class Rule:
    """A level line across the picture, e.g. the 3 % of the claim, at ``y``."""

    label: str
    y: float


@dataclass(frozen=True)
class Panel:
    """One pair of axes; panels of a figure stand side by side and share a legend."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Figure:
    """One picture.

    Attributes:
        name: of its files and its anchor: lower case and ``-``.
        title: heading.
        alt: what it shows, in a sentence or two, for whoever cannot see it.
        panels: at least one.
        notes: sentences below it.
    """

    name: str
    title: str
    alt: str
    panels: tuple[Panel, ...]
    notes: tuple[str, ...] = ()
