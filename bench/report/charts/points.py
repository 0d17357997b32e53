"""Points and lines against two axes: cost against score, score against k, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bench.report.charts.form import (
    HIGH,
    Axis,
    Looks,
    Marks,
    from_field,
    numeric,
    rules,
    said,
    side_by_side,
    where,
)
from bench.report.charts.palette import INK

if TYPE_CHECKING:
    from pandas import DataFrame

SLANTED = 50
"""So many letters below an axis stand side by side; more of them are set at an angle."""


@dataclass(frozen=True)
class Points:
    """Points of each series; those with ``front`` are joined above all others.

    Attributes:
        joined: a line for each series, in the order of its rows; without ``y`` there is a gap.
    """

    x: Axis
    y: Axis
    joined: bool = False
    value: ClassVar[str] = "y"

    def __call__(self, frame: DataFrame) -> Any:
        """A panel for each value of ``panel``."""
        return side_by_side(frame, self._panel)

    def _panel(self, marks: Marks, looks: Looks, width: int) -> Any:
        import altair as alt

        fits = " && ".join(f"datum.{n} > 0" for n, a in (("x", self.x), ("y", self.y)) if a.log)
        x, y = self._across(marks), numeric("y", self.y, marks, "y", "low", "high", "rule")
        both, colour = {"x": x, "y": y}, {"color": looks.colour}
        levels, words = rules(marks, "y", self.y)
        ends = where("x", "low", text=fits).mark_rule(aria=False)
        layers = [*levels, ends.encode(x=x, y=from_field(y, "low"), y2="high", **colour)]
        if self.joined:
            line = where("x").mark_line(aria=False, strokeWidth=1.8)
            layers.append(line.encode(strokeDash=looks.dash, **both, **colour))
        if any(mark.get("front") for mark in marks):
            front = where("x", "y", text="datum.front").mark_line(aria=False, color=INK)
            layers.append(front.encode(**both))
        layers += words
        points = where("x", "y", text=fits).mark_point(filled=True, size=45, opacity=1)
        layers.append(points.encode(shape=looks.shape, description=said(), **both, **colour))
        return alt.layer(*layers, width=width, height=HIGH)

    def _across(self, marks: Marks) -> Any:
        import altair as alt

        names = list(dict.fromkeys(mark["x"] for mark in marks))
        if not any(isinstance(name, str) for name in names):
            return numeric("x", self.x, marks, "x")
        slanted = sum(len(name) + 2 for name in names) > SLANTED
        look = {"labelAngle": -35, "labelAlign": "right"} if slanted else {"labelAngle": 0}
        return alt.X(
            "x", type="ordinal", sort=names, title=self.x.named(marks), axis=alt.Axis(**look)
        )
