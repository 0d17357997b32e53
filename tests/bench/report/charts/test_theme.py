"""Laws of colours: seen on both papers, by colour-blind eyes and in grey."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from bench.report.charts.theme import COLOURS, SERIES, SHAPES, style, styles

LIGHT, DARK = range(2)

# Machado, Oliveira & Fernandes (2009), severity 1, for linear RGB.
EYES = {
    "any": "1 0 0  0 1 0  0 0 1",
    "protanopia": "0.152 1.053 -0.205  0.115 0.786 0.099  -0.004 -0.048 1.052",
    "deuteranopia": "0.367 0.861 -0.228  0.280 0.673 0.047  -0.012 0.043 0.969",
    "tritanopia": "1.256 -0.077 -0.179  -0.078 0.931 0.148  0.005 0.691 0.304",
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


def contrast(one: str, other: str) -> float:
    """Contrast ratio (WCAG 2), from 1 to 21."""
    low, high = sorted(linear(c) @ [0.2126, 0.7152, 0.0722] + 0.05 for c in (one, other))
    return float(high / low)


def series(theme: int) -> list[str]:
    return [pair[theme] for pair in COLOURS.values() if pair[LIGHT] in SERIES]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_every_colour_stands_out_from_the_paper_and_its_neighbours_in_grey(theme: int) -> None:
    paper, ink, soft = (COLOURS[name][theme] for name in ("paper", "ink", "soft"))
    colours = series(theme)
    assert min(contrast(colour, paper) for colour in colours) >= 3
    assert contrast(ink, paper) >= 7
    assert contrast(soft, paper) >= 4.5
    for one, after in pairwise([*colours, colours[0]]):
        assert contrast(one, after) >= 1.4, (one, after)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("eye", EYES)
def test_no_two_colours_look_the_same_to_any_eye(theme: int, eye: str) -> None:
    seen = np.array(EYES[eye].split(), float).reshape(3, 3)
    places = [lab(seen @ linear(colour)) for colour in series(theme)]
    # A difference of about 2.3 is just noticeable.
    assert min(np.linalg.norm(one - other) for one, other in combinations(places, 2)) >= 14


def test_series_differ_in_colour_or_shape_as_long_as_there_are_pairs_of_them() -> None:
    distinct = len(SERIES) * len(SHAPES)
    assert len({style(number)[:2] for number in range(distinct)}) == distinct
    assert styles(["a", "b", "a", "c"]) == {"a": style(0), "b": style(1), "c": style(2)}
    for number in range(distinct):
        pairs = zip(style(number), style(number + 1), strict=True)
        assert all(one != after for one, after in pairs)
