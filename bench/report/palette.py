"""Colours, markers and dashes of series: safe for colour-blind eyes, readable in grey, two themes.

The hues are about those of Okabe and Ito, moved in lightness: every colour has at least 3:1
contrast on the background of its theme (WCAG 1.4.11), and dark and light ones take turns, so that
neighbours in a legend differ in grey as well. Each series also has its own marker and dash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bench.report.figure import Figure

Marker = Literal[
    "circle", "square", "triangle", "diamond", "plus", "cross", "triangle-down", "star", "ring"
]

Dash = tuple[float, ...]
"""Lengths of ink and gap in points, in turns; empty for a solid line."""


@dataclass(frozen=True)
class Theme:
    """What is not a series: paper, words, lines of the grid."""

    background: str
    ink: str
    muted: str
    grid: str


LIGHT = Theme(background="#ffffff", ink="#1c2126", muted="#555e68", grid="#dfe4e9")
DARK = Theme(background="#14181d", ink="#e8ebee", muted="#a3adb7", grid="#2f3740")


@dataclass(frozen=True)
class Style:
    """How a series looks.

    Attributes:
        light, dark: its colour in either theme.
        marker: of its points.
        dash: of its line.
        hatch: of its bars.
        width: of its line, in points.
        size: of its markers, in points.
    """

    light: str
    dark: str
    marker: Marker
    dash: Dash
    hatch: str
    width: float = 1.8
    size: float = 7.0

    def colour(self, *, dark: bool) -> str:
        """The colour in a theme."""
        return self.dark if dark else self.light


COLOURS: tuple[tuple[str, str], ...] = (
    ("#0a4a9e", "#3f82d4"),  # blue
    ("#e0530a", "#ffa462"),  # vermilion
    ("#006b49", "#1ead7c"),  # green
    ("#cc79a7", "#f1b5cd"),  # pink
    ("#333333", "#9a8ba5"),  # grey
    ("#2e8ac6", "#8fd2ff"),  # sky
    ("#8a2b06", "#d9613a"),  # rust
    ("#74a030", "#e6ef6e"),  # lime
)
"""In the light theme and in the dark one."""

MARKERS: tuple[Marker, ...] = (
    "circle", "square", "triangle", "diamond", "plus", "cross", "triangle-down", "star"
)  # fmt: skip

DASHES: tuple[Dash, ...] = ((), (6, 2.5), (1.5, 2), (7, 2, 1.5, 2), (11, 3))

HATCHES = ("", "/", "x", "-", "\\", "|", "+", ".")

EMPHASIS = Style(LIGHT.ink, DARK.ink, "ring", (), "", width=2.6, size=12.0)
"""Of what is drawn above everything else: a Pareto front."""

DISTINCT = len(COLOURS) * len(MARKERS)
"""So many series differ in colour or marker."""


def style(number: int) -> Style:
    """The style of the series with that number, from 0.

    Each round through the colours moves markers, dashes and hatches on by one.
    """
    turn = number + number // len(COLOURS)
    light, dark = COLOURS[number % len(COLOURS)]
    return Style(
        light=light,
        dark=dark,
        marker=MARKERS[turn % len(MARKERS)],
        dash=DASHES[turn % len(DASHES)],
        hatch=HATCHES[turn % len(HATCHES)],
    )


def styles(figure: Figure) -> dict[str, Style]:
    """Label of a series -> its style, the same in every panel of the figure."""
    found = [series for panel in figure.panels for series in panel.series]
    strong = dict.fromkeys(series.label for series in found if series.emphasised)
    plain = _distinct(series.label for series in found if series.label not in strong)
    return {label: style(n) for n, label in enumerate(plain)} | dict.fromkeys(strong, EMPHASIS)


def _distinct(labels: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(labels))


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2), 0 for black and 1 for white."""
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2), from 1 to 21.

    >>> contrast("#ffffff", "#000000")
    21.0
    """
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)
