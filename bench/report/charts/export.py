"""Pictures as files, and as the panels of a page: all drawn from one specification by vl-convert.

The page gets SVG that it draws itself, without a script: colours become its variables, so that a
picture follows the theme, and panels stand beside each other as far as there is room.
"""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape

from bench.report.charts.palette import COLOURS, INK, LINE, PAPER, SOFT, variable
from bench.report.section import Picture
from reaugkd.errors import UnknownNameError

FORMATS = ("svg", "png", "pdf")
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
SCALE = 2
"""Pixels of a PNG per pixel of the page."""

_LABELS = {"labelFont": FONT, "labelFontSize": 11, "titleFont": FONT, "titleFontSize": 11.5}
CONFIG: dict[str, Any] = {
    "background": PAPER,
    "padding": {"left": 10, "right": 10, "top": 5, "bottom": 5},
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        **_LABELS,
        "aria": False,
        "labelColor": SOFT,
        "titleColor": INK,
        "titleFontWeight": "normal",
        "gridColor": LINE,
        "domainColor": SOFT,
        "tickColor": SOFT,
        "tickSize": 4,
        "labelOverlap": True,
    },
    "legend": {
        **_LABELS,
        "aria": False,
        "labelColor": INK,
        "symbolOpacity": 1,
        "orient": "bottom",
        "columns": 4,
        "labelLimit": 260,
    },
    "title": {
        "aria": False,
        "font": FONT,
        "fontSize": 12.5,
        "color": INK,
        "anchor": "start",
        "limit": 420,
    },
    "axisX": {"grid": False},
    "axisBand": {"grid": False},
    "concat": {"spacing": 28},
}

_DROPPED = re.compile(
    r' aria-label="Title text [^"]*"'
    r'| (?:role|aria-roledescription|font-family|xmlns(?::xlink)?|version|class)="[^"]*"'
    r'| aria-hidden="true"| pointer-events="none"| opacity="1"| stroke-miterlimit="10"'
    r'|<path d="M0,0h0v0h0Z"/>|<path d="" display="none"/>'
)
_COLOUR = re.compile("|".join(re.escape(light) for light, _ in COLOURS.values()))


def drawn_as(picture: Picture, kind: str) -> bytes:
    """The picture as a file of one of :data:`FORMATS`, in the light theme.

    Raises:
        UnknownNameError: for another format.
    """
    import vl_convert

    if kind not in FORMATS:
        raise UnknownNameError("format of a picture", kind, FORMATS)
    spec = _spec(picture.draw(picture.frame))
    if kind == "png":
        return bytes(vl_convert.vegalite_to_png(spec, scale=SCALE))
    if kind == "pdf":
        return bytes(vl_convert.vegalite_to_pdf(spec))
    about = f"<title>{escape(picture.title)}</title><desc>{escape(picture.alt)}</desc>"
    return vl_convert.vegalite_to_svg(spec).replace(">", f">{about}", 1).encode()


def panels(picture: Picture) -> list[str]:
    """The panels of a picture as SVG elements of a page that has the palette's variables."""
    import vl_convert

    whole = _spec(picture.draw(picture.frame), legend=False)
    # Altair keeps the data of a lone panel beside it.
    shared = {k: v for k, v in whole.items() if k in ("config", "datasets", "data")}
    return [on_page(vl_convert.vegalite_to_svg({**one, **shared})) for one in whole["concat"]]


def on_page(svg: str) -> str:
    """A drawing without what a page says itself, and with its variables as colours."""
    svg = svg.replace(f'fill="{PAPER}"', 'fill="none"', 1)
    return _COLOUR.sub(lambda match: variable(match[0]), _DROPPED.sub("", svg))


def _spec(chart: Any, *, legend: bool = True) -> dict[str, Any]:
    spec: dict[str, Any] = chart.to_dict(validate=False)
    spec["config"] = CONFIG if legend else {**CONFIG, "legend": {"disable": True}}
    return spec
