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
Spec = dict[str, Any]
"""A part of a Vega-Lite specification, or a whole one."""

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
SAID: Spec = {"field": "text", "type": "nominal"}

DRAWN = frozenset(("x", "y", "low", "high", "start", "depth", "series", "text", "label")) | {
    "faint", "front", "chosen"
}  # fmt: skip
"""Fields of marks that a panel reads."""

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

    def __call__(self, frame: DataFrame) -> Spec:
        """The Vega-Lite specification: panels in the order of the rows, with one legend."""
        for name, axis in (("x", self.x), ("y", self.y), ("low", self.y)):
            if axis.log and name in frame:
                frame = frame.assign(**{name: frame[name].where(frame[name] > 0)})
        looks = None if self.kind == "grid" else _looks(frame["series"])
        width = WIDE if frame["panel"].nunique() == 1 else NARROW
        panels = []
        for title, marks in frame.groupby("panel", sort=False):
            panel = self._grid(marks) if looks is None else self._layers(marks, looks, width)
            values = flat(marks[[name for name in marks if name in DRAWN]])
            panels.append({"title": title, "data": {"values": values}, **panel})
        shared = {"color": "shared", "shape": "shared", "fillOpacity": "independent"}
        columns = 2 if len(panels) == 4 else 3
        return {
            "$schema": SCHEMA, "concat": panels, "columns": columns, "resolve": {"scale": shared}
        }  # fmt: skip

    def _layers(self, marks: DataFrame, looks: Spec, width: int) -> Spec:
        value = self.value
        across = "y" if value == "x" else "x"
        at = {across: self._encoding(across, across, marks)}
        both = {**at, value: self._encoding(value, value, marks)}
        fields = {name for name in marks if marks[name].notna().any()}
        lines, words = self._rules(marks)
        for start, end, look in (
            ("start", value, {"strokeWidth": 2, "color": SOFT, "opacity": 0.5}),
            ("low", "high", {"strokeWidth": 1.5}),
        ):
            if start in fields:
                colour = {"color": looks["color"]} if start == "low" else {}
                ends = {value: self._encoding(value, start, marks), f"{value}2": {"field": end}}
                lines.append(_layer("rule", {**at, **ends, **colour}, aria=False, **look))
        if self.kind == "lines":
            series = {name: looks[name] for name in ("color", "strokeDash")}
            lines.append(_layer("line", both | series, aria=False, strokeWidth=1.8))
        if "front" in fields and marks["front"].any():
            front = _layer("line", both, aria=False, color=INK)
            lines.append(front | {"transform": [{"filter": "datum.front"}]})
        points = {
            **both,
            **{name: looks[name] for name in ("color", "shape")},
            "size": {"value": 48, "condition": {"test": "datum.faint", "value": 16}},
            "opacity": {"value": 1, "condition": {"test": "datum.faint", "value": 0.65}},
            "description": SAID,
        }
        height = {"step": ROW} if self.kind == "rows" else HIGH
        layers = [*lines, *words, _layer("point", points, filled=True)]
        return {"layer": layers, "width": width, "height": height}

    def _rules(self, marks: DataFrame) -> tuple[list[Spec], list[Spec]]:
        """A dashed line at each level of the panel, and its words, which lie above lines."""
        lines, words = [], []
        for number, level in enumerate(levels(marks)):
            data = {"data": {"values": [level]}}
            at = {self.value: self._encoding(self.value, "rule", marks)}
            dash = [1.5, 2.5] if number % 2 else [4, 3]
            lines.append(data | _layer("rule", at, color=INK, strokeDash=dash, aria=False))
            # Two levels may be close: their words stand at the left and the right in turns.
            left: Spec = {"align": "left", "x": 3}
            look = {"align": "right", "x": "width", "dx": -3} if number % 2 else left
            look |= {"baseline": "bottom", "dy": -2, "fontSize": 10, "aria": False}
            halo = {"color": PAPER, "stroke": PAPER, "strokeWidth": 3, "strokeJoin": "round"}
            for paint in (halo, {"color": INK}) if (text := level["rule_text"]) else ():
                words.append(data | _layer("text", at, text=text, **look, **paint))
        return lines, words

    def _encoding(self, channel: str, field: str, marks: DataFrame) -> Spec:
        """A field on an axis: as names in the order of the rows where there is a string."""
        axis = self.x if channel == "x" else self.y
        metric = marks["metric"].iloc[0] if "metric" in marks else "score"
        titled = {"field": field, "title": axis.title.format(metric=metric) or None}
        names = marks[channel].dropna().unique().tolist()
        if any(isinstance(name, str) for name in names):
            slanted = self.kind == "lines" and sum(len(name) + 2 for name in names) > SLANTED
            labels = {"labelAngle": -35, "labelAlign": "right"} if slanted else {"labelAngle": 0}
            look: Spec = labels if channel == "x" else {"labelLimit": 260}
            return {**titled, "type": "ordinal", "sort": names, "axis": look}
        kind = "log" if axis.log else "linear"
        scale = {"type": kind, "zero": False, "nice": False, "padding": 10}
        grid = channel == "y" and not axis.log
        look = {"format": ",.5~r", "grid": grid, "tickCount": 5}  # 10,000 and 0.5
        if all(isinstance(value, int) for value in names):
            look["tickMinStep"] = 1
        return {**titled, "type": "quantitative", "scale": scale, "axis": look}

    def _grid(self, marks: DataFrame) -> Spec:
        at = {name: self._encoding(name, name, marks) for name in "xy"}
        scale = {"zero": False, "range": DEPTH}
        depth = {"field": "depth", "type": "quantitative", "scale": scale, "legend": None}
        label = {"field": "label", "type": "nominal"}
        fields = _layer("rect", {**at, "fillOpacity": depth, "description": SAID}, fill=SERIES[5])
        chosen = _layer("rect", at, filled=False, stroke=INK, strokeWidth=2, aria=False)
        chosen |= {"transform": [{"filter": "datum.chosen"}]}
        words = _layer("text", {**at, "text": label}, color=INK, fontSize=10.5, aria=False)
        width, height = CELL
        size = {"width": {"step": width}, "height": {"step": height}}
        return {"layer": [fields, chosen, words], **size}


def _layer(mark: str, encoding: Spec, **look: Any) -> Spec:
    return {"mark": {"type": mark, **look}, "encoding": encoding}


def _looks(series: Any) -> Spec:
    """Encodings of series by colour, shape and dash, the same in every panel."""
    of = styles(series.dropna())
    alone = {"legend": None} if len(of) < 2 else {}

    def look(values: Iterable[Any]) -> Spec:
        scale = {"domain": [*of], "range": [*values]}
        return {"field": "series", "type": "nominal", "title": None, "scale": scale, **alone}

    return {
        "color": look(style.colour for style in of.values()),
        "shape": look(style.shape for style in of.values()),
        "strokeDash": look(style.dash for style in of.values()) | {"legend": None},
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
