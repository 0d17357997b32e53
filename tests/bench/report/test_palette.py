"""Laws of colours: seen on both papers, by colour-blind eyes and in grey."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from bench.report.figure import Axis, Figure, Panel, Series
from bench.report.palette import (
    COLOURS,
    DARK,
    DISTINCT,
    EMPHASIS,
    LIGHT,
    contrast,
    luminance,
    style,
    styles,
)

THEMES = {"light": (0, LIGHT.background), "dark": (1, DARK.background)}

# Machado, Oliveira & Fernandes (2009), severity 1, for linear RGB.
EYES = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour: str) -> np.ndarray:
    share = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, white D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("theme", THEMES)
def test_every_colour_stands_out_from_the_paper(theme: str) -> None:
    at, paper = THEMES[theme]
    assert min(contrast(pair[at], paper) for pair in COLOURS) >= 3


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_words_stand_out_as_text_must(theme: object) -> None:
    assert contrast(theme.ink, theme.background) >= 7  # type: ignore[attr-defined]
    assert contrast(theme.muted, theme.background) >= 4.5  # type: ignore[attr-defined]


@pytest.mark.parametrize("theme", THEMES)
def test_neighbours_differ_in_grey(theme: str) -> None:
    at, _ = THEMES[theme]
    colours = [pair[at] for pair in COLOURS]
    for one, after in zip(colours, [*colours[1:], colours[0]], strict=True):
        assert contrast(one, after) >= 1.4, (one, after)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eye", ["any", *EYES])
def test_no_two_colours_look_the_same_to_any_eye(theme: str, eye: str) -> None:
    at, _ = THEMES[theme]
    seen = np.array(EYES[eye]) if eye != "any" else np.eye(3)
    found = {pair[at]: lab(seen @ linear(pair[at])) for pair in COLOURS}
    # A difference of about 2.3 is just noticeable.
    near = {
        (one, other): float(np.linalg.norm(found[one] - found[other]))
        for one, other in combinations(found, 2)
    }
    assert min(near.values()) >= 14, min(near, key=near.__getitem__)


def test_series_differ_in_colour_or_marker_as_long_as_there_are_pairs_of_them() -> None:
    looks = [(one.light, one.marker) for one in map(style, range(DISTINCT))]
    assert len(set(looks)) == DISTINCT
    assert style(DISTINCT).light == style(0).light


def test_neighbours_differ_in_everything() -> None:
    for number in range(DISTINCT):
        one, after = style(number), style(number + 1)
        for name in ("light", "dark", "marker", "dash", "hatch"):
            assert getattr(one, name) != getattr(after, name)


def test_a_label_looks_the_same_in_every_panel_and_emphasis_takes_no_colour() -> None:
    def panel(*labels: str) -> Panel:
        series = tuple(Series(one, (1,), (1,), emphasised=one == "front") for one in labels)
        return Panel("", Axis("x"), Axis("y"), series)

    figure = Figure("f", "f", "", (panel("a", "front", "b"), panel("b", "c", "front")))
    assert styles(figure) == {"a": style(0), "b": style(1), "c": style(2), "front": EMPHASIS}


def test_luminance_is_that_of_the_web() -> None:
    assert luminance("#ffffff") == pytest.approx(1)
    assert luminance("#808080") == pytest.approx(0.2158605)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
