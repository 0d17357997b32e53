"""A picture for plotly.js: its traces and layout as strict JSON, and plotly's own script.

No colour stands in a trace. A template holds all of them, so that a page changes its theme with
``Plotly.relayout(div, spec.dark_layout)`` and back with ``{template: spec.layout.template}``, and
stacks the panels on a narrow screen with ``Plotly.relayout(div, spec.narrow_layout)``. Both
patches may as well be assigned to the layout before the picture is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.report import scale
from bench.report.figure import Axis, Figure, Panel, Rule, Series
from bench.report.palette import DARK, EMPHASIS, LIGHT, Dash, Marker, Style, styles
from bench.report.plotly_layout import Json, grid, shared, template

COLUMNS = 3
"""Panels that stand side by side on a wide page."""

CONFIG: Json = {
    "responsive": True,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "svg"},
}

_SYMBOLS: dict[Marker, str] = {
    "circle": "circle",
    "square": "square",
    "triangle": "triangle-up",
    "diamond": "diamond",
    "plus": "cross",
    "cross": "x",
    "triangle-down": "triangle-down",
    "star": "star",
    "ring": "circle-open",
}


def spec(figure: Figure) -> Json:
    """The picture.

    Returns:
        ``data`` and ``layout`` (light theme, wide page), ``config`` for ``Plotly.newPlot``, and two
        patches of the layout: ``dark_layout`` and ``narrow_layout``.
    """
    known = styles(figure)
    data: list[Json] = []
    worn: list[Style] = []
    layout: Json = {"template": {}, "shapes": [], "annotations": []}
    for number, panel in enumerate(figure.panels):
        suffix = "" if number == 0 else str(number + 1)
        layout[f"xaxis{suffix}"] = _x_axis(panel, f"y{suffix}")
        layout[f"yaxis{suffix}"] = _y_axis(panel, f"x{suffix}")
        rules = [rule for rule in panel.rules if _drawn(rule, panel.y)]
        layout["annotations"].append(_title(panel.title, suffix))
        layout["shapes"] += [_rule(rule, n, suffix) for n, rule in enumerate(rules)]
        # What is emphasised comes last: it lies above the others.
        for series in sorted(panel.series, key=lambda one: one.emphasised):
            first = series.label not in [trace["legendgroup"] for trace in data]
            trace = _trace(series, panel, known[series.label])
            trace |= {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": first}
            data.append(trace)
            worn.append(known[series.label])
        if rules:
            data.append(_widening(rules, panel, suffix))
            worn.append(EMPHASIS)
    lines = len(known) if len(known) > 1 else 0
    layout |= shared(shown=lines > 0)
    layout |= grid(len(figure.panels), COLUMNS, lines, across=4)
    layout["template"] = template(LIGHT, [one.light for one in worn])
    return {
        "data": data,
        "layout": layout,
        "config": CONFIG,
        "dark_layout": {"template": template(DARK, [one.dark for one in worn])},
        "narrow_layout": grid(len(figure.panels), 1, lines, across=1),
    }


def script() -> str:
    """plotly.js, minified, from the installed package: about 4.8 MB, to be inlined once."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def escape(text: str) -> str:
    """``text`` on one line, without anything that plotly would read as markup.

    >>> escape("a <b> & c")
    'a &lt;b&gt; &amp; c'
    """
    line = " ".join(text.split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _trace(series: Series, panel: Panel, style: Style) -> Json:
    kind = scale.across(panel).kind
    xs = [scale.place(value, panel.x) for value in series.x]
    if kind == "category":
        xs = [None if value is None else escape(scale.word(value)) for value in xs]
    ys = [_number(value, panel.y) for value in series.y]
    trace: Json = {
        "type": "scatter",
        "name": escape(series.label),
        "legendgroup": escape(series.label),
        "x": xs,
        "y": ys,
        "hovertext": [_hover(series, panel, at) for at in range(len(xs))],
        "hovertemplate": "%{hovertext}<extra>%{fullData.name}</extra>",
    }
    if series.low and series.high:
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": _ends(series.high, series.y, 1),
            "arrayminus": _ends(series.low, series.y, -1),
            "thickness": 1.2,
            "width": 3,
        }
    if series.mode == "bars":
        pattern = {"shape": style.hatch, "solidity": 0.3}
        return trace | {"type": "bar", "marker": {"pattern": pattern}}
    # plotly's triangles are flat.
    size = style.size * (1.35 if style.marker.startswith("triangle") else 1.15)
    marker = {"symbol": _SYMBOLS[style.marker], "size": size}
    if series.mode == "points":
        return trace | {"mode": "markers", "marker": marker}
    line = {"width": style.width, "dash": _dash(style.dash)}
    return trace | {"mode": "lines+markers", "marker": marker, "line": line, "connectgaps": False}


def _ends(
    ends: Sequence[float | None], values: Sequence[float | None], side: int
) -> list[float | None]:
    """Lengths of the arms of intervals, never negative."""
    return [
        None
        if end is None or value is None or not math.isfinite(end - value)
        else max(0.0, side * (float(end) - float(value)))
        for end, value in zip(ends, values, strict=True)
    ]


def _hover(series: Series, panel: Panel, at: int) -> str:
    if series.texts:
        return escape(series.texts[at])
    x, y = series.x[at], series.y[at]
    if x is None or y is None:
        return ""
    told = f"{panel.x.label}: {scale.word(x)}; {panel.y.label}: {scale.word(y)}"
    ends = (series.low[at], series.high[at]) if series.low and series.high else (None, None)
    if ends[0] is not None and ends[1] is not None:
        told += f" [{scale.word(ends[0])}, {scale.word(ends[1])}]"
    return escape(told)


def _x_axis(panel: Panel, anchor: str) -> Json:
    found = scale.across(panel)
    axis = _axis(panel.x, found, anchor)
    if found.kind == "category":
        names = [escape(name) for name in found.categories]
        axis |= {"categoryorder": "array", "categoryarray": names}
    return axis


def _y_axis(panel: Panel, anchor: str) -> Json:
    return _axis(panel.y, scale.upright(panel), anchor)


def _axis(axis: Axis, found: scale.Scale, anchor: str) -> Json:
    made: Json = {
        "type": found.kind,
        "anchor": anchor,
        "title": {"text": escape(axis.label), "standoff": 8},
    }
    if found.ticks is not None:
        made |= {"tickvals": list(found.ticks), "ticktext": [scale.word(t) for t in found.ticks]}
    return made


def _title(text: str, suffix: str) -> Json:
    return {
        "text": f"<b>{escape(text)}</b>" if text else "",
        "showarrow": False,
        "xref": f"x{suffix} domain",
        "yref": f"y{suffix} domain",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "bottom",
        "yshift": 6,
    }


def _rule(rule: Rule, number: int, suffix: str) -> Json:
    """Its words stand above it, at the left and the right in turns: two levels may be close."""
    left = number % 2 == 0
    return {
        "type": "line",
        "layer": "below",
        "xref": f"x{suffix} domain",
        "yref": f"y{suffix}",
        "x0": 0,
        "x1": 1,
        "y0": float(rule.y),
        "y1": float(rule.y),
        "line": {"width": 1.3, "dash": "5px,3px" if left else "1.5px,2.5px"},
        "label": {
            "text": escape(rule.label),
            "textposition": "start" if left else "end",
            "yanchor": "bottom",
            "font": {"size": 11},
        },
    }


def _widening(rules: Sequence[Rule], panel: Panel, suffix: str) -> Json:
    """Points that nobody sees: a shape does not widen an axis so that it can be seen itself."""
    xs = [scale.place(value, panel.x) for series in panel.series for value in series.x]
    first = next((value for value in xs if value is not None), 1)
    if scale.across(panel).kind == "category":
        first = escape(scale.word(first))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "",
        "legendgroup": "",
        "x": [first] * len(rules),
        "y": [float(rule.y) for rule in rules],
        "opacity": 0,
        "hoverinfo": "skip",
        "showlegend": False,
        "xaxis": f"x{suffix}",
        "yaxis": f"y{suffix}",
    }


def _drawn(rule: Rule, axis: Axis) -> bool:
    return _number(rule.y, axis) is not None


def _number(value: float | None, axis: Axis) -> float | None:
    found = scale.place(value, axis)
    return None if isinstance(found, str) else found


def _dash(dash: Dash) -> str:
    return ",".join(f"{length:g}px" for length in dash) if dash else "solid"
