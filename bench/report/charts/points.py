"""Points and lines against two axes: cost against score, score against k, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bench.report.charts.form import (
    HIGH,
    Axis,
    Looks,
    Marks,
    data,
    numeric,
    rules,
    side_by_side,
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

        shown = [mark for mark in marks if self._fits(mark)]
        x, y = self._across(shown), numeric("y", self.y, shown, "y", "low", "high", "rule")
        both, colour = {"x": x, "y": y}, {"color": looks.colour}
        layers = rules(shown)
        ends = alt.Chart(data(shown, "x", "low", "high")).mark_rule(aria=False)
        low = y.copy(deep=False)
        low.shorthand = "low:Q"
        layers.append(ends.encode(x=x, y=low, y2="high:Q", **colour))
        if self.joined:
            values = [{name: m.get(name) for name in ("x", "y", "series")} for m in shown]
            line = alt.Chart(alt.Data(values=values)).mark_line(aria=False, strokeWidth=1.8)
            layers.append(line.encode(strokeDash=looks.dash, **both, **colour))
        front = data([mark for mark in shown if mark.get("front")], "x", "y")
        layers.append(alt.Chart(front).mark_line(aria=False, color=INK).encode(**both))
        points = alt.Chart(data(shown, "x", "y")).mark_point(filled=True, size=45, opacity=1)
        layers.append(points.encode(shape=looks.shape, description="text:N", **both, **colour))
        return alt.layer(*layers).properties(width=width, height=HIGH)

    def _fits(self, mark: dict[str, Any]) -> bool:
        """Whether log axes can show a mark."""
        pairs = ((self.x, mark.get("x")), (self.y, mark.get("y")))
        return not any(a.log and isinstance(v, int | float) and v <= 0 for a, v in pairs)

    def _across(self, marks: Marks) -> Any:
        import altair as alt

        names = list(dict.fromkeys(mark["x"] for mark in marks))
        if not any(isinstance(name, str) for name in names):
            return numeric("x", self.x, marks, "x")
        slanted = sum(len(name) + 2 for name in names) > SLANTED
        look = {"labelAngle": -35, "labelAlign": "right"} if slanted else {"labelAngle": 0}
        return alt.X("x:O", sort=names, title=self.x.named(marks), axis=alt.Axis(**look))
