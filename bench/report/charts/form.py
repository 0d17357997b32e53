"""Pictures from marks: panels side by side with one legend, and the words for who sees none.

A frame of marks has a row per mark: ``panel`` it is in, ``x``, ``y``, perhaps ``low`` and ``high``
of a 95 % interval, ``series`` that gives it a colour and a shape, and ``text``, what is said of it.
``rule`` and ``rule_text``: a level across the panel. ``metric`` names the axis of a score. Fields
such as ``task`` and ``method`` are for ``--select``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bench.report.charts.palette import INK, PAPER, SERIES, Style, styles
from bench.report.frame import flat, typed
from bench.report.section import Picture

if TYPE_CHECKING:
    from pandas import DataFrame

Mark = dict[str, Any]
Marks = list[Mark]

WIDE, NARROW, HIGH = 420, 290, 220
"""Width of a lone panel and of several, and their height, in pixels."""

DRAWN = (
    "x",
    "y",
    "low",
    "high",
    "start",
    "series",
    "text",
    "faint",
    "front",
    "depth",
    "label",
    "chosen",
)

NUMBER = ",.6~g"
"""How axes write numbers: 10,000 and 0.5."""


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: with the unit, e.g. ``added time, ms``; ``{metric}`` is that of the panel.
        log: logarithmic; values must be positive.
    """

    title: str
    log: bool = False

    def named(self, marks: Marks) -> str | None:
        """The title in a panel."""
        return self.title.format(metric=marks[0].get("metric") or "score") or None


class Form(Protocol):
    """How marks are drawn.

    Attributes:
        value: the field that says how much: what intervals are of.
    """

    @property
    def x(self) -> Axis:
        """From left to right."""

    @property
    def y(self) -> Axis:
        """From bottom to top."""

    @property
    def value(self) -> str:
        """The field of what is measured, ``x`` or ``y``."""

    def __call__(self, frame: DataFrame) -> Any:
        """The chart, a concatenation of panels."""


def picture(
    name: str, title: str, marks: Iterable[Mark], form: Form, notes: Sequence[str], lead: str = ""
) -> Picture:
    """A picture whose words tell the most and the least of every panel, after ``lead``."""
    every = list(marks)
    told = [lead] if lead else []
    panels: dict[str, Marks] = {}
    for mark in every:
        if mark.get(form.value) is not None:
            panels.setdefault(mark["panel"], []).append(mark)
    for panel, there in panels.items():
        low, high = (pick(there, key=lambda mark: mark[form.value]) for pick in (min, max))
        least = "" if low is high else f"; lowest, {low['text']}"
        told.append(f"{panel}: highest, {high['text']}{least}.")
    return Picture(name, title, " ".join(told), typed(every), form, tuple(notes))


class Looks:
    """Encodings of series by colour, shape and dash, the same in every panel."""

    def __init__(self, frame: DataFrame) -> None:
        self.of: dict[str, Style] = styles(frame["series"].dropna()) if "series" in frame else {}

    @property
    def colour(self) -> Any:
        """Of marks."""
        return self._channel("Color", [style.colour for style in self.of.values()], SERIES[0])

    @property
    def shape(self) -> Any:
        """Of points."""
        return self._channel("Shape", [style.shape for style in self.of.values()], "circle")

    @property
    def dash(self) -> Any:
        """Of lines."""
        return self._channel("StrokeDash", [list(s.dash) for s in self.of.values()], [1, 0])

    def _channel(self, name: str, values: Sequence[Any], alone: Any) -> Any:
        import altair as alt

        if not self.of:
            return getattr(alt, f"{name}Value")(alone)
        scale = alt.Scale(domain=[*self.of], range=list(values))
        look: Mark = {"type": "nominal", "title": None, "scale": scale}
        if len(self.of) == 1 or name == "StrokeDash":
            look["legend"] = None
        return getattr(alt, name)("series", **look)


def side_by_side(frame: DataFrame, draw: Callable[[Marks, Looks, int], Any]) -> Any:
    """The panels of a frame in the order of its rows, with one legend.

    Each panel reads its marks as a named data set: Altair copies what stands in a chart.
    """
    import altair as alt

    looks = Looks(frame)
    panels: dict[str, Marks] = {}
    for mark in flat(frame):
        panels.setdefault(mark["panel"], []).append(mark)
    width = WIDE if len(panels) == 1 else NARROW
    charts = []
    for title, marks in panels.items():
        charts.append(draw(marks, looks, width))
        charts[-1].title, charts[-1].data = title, alt.NamedData(title)
    shared = alt.Resolve(scale={"color": "shared", "shape": "shared", "fillOpacity": "independent"})
    chart = alt.concat(*charts, columns=2 if len(panels) == 4 else 3, resolve=shared)
    chart.datasets = {title: [_drawn(mark) for mark in marks] for title, marks in panels.items()}
    return chart


def _drawn(mark: Mark) -> Mark:
    """What of a mark is drawn or said."""
    return {name: mark[name] for name in DRAWN if name in mark}


def where(*names: str, text: str = "") -> Any:
    """A chart of the marks that have all fields ``names``, and for which an expression holds."""
    import altair as alt

    tests = [f"datum.{name} != null" for name in names] + ([text] if text else [])
    return alt.Chart().transform_filter(" && ".join(tests))


def numeric(channel: str, axis: Axis, marks: Marks, *names: str) -> Any:
    """The encoding of a numeric axis that holds all values of the fields ``names``."""
    import altair as alt

    values = [mark[name] for mark in marks for name in names if mark.get(name) is not None]
    values = [value for value in values if value > 0 or not axis.log]
    low, high = min(values, default=1), max(values, default=1)
    if low == high:
        low, high = (low / 2, high * 2) if axis.log else (low - 1, high + 1)
    grid = channel == "y" and not axis.log
    whole = all(isinstance(mark.get(channel), int) for mark in marks)
    return getattr(alt, channel.upper())(
        channel,
        type="quantitative",
        title=axis.named(marks),
        scale=alt.Scale(
            type="log" if axis.log else "linear", domain=[low, high], nice=False, padding=10
        ),
        axis=alt.Axis(
            format=NUMBER, grid=grid, tickCount=5, tickMinStep=1 if whole else alt.Undefined
        ),
    )


def said() -> Any:
    """The encoding that gives a mark its words."""
    import altair as alt

    return alt.Description("text", type="nominal")


def from_field(axis: Any, name: str) -> Any:
    """The same encoding of another field, e.g. of an interval's lower end."""
    end = axis.copy(deep=False)
    end.shorthand = name
    return end


def rules(marks: Marks, channel: str, axis: Axis) -> tuple[list[Any], list[Any]]:
    """A dashed line at each level of the panel, and its words, which lie above lines."""
    import altair as alt

    levels = {m["rule"]: m.get("rule_text") or "" for m in marks if m.get("rule") is not None}
    lines, words = [], []
    for number, (level, text) in enumerate(levels.items()):
        grid = alt.Axis(grid=channel == "y" and not axis.log)
        place = alt.datum(level, scale=alt.Scale(zero=False), axis=grid)
        base = alt.Chart(alt.InlineData(values=[{}])).encode(**{channel: place})
        dash = [4, 3] if number % 2 == 0 else [1.5, 2.5]
        lines.append(base.mark_rule(color=INK, strokeDash=dash, aria=False))
        # Two levels may be close: their words stand at the left and the right in turns.
        look: Mark = {"align": "right", "x": "width", "dx": -3}
        look = look if number % 2 else {"align": "left", "x": 3}
        look |= {"baseline": "bottom", "dy": -2, "fontSize": 10, "aria": False}
        halo: Mark = {"color": PAPER, "stroke": PAPER, "strokeWidth": 3, "strokeJoin": "round"}
        for paint in (halo, {"color": INK}) if text else ():
            words.append(base.mark_text(text=text, **look, **paint))
    return lines, words
