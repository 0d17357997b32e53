"""Pictures that renderers are tried on."""

from __future__ import annotations

import math

import numpy as np

from bench.report.figure import Axis, Figure, Panel, Rule, Series

HOSTILE = "_a <b>&amp; $x$ %{y} \"q\" 'p'\n~^\\"


def plain() -> Figure:
    """Two panels that share a label: lines with intervals on log axes, points and bars on words."""
    lines = Series(
        "kd",
        (1, 10, 100),
        (1.0, 2.0, None),
        low=(0.5, 1.5, None),
        high=(2.0, 4.0, None),
    )
    front = Series("front", (1, 10), (1.5, 2.5), emphasised=True)
    points = Series("reaugkd", ("off", "on", "on"), (70.0, 71.0, 72.0), mode="points")
    bars = Series("kd", ("off", "on"), (69.0, 68.0), (68.0, 67.0), (70.0, 69.0), mode="bars")
    return Figure(
        "plain",
        "A picture",
        "It goes from 1 to 2.",
        (
            Panel(
                "left",
                Axis("size", log=True),
                Axis("overhead, %", log=True),
                (front, lines),
                (Rule("limit 3 %", 3.0),),
            ),
            Panel("right", Axis(""), Axis("points"), (points, bars)),
        ),
        ("A note.",),
    )


def odd() -> Figure:
    """Names with everything that a format may read as its own, values that are no numbers."""
    series = Series(
        HOSTILE,
        (0.0, -1.0, math.nan, math.inf, np.float32(2.0), None),
        (1.0, 1.0, 1.0, 1.0, np.float64(3.0), 1.0),
        low=(math.nan, 0.0, 0.0, 0.0, np.float64(2.0), None),
        high=(math.inf, 2.0, 2.0, 2.0, 5.0, None),
        texts=(HOSTILE,) * 6,
    )
    words = Series("two", (HOSTILE, "b"), (1.0, -math.inf))
    rules = (Rule(HOSTILE, 0.0), Rule("nan", math.nan), Rule("in", 2.0))
    log = Axis(HOSTILE, log=True)
    return Figure(
        "odd",
        HOSTILE,
        HOSTILE,
        (
            Panel(HOSTILE, log, log, (series,), rules),
            Panel("", Axis(""), Axis(""), (words,)),
            Panel("nothing", log, log, ()),
        ),
    )


def many(series: int, panels: int) -> Figure:
    """That many series in each of that many panels."""
    lines = tuple(
        Series(f"series {n}", (1, 2, 3), tuple(n + step / 3 for step in range(3)))
        for n in range(series)
    )
    one = tuple(Panel(f"panel {n}", Axis("x"), Axis("y"), lines) for n in range(panels))
    return Figure("many", "Many", "Many lines.", one)
