"""Values beside names: a row per method, with points and intervals on a common axis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bench.report.charts.form import (
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
        y = alt.Y("y", type="nominal", sort=names, title=None, axis=alt.Axis(labelLimit=260))
        colour = {"color": looks.colour}
        layers, _ = rules(marks, "x", self.x)
        fields = {name for mark in marks for name, value in mark.items() if value is not None}
        if "start" in fields:
            step = where("start", "x").mark_rule(strokeWidth=2, color=SOFT, opacity=0.5, aria=False)
            layers.append(step.encode(x=from_field(x, "start"), x2="x", y=y))
        if "low" in fields:
            span = where("low", "high").mark_rule(strokeWidth=1.5, aria=False)
            layers.append(span.encode(x=from_field(x, "low"), x2="high", y=y, **colour))
        for text, look in (
            ("datum.faint", {"size": 16, "opacity": 0.65}),
            ("!datum.faint", {"size": 50, "opacity": 1}),
        ):
            points = where("x", text=text).mark_point(filled=True, **look)
            layers.append(points.encode(x=x, y=y, shape=looks.shape, description=said(), **colour))
        return alt.layer(*layers, width=width, height={"step": ROW})
