"""Values beside names: a row per method, with points and intervals on a common axis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bench.report.charts.form import Axis, Looks, Marks, data, numeric, rules, side_by_side
from bench.report.charts.palette import SOFT

if TYPE_CHECKING:
    from pandas import DataFrame

ROW = 19
"""Height of a row, in pixels."""


@dataclass(frozen=True)
class Named:
    """A row per value of ``y``, its marks at ``x``; intervals lie along the row.

    Marks may be ``faint``: one of several that another mark sums up. ``start``: where a thin line
    to the mark begins.
    """

    x: Axis
    y: Axis = field(default=Axis(""))
    value: ClassVar[str] = "x"

    def __call__(self, frame: DataFrame) -> Any:
        """A panel for each value of ``panel``."""
        return side_by_side(frame, self._panel)

    def _panel(self, marks: Marks, looks: Looks, width: int) -> Any:
        import altair as alt

        x = numeric("x", self.x, marks, "x", "low", "high", "start", "rule")
        names = list(dict.fromkeys(mark["y"] for mark in marks))
        y = alt.Y("y:N", sort=names, title=None, axis=alt.Axis(labelLimit=230))
        colour = {"color": looks.colour}
        layers = rules(marks, "x")
        for low, high, look, more in (
            ("start", "x", {"strokeWidth": 2, "color": SOFT, "opacity": 0.5}, {}),
            ("low", "high", {"strokeWidth": 1.5}, colour),
        ):
            begin = x.copy(deep=False)
            begin.shorthand = f"{low}:Q"
            span = alt.Chart(data(marks, low, high, "y")).mark_rule(aria=False, **look)
            layers.append(span.encode(x=begin, x2=f"{high}:Q", y=y, **more))
        for faint in (True, False):
            shown = data([m for m in marks if bool(m.get("faint")) is faint], "x", "y")
            look = {"size": 16, "opacity": 0.65} if faint else {"size": 50, "opacity": 1}
            points = alt.Chart(shown).mark_point(filled=True, **look)
            layers.append(
                points.encode(x=x, y=y, shape=looks.shape, description="text:N", **colour)
            )
        return alt.layer(*layers).properties(width=width, height={"step": ROW})
