"""A grid of two settings: the value in words, and as the depth of one colour in both themes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bench.report.charts.form import Axis, Looks, Marks, said, side_by_side, where
from bench.report.charts.palette import INK, SERIES

if TYPE_CHECKING:
    from pandas import DataFrame

WIDTH, HEIGHT = 50, 25
"""Of a field, in pixels."""

DEPTH = (0.04, 0.45)
"""Opacity of the lowest and the highest field; words stay readable on it in both themes."""


@dataclass(frozen=True)
class Grid:
    """A field for each ``x`` and ``y``, as deep as its ``depth``, with ``label`` in it.

    Marks may be ``chosen``: those have a frame.
    """

    x: Axis
    y: Axis
    value: ClassVar[str] = "depth"

    def __call__(self, frame: DataFrame) -> Any:
        """A panel for each value of ``panel``."""
        return side_by_side(frame, self._panel)

    def _panel(self, marks: Marks, _: Looks, __: int) -> Any:
        import altair as alt

        xs, ys = (list(dict.fromkeys(mark[name] for mark in marks)) for name in "xy")
        x = alt.X(
            "x", type="ordinal", sort=xs, title=self.x.named(marks), axis=alt.Axis(labelAngle=0)
        )
        y = alt.Y("y", type="ordinal", sort=ys, title=self.y.named(marks))
        scale = alt.Scale(zero=False, range=list(DEPTH))
        depth = alt.FillOpacity("depth", type="quantitative", scale=scale, legend=None)
        fields = where("depth").encode(x=x, y=y)
        chosen = where("x", text="datum.chosen").encode(x=x, y=y)
        return alt.layer(
            fields.mark_rect(fill=SERIES[5]).encode(fillOpacity=depth, description=said()),
            chosen.mark_rect(filled=False, stroke=INK, strokeWidth=2, aria=False),
            fields.mark_text(color=INK, fontSize=10.5, aria=False).encode(
                text=alt.Text("label", type="nominal")
            ),
            width={"step": WIDTH},
            height={"step": HEIGHT},
        )
