"""What is drawn inside the axes of a picture through matplotlib: points, lines, bars, rules."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report import scale
from bench.report.figure import Panel, Series
from bench.report.palette import DARK, LIGHT, Dash, Marker, Style, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS: dict[Marker, str] = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "plus": "P",
    "cross": "X",
    "triangle-down": "v",
    "star": "*",
    "ring": "o",
}


def series_in(one: Axes, panel: Panel, series: Series, style: Style, *, dark: bool) -> Any:
    """Draw it; returns what stands for it in the legend."""
    across, colour = scale.across(panel), style.colour(dark=dark)
    xs = np.array([_place(value, panel, across) for value in series.x], dtype=np.float64)
    ys = _floats(scale.place(value, panel.y) for value in series.y)
    if series.mode == "bars":
        return _bars(one, panel, series, style, (xs, ys), dark=dark)
    above = 4 if series.emphasised else 3
    if series.low and series.high:
        _interval(one, series, xs, ys, colour, above)
    (drawn,) = one.plot(
        xs,
        ys,
        color=colour,
        marker=_MARKERS[style.marker],
        markersize=style.size * 0.72,
        markerfacecolor="none" if style.marker == "ring" else colour,
        markeredgecolor=colour,
        markeredgewidth=1.4 if style.marker == "ring" else 0.4,
        linestyle="none" if series.mode == "points" else _dashes(style.dash),
        linewidth=style.width * 0.8,
        zorder=above,
    )
    return drawn


def _bars(
    one: Axes,
    panel: Panel,
    series: Series,
    style: Style,
    at: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
    *,
    dark: bool,
) -> Any:
    """Bars of a panel stand beside each other."""
    xs, ys = at
    beside = [other.label for other in panel.series if other.mode == "bars"]
    width = 0.8 / len(beside)
    xs = xs + width * (beside.index(series.label) - (len(beside) - 1) / 2)
    theme = DARK if dark else LIGHT
    drawn = one.bar(
        xs,
        ys,
        width,
        color=style.colour(dark=dark),
        hatch=style.hatch * 2,
        edgecolor=theme.background,
        linewidth=0.4,
        zorder=2,
    )
    if series.low and series.high:
        _interval(one, series, xs, ys, theme.ink, 3)
    return drawn


def _interval(
    one: Axes,
    series: Series,
    xs: np.ndarray[Any, Any],
    ys: np.ndarray[Any, Any],
    colour: str,
    above: int,
) -> None:
    low, high = _floats(series.low), _floats(series.high)
    arms = np.clip(np.vstack([ys - low, high - ys]), 0, None)
    there = np.isfinite(arms).all(axis=0) & np.isfinite(xs)
    one.errorbar(
        xs[there],
        ys[there],
        yerr=arms[:, there],
        fmt="none",
        ecolor=colour,
        elinewidth=0.9,
        capsize=2,
        capthick=0.9,
        zorder=above,
    )


def rules_in(one: Axes, panel: Panel, theme: Theme) -> None:
    """Their words stand right of the axes, where no data are; those of two lines part."""
    rules = [rule for rule in panel.rules if scale.place(rule.y, panel.y) is not None]
    highest = max((rule.y for rule in rules), default=None)
    for number, rule in enumerate(rules):
        dash = (4, 3) if number % 2 == 0 else (1.2, 2)
        apart = "bottom" if rule.y == highest else "top"
        one.axhline(rule.y, color=theme.ink, linewidth=0.9, linestyle=(0, dash), zorder=2.5)
        one.annotate(
            textwrap.fill(one_line(rule.label), 13, break_on_hyphens=False),
            (1, rule.y),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center" if len(rules) == 1 else apart,
            fontsize=7,
            linespacing=1.0,
            color=theme.ink,
            annotation_clip=False,
        )


def _place(value: Any, panel: Panel, across: scale.Scale) -> float:
    if value is None:
        return math.nan
    if across.kind == "category":
        return float(across.categories.index(scale.word(value)))
    found = scale.place(value, panel.x)
    return math.nan if found is None else float(found)


def _floats(values: Any) -> np.ndarray[Any, Any]:
    return np.array([math.nan if v is None else float(v) for v in values], dtype=np.float64)


def _dashes(dash: Dash) -> Any:
    return (0, tuple(length / 1.6 for length in dash)) if dash else "solid"


def one_line(text: str) -> str:
    """``text`` without line breaks and runs of blanks."""
    return " ".join(text.split())
