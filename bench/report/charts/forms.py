"""Forms of pictures: points, lines, rows and grids, a panel each, and their words.

A frame of marks has a row per mark: ``panel`` it is in, ``x``, ``y``, perhaps ``low`` and ``high``
of a 95 % interval, ``series`` that gives it a colour and a shape, and ``text``: what is said of it.
``rule`` and ``rule_text``: a level across the panel. ``metric`` names the axis of a score.
``faint``: one of several that another mark sums up. ``start``: where a thin line to the mark
begins. ``front``: joined above all others. Others, like ``task``, are for ``--select``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bench.report.charts.theme import INK, PAPER, SERIES, SOFT, styles
from bench.report.frame import flat, typed
from bench.report.section import Picture

if TYPE_CHECKING:
    from pandas import DataFrame

Mark = dict[str, Any]

WIDE, NARROW, HIGH = 420, 290, 220
"""Width of a lone panel and of several, and their height, in pixels."""

ROW, CELL = 19, (50, 25)
"""Height of a row, and width and height of a field of a grid, in pixels."""

DEPTH = (0.04, 0.45)
"""Opacity of the lowest and the highest field; words stay readable on it in both themes."""

SLANTED = 50
"""So many letters below an axis stand side by side; more of them are set at an angle."""


class Axis(NamedTuple):
    """An axis.

    Attributes:
        title: with the unit, e.g. ``added time, ms``; ``{metric}`` is that of the panel.
        log: logarithmic; values that are not positive are left out.
    """

    title: str
    log: bool = False


@dataclass(frozen=True)
class Form:
    """How marks are drawn; called with a frame, the chart.

    Attributes:
        kind: ``points``; ``lines``, one per series, with a gap where a mark has no ``y``; ``rows``,
            one per name in ``y``, with values and intervals along it; ``grid``, a field for each
            ``x`` and ``y``, as deep as its ``depth``, with ``label`` in it, framed if ``chosen``.
    """

    kind: Literal["points", "lines", "rows", "grid"]
    x: Axis
    y: Axis

    @property
    def value(self) -> str:
        """The field of what is measured: what intervals are of."""
        return {"rows": "x", "grid": "depth"}.get(self.kind, "y")

    def __call__(self, frame: DataFrame) -> Any:
        """Panels in the order of the rows, with one legend.

        Each panel reads its marks as a named data set: Altair copies what stands in a chart.
        """
        import altair as alt

        for name, axis in (("x", self.x), ("y", self.y), ("low", self.y)):
            if axis.log and name in frame:
                frame = frame.assign(**{name: frame[name].where(frame[name] > 0)})
        charts, looks = {}, None if self.kind == "grid" else _looks(frame["series"])
        width = WIDE if frame["panel"].nunique() == 1 else NARROW
        for title, marks in frame.groupby("panel", sort=False):
            chart = self._grid(marks) if looks is None else self._layers(marks, looks, width)
            chart.title, chart.data, charts[title] = title, alt.NamedData(title), chart
        shared = {"color": "shared", "shape": "shared", "fillOpacity": "independent"}
        columns = 2 if len(charts) == 4 else 3
        whole = alt.concat(*charts.values(), columns=columns, resolve=alt.Resolve(scale=shared))
        whole.datasets = {title: flat(part) for title, part in frame.groupby("panel", sort=False)}
        return whole

    def _layers(self, marks: DataFrame, looks: Mark, width: int) -> Any:
        import altair as alt

        value = self.value
        across = "y" if value == "x" else "x"
        at = {across: self._encoding(across, across, marks)}
        both = {**at, value: self._encoding(value, value, marks)}
        fields = {name for name in marks if marks[name].notna().any()}
        layers, words = self._rules(marks)
        for start, end, look in (
            ("start", value, {"strokeWidth": 2, "color": SOFT, "opacity": 0.5}),
            ("low", "high", {"strokeWidth": 1.5}),
        ):
            if start in fields:
                other = getattr(alt, f"{value.upper()}2")(end)
                ends: Mark = {value: self._encoding(value, start, marks), f"{value}2": other}
                if start == "low":
                    ends["color"] = looks["color"]
                layers.append(alt.Chart().mark_rule(aria=False, **look).encode(**at, **ends))
        if self.kind == "lines":
            line = alt.Chart().mark_line(aria=False, strokeWidth=1.8)
            dash = looks["strokeDash"]
            layers.append(line.encode(**both, color=looks["color"], strokeDash=dash))
        if "front" in fields and marks["front"].any():
            front = alt.Chart().transform_filter("datum.front")
            layers.append(front.mark_line(aria=False, color=INK).encode(**both))
        points = alt.Chart().mark_point(filled=True).encode(color=looks["color"], **both)
        points = points.encode(
            size=alt.SizeValue(48, condition=alt.value(16) | {"test": "datum.faint"}),
            opacity=alt.OpacityValue(1, condition=alt.value(0.65) | {"test": "datum.faint"}),
            description=alt.Description("text", type="nominal"),
            shape=looks["shape"],
        )
        height = {"step": ROW} if self.kind == "rows" else HIGH
        return alt.layer(*layers, *words, points, width=width, height=height)

    def _rules(self, marks: DataFrame) -> tuple[list[Any], list[Any]]:
        """A dashed line at each level of the panel, and its words, which lie above lines."""
        import altair as alt

        lines, words = [], []
        for number, level in enumerate(levels(marks)):
            dash = [1.5, 2.5] if number % 2 else [4, 3]
            base = alt.Chart(alt.InlineData(values=[level]))
            base = base.encode(**{self.value: self._encoding(self.value, "rule", marks)})
            lines.append(base.mark_rule(color=INK, strokeDash=dash, aria=False))
            # Two levels may be close: their words stand at the left and the right in turns.
            left: Mark = {"align": "left", "x": 3}
            look = {"align": "right", "x": "width", "dx": -3} if number % 2 else left
            halo = {"color": PAPER, "stroke": PAPER, "strokeWidth": 3, "strokeJoin": "round"}
            for paint in (halo, {"color": INK}) if level["rule_text"] else ():
                text = base.mark_text(
                    text=level["rule_text"], baseline="bottom", dy=-2, fontSize=10, aria=False,
                    **look, **paint,
                )  # fmt: skip
                words.append(text)
        return lines, words

    def _encoding(self, channel: str, field: str, marks: DataFrame) -> Any:
        """A field on an axis: as names in the order of the rows where there is a string."""
        import altair as alt

        make, axis = getattr(alt, channel.upper()), self.x if channel == "x" else self.y
        metric = marks["metric"].iloc[0] if "metric" in marks else "score"
        title = axis.title.format(metric=metric) or None
        names = marks[channel].dropna().unique().tolist()
        if any(isinstance(name, str) for name in names):
            slanted = self.kind == "lines" and sum(len(name) + 2 for name in names) > SLANTED
            labels = {"labelAngle": -35, "labelAlign": "right"} if slanted else {"labelAngle": 0}
            look = alt.Axis(**labels if channel == "x" else {"labelLimit": 260})
            return make(field, type="ordinal", sort=names, title=title, axis=look)
        scale = alt.Scale(type="log" if axis.log else "linear", zero=False, nice=False, padding=10)
        whole = all(isinstance(value, int) for value in names)
        look = alt.Axis(
            format=",.5~r",  # 10,000 and 0.5
            grid=channel == "y" and not axis.log,
            tickCount=5,
            tickMinStep=1 if whole else alt.Undefined,
        )
        return make(field, type="quantitative", title=title, scale=scale, axis=look)

    def _grid(self, marks: DataFrame) -> Any:
        import altair as alt

        at = {name: self._encoding(name, name, marks) for name in "xy"}
        scale = alt.Scale(zero=False, range=list(DEPTH))
        depth = alt.FillOpacity("depth", type="quantitative", scale=scale, legend=None)
        said = alt.Description("text", type="nominal")
        fields = alt.Chart().encode(**at)
        chosen = fields.transform_filter("datum.chosen")
        return alt.layer(
            fields.mark_rect(fill=SERIES[5]).encode(fillOpacity=depth, description=said),
            chosen.mark_rect(filled=False, stroke=INK, strokeWidth=2, aria=False),
            fields.mark_text(color=INK, fontSize=10.5, aria=False).encode(
                text=alt.Text("label", type="nominal")
            ),
            width={"step": CELL[0]},
            height={"step": CELL[1]},
        )


def _looks(series: Any) -> Mark:
    """Encodings of series by colour, shape and dash, the same in every panel."""
    import altair as alt

    of = styles(series.dropna())
    legend = alt.Undefined if len(of) > 1 else None

    def look(make: Any, values: Iterable[Any], legend: Any) -> Any:
        scale = alt.Scale(domain=[*of], range=list(values))
        return make("series", type="nominal", title=None, scale=scale, legend=legend)

    return {
        "color": look(alt.Color, (style.colour for style in of.values()), legend),
        "shape": look(alt.Shape, (style.shape for style in of.values()), legend),
        "strokeDash": look(alt.StrokeDash, (list(style.dash) for style in of.values()), None),
    }


def of(row: Any, *names: str) -> Mark:
    """Fields of a row for its mark."""
    return {name: getattr(row, name) for name in names}


def levels(marks: DataFrame) -> list[Mark]:
    """Each ``rule`` of some marks with its ``rule_text``, once."""
    if "rule" not in marks:
        return []
    shown = marks.reindex(columns=["rule", "rule_text"]).dropna(subset="rule")
    return flat(shown.drop_duplicates("rule"))


def with_levels(marks: Sequence[Mark], levels: Mapping[float, str]) -> Sequence[Mark]:
    """The marks of a panel, the first of which carry its levels."""
    for mark, (level, text) in zip(marks, levels.items(), strict=False):
        mark |= {"rule": level, "rule_text": text}
    return marks


def picture(
    name: str, title: str, marks: Iterable[Mark], form: Form, notes: Iterable[str], lead: str = ""
) -> Picture:
    """A picture whose words tell the most and the least of every panel, after ``lead``."""
    frame, said = typed(marks), [lead] if lead else []
    for panel, part in frame.dropna(subset=form.value).groupby("panel", sort=False):
        highest, lowest = part[form.value].idxmax(), part[form.value].idxmin()
        least = "" if highest == lowest else f"; lowest, {part['text'][lowest]}"
        said.append(f"{panel}: highest, {part['text'][highest]}{least}.")
    return Picture(name, title, " ".join(said), frame, form, tuple(notes))
