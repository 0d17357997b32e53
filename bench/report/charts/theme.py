"""The look of pictures: safe for colour-blind eyes, readable in grey, in two themes.

The hues are about those of Okabe and Ito, moved in lightness: every colour has at least 3:1
contrast on the background of its theme (WCAG 1.4.11), and dark and light ones take turns, so that
neighbours in a legend differ in grey as well. Each series also has its own shape and dash.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

COLOURS = {
    "paper": ("#ffffff", "#14181d"),
    "ink": ("#1c2126", "#e8ebee"),
    "soft": ("#555e68", "#a3adb7"),
    "line": ("#dfe4e9", "#2f3740"),
    "s0": ("#0a4a9e", "#3f82d4"),  # blue
    "s1": ("#e0530a", "#ffa462"),  # vermilion
    "s2": ("#006b49", "#1ead7c"),  # green
    "s3": ("#cc79a7", "#f1b5cd"),  # pink
    "s4": ("#333333", "#9a8ba5"),  # grey
    "s5": ("#2e8ac6", "#8fd2ff"),  # sky
    "s6": ("#8a2b06", "#d9613a"),  # rust
    "s7": ("#74a030", "#e6ef6e"),  # lime
}
"""Name of a variable of the page -> the colour in the light theme and in the dark one."""

PAPER, INK, SOFT, LINE, *SERIES = (light for light, _ in COLOURS.values())
"""Files are drawn in the light theme; so are pictures of the page, before names replace colours."""

VARIABLES = {light: f"var(--{name})" for name, (light, _) in COLOURS.items()}
"""A colour of the light theme -> as the page calls it."""

SHAPES = {
    "circle": "M11 6A5 5 0 1 1 1 6a5 5 0 0 1 10 0z",
    "square": "M1.5 1.5h9v9h-9z",
    "triangle-up": "M6 1l5 9H1z",
    "diamond": "M6 .5L10.5 6 6 11.5 1.5 6z",
    "cross": "M4 1h4v3h3v4H8v3H4V8H1V4h3z",
    "triangle-down": "M6 11l5-9H1z",
    "triangle-right": "M11 6L2 11V1z",
    "triangle-left": "M1 6l9-5v10z",
}
"""Vega's name of a shape -> its outline in a square of 12, for legends of the page."""

DASHES: tuple[tuple[float, ...], ...] = ((1, 0), (6, 2.5), (1.5, 2), (7, 2, 1.5, 2), (11, 3))
"""Lengths of ink and gap in pixels, in turns."""


class Style(NamedTuple):
    """How a series looks: its colour in the light theme, its shape, its dash."""

    colour: str
    shape: str
    dash: tuple[float, ...]


def style(number: int) -> Style:
    """The style of the series with that number, from 0.

    Each round through the colours moves shapes and dashes on by one.
    """
    turn = number + number // len(SERIES)
    return Style(
        SERIES[number % len(SERIES)], [*SHAPES][turn % len(SHAPES)], DASHES[turn % len(DASHES)]
    )


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """Label of a series -> its style, in the order in which they appear."""
    return {label: style(number) for number, label in enumerate(dict.fromkeys(labels))}


FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
CONFIG: dict[str, Any] = {
    "background": PAPER,
    "padding": {"left": 10, "right": 10, "top": 5, "bottom": 5},
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "aria": False,
        "labelFontSize": 11,
        "titleFontSize": 11.5,
        "labelColor": SOFT,
        "titleColor": INK,
        "titleFontWeight": "normal",
        "titlePadding": 8,  # the page may have a wider font
        "gridColor": LINE,
        "domainColor": SOFT,
        "tickColor": SOFT,
        "tickSize": 4,
        "labelOverlap": True,
    },
    "legend": {
        "labelFontSize": 11,
        "aria": False,
        "labelColor": INK,
        "symbolOpacity": 1,
        "orient": "bottom",
        "columns": 4,
        "labelLimit": 260,
    },
    "title": {
        "aria": False,
        "fontSize": 12.5,
        "color": INK,
        "anchor": "start",
        "limit": 420,
    },
    "axisX": {"grid": False},
    "axisBand": {"grid": False},
    "concat": {"spacing": 28},
}
