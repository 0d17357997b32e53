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

from bench.report.charts.palette import INK, SERIES, Style, styles
from bench.report.frame import flat, typed
from bench.report.section import Picture

if TYPE_CHECKING:
    from pandas import DataFrame

Mark = dict[str, Any]
Marks = list[Mark]

WIDE, NARROW, HIGH = 420, 290, 220
"""Width of a lone panel and of several, and their height, in pixels."""

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
        legend = alt.Legend(title=None) if len(self.of) > 1 else None
        scale = alt.Scale(domain=[*self.of], range=list(values))
        return getattr(alt, name)("series:N", scale=scale, legend=legend)


def side_by_side(frame: DataFrame, draw: Callable[[Marks, Looks, int], Any]) -> Any:
    """The panels of a frame in the order of its rows, with one legend."""
    import altair as alt

    looks = Looks(frame)
    groups: dict[str, Marks] = {}
    for mark in flat(frame):
        groups.setdefault(mark["panel"], []).append(mark)
    width = WIDE if len(groups) == 1 else NARROW
    charts = [draw(marks, looks, width).properties(title=title) for title, marks in groups.items()]
    return alt.concat(*charts, columns=3).resolve_scale(
        color="shared", shape="shared", strokeDash="shared"
    )


def data(marks: Marks, *names: str) -> Any:
    """The marks that have all of some fields, as far as they are drawn."""
    import altair as alt

    there = [mark for mark in marks if all(mark.get(name) is not None for name in names)]
    kept = (*names, "series", "text")
    return alt.Data(values=[{name: mark.get(name) for name in kept} for mark in there])


def numeric(channel: str, axis: Axis, marks: Marks, *names: str) -> Any:
    """The encoding of a numeric axis that holds all values of the fields ``names``."""
    import altair as alt

    values = [mark[name] for mark in marks for name in names if mark.get(name) is not None]
    low, high = min(values, default=1), max(values, default=1)
    if low == high:
        low, high = (low / 2, high * 2) if axis.log else (low - 1, high + 1)
    whole = all(isinstance(mark.get(channel), int) for mark in marks)
    return getattr(alt, channel.upper())(
        f"{channel}:Q",
        title=axis.named(marks),
        scale=alt.Scale(
            type="log" if axis.log else "linear", domain=[low, high], nice=False, padding=10
        ),
        axis=alt.Axis(format=NUMBER, tickCount=5, tickMinStep=1 if whole else alt.Undefined),
    )


def rules(marks: Marks, channel: str = "y") -> list[Any]:
    """A dashed line at each level of the panel, with its words at one end of it."""
    import altair as alt

    levels = {m["rule"]: m.get("rule_text") or "" for m in marks if m.get("rule") is not None}
    layers = []
    for number, (level, words) in enumerate(levels.items()):
        base = alt.Chart(alt.Data(values=[{}])).encode(**{channel: alt.datum(level)})
        dash = [4, 3] if number % 2 == 0 else [1.5, 2.5]
        layers.append(base.mark_rule(color=INK, strokeDash=dash, aria=False))
        # Two levels may be close: their words stand at the left and the right in turns.
        place: Mark = {"align": "right", "x": "width", "dx": -3}
        place = place if number % 2 else {"align": "left", "x": 3}
        if words:
            look = {"baseline": "bottom", "dy": -2, "fontSize": 10, "color": INK, "aria": False}
            layers.append(base.mark_text(text=words, **look, **place))
    return layers
