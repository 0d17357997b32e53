"""A picture as a file for papers: SVG, PDF or PNG through matplotlib, byte for byte the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.records.store import StoreError
from bench.report import scale
from bench.report.figure import Figure, Panel
from bench.report.palette import DARK, LIGHT, Theme, styles
from bench.report.strokes import one_line, rules_in, series_in
from reaugkd.artifacts.atomic import write_bytes
from reaugkd.errors import UnknownNameError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawn

FORMATS = ("svg", "png", "pdf")

COLUMNS = 3
PANEL = (3.5, 2.7)
"""Width and height of a panel, in inches."""

LEGEND_LINE = 0.18
"""Height of a line of the legend, in inches."""

DPI = 200
MOST_LABELS = 12
"""More categories than these are not all labelled."""

_SETTINGS = {
    "svg.fonttype": "none",  # letters stay letters: they can be searched, read and edited
    "svg.hashsalt": "reaugkd",  # names of clip paths would be random
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a name with $ is a name
    "axes.unicode_minus": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 9.0,
    "path.simplify": False,
}


def write(figure: Figure, path: Path, *, dark: bool = False) -> Path:
    """Draw ``figure`` into a file whose ending is one of :data:`FORMATS`; whole or not at all.

    Raises:
        UnknownNameError: for another ending.
        StoreError: if the file cannot be written.
    """
    content = drawn_as(figure, path.suffix.removeprefix("."), dark=dark)
    try:
        write_bytes(path, content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    return path


def drawn_as(figure: Figure, ending: str, *, dark: bool = False) -> bytes:
    """``figure`` as a file of one of :data:`FORMATS`.

    Two calls give equal bytes: neither a date nor a random name stands in them.

    Raises:
        UnknownNameError: for another format.
    """
    import matplotlib
    import matplotlib.style

    if ending not in FORMATS:
        raise UnknownNameError("format of a picture", ending, FORMATS)
    theme = DARK if dark else LIGHT
    # The defaults of matplotlib, whatever a user's matplotlibrc says.
    with matplotlib.rc_context(), matplotlib.style.context(["default", _SETTINGS]):
        content = BytesIO()
        draw(figure, dark=dark).savefig(
            content,
            format=ending,
            dpi=DPI,
            facecolor=theme.background,
            metadata=_metadata(figure, ending),
        )
    return content.getvalue()


def draw(figure: Figure, *, dark: bool = False) -> Drawn:
    """The picture, with its legend below the panels."""
    from matplotlib.figure import Figure as Canvas  # no pyplot: it keeps every figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    theme = DARK if dark else LIGHT
    columns, rows = grid(len(figure.panels))
    known = styles(figure)
    across = _legend_columns(list(known), columns) if len(known) > 1 else 1
    lines = math.ceil(len(known) / across) if len(known) > 1 else 0
    height = PANEL[1] * rows + LEGEND_LINE * lines
    engine = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
    drawn = Canvas(figsize=(PANEL[0] * columns, height), layout=engine)
    axes = drawn.subplots(rows, columns, squeeze=False).flatten()
    handles: dict[str, Any] = {}
    for panel, one in zip(figure.panels, axes, strict=False):
        _frame(one, panel, theme)
        # What is emphasised comes last: it lies above the others.
        for series in sorted(panel.series, key=lambda found: found.emphasised):
            handle = series_in(one, panel, series, known[series.label], dark=dark)
            handles.setdefault(series.label, handle)
        rules_in(one, panel, theme)
    for one in axes[len(figure.panels) :]:
        one.set_axis_off()
    if len(handles) > 1:
        _legend(drawn, handles, theme, across)
    return drawn


def grid(panels: int) -> tuple[int, int]:
    """Columns and rows; four panels make a square.

    >>> grid(1), grid(4), grid(7)
    ((1, 1), (2, 2), (3, 3))
    """
    columns = 2 if panels == 4 else min(panels, COLUMNS)
    return columns, math.ceil(panels / columns)


def _frame(one: Axes, panel: Panel, theme: Theme) -> None:
    one.set_facecolor(theme.background)
    one.set_title(
        one_line(panel.title), loc="left", fontsize=9.5, fontweight="bold", color=theme.ink
    )
    one.set_xlabel(one_line(panel.x.label), color=theme.ink)
    one.set_ylabel(one_line(panel.y.label), color=theme.ink)
    one.grid(axis="y", color=theme.grid, linewidth=0.7)
    one.set_axisbelow(True)
    one.margins(y=0.1)
    one.spines[["top", "right"]].set_visible(False)
    one.spines[["left", "bottom"]].set_color(theme.muted)
    one.tick_params(which="both", color=theme.muted, labelcolor=theme.muted, labelsize=8)
    x, y = scale.across(panel), scale.upright(panel)
    for found, axis, name in ((x, one.xaxis, "x"), (y, one.yaxis, "y")):
        if found.kind == "log":
            (one.set_xscale if name == "x" else one.set_yscale)("log")
            axis.set_minor_formatter(_no_words)
            axis.set_major_formatter(_words)
        if found.ticks is not None:
            axis.set_ticks(list(found.ticks), [scale.word(tick) for tick in found.ticks])
            axis.set_minor_locator(_no_places())
    if x.kind == "category":
        _categories(one, x.categories)


def _categories(one: Axes, names: Sequence[str]) -> None:
    step = math.ceil(len(names) / MOST_LABELS)
    shown = range(0, len(names), step)
    # Words that would run into each other stand at an angle.
    slanted = sum(len(names[at]) + 2 for at in shown) > 46
    turned: dict[str, Any] = (
        {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    )
    one.set_xticks(list(shown), [one_line(names[at]) for at in shown], **turned)
    one.set_xlim(-0.5, max(0, len(names) - 1) + 0.5)


def _legend_columns(labels: Sequence[str], columns: int) -> int:
    # A letter is about 0.06 inches wide, the line before it and the gap behind it 0.7.
    widest = 0.7 + 0.06 * max(map(len, labels))
    return max(1, min(len(labels), int(PANEL[0] * columns / widest)))


def _legend(drawn: Drawn, handles: dict[str, Any], theme: Theme, across: int) -> None:
    legend = drawn.legend(
        list(handles.values()),
        ["."] * len(handles),
        loc="outside lower left",
        ncols=across,
        frameon=False,
        fontsize=8,
        handlelength=3.2,
    )
    # Set afterwards: a label that begins with an underscore would be left out.
    for text, label in zip(legend.get_texts(), handles, strict=True):
        text.set_text(one_line(label))
        text.set_color(theme.ink)


def _metadata(figure: Figure, ending: str) -> dict[str, Any]:
    if ending == "svg":
        about = {"Title": one_line(figure.title), "Description": one_line(figure.alt)}
        return {**about, "Date": None, "Creator": None}
    if ending == "pdf":
        dates = {"CreationDate": None, "Creator": None, "Producer": None}
        return {"Title": one_line(figure.title), "Subject": one_line(figure.alt), **dates}
    about = {"Title": one_line(figure.title), "Description": one_line(figure.alt)}
    # PNG's words are Latin-1 unless told otherwise.
    return {
        **{k: v.encode("latin-1", "replace").decode("latin-1") for k, v in about.items()},
        "Software": None,
    }


def _words(value: float, _: float = 0) -> str:
    return scale.word(value)


def _no_words(value: float, _: float = 0) -> str:
    return ""


def _no_places() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()
