"""Pictures as files, and as the panels of a page: all drawn from one specification by vl-convert.

The page gets SVG that it draws itself, without a script: colours become its variables, so that a
picture follows the theme, and panels stand beside each other as far as there is room.
"""

from __future__ import annotations

from xml.etree import ElementTree

from bench.report.charts.theme import CONFIG, VARIABLES
from bench.report.section import Picture

SCALE = 2
"""Pixels of a PNG per pixel of the page."""

SVG = "http://www.w3.org/2000/svg"
ElementTree.register_namespace("", SVG)

NOT_ON_PAGE = frozenset(
    ("role", "aria-roledescription", "aria-hidden", "pointer-events", "font-family", "version")
) | {"class", "stroke-miterlimit"}
EMPTY = ("", "M0,0h0v0h0Z")
"""Paths that draw nothing."""


def drawn_as(picture: Picture, kind: str) -> bytes:
    """The picture as a file, ``png``, ``pdf`` or ``svg``, in the light theme."""
    import vl_convert

    spec = picture.draw(picture.frame) | {"config": CONFIG}
    if kind == "png":
        return bytes(vl_convert.vegalite_to_png(spec, scale=SCALE))
    if kind == "pdf":
        return bytes(vl_convert.vegalite_to_pdf(spec))
    root = ElementTree.fromstring(vl_convert.vegalite_to_svg(spec))
    for place, (tag, text) in enumerate((("title", picture.title), ("desc", picture.alt))):
        words = ElementTree.Element(f"{{{SVG}}}{tag}")
        words.text = text
        root.insert(place, words)
    return ElementTree.tostring(root)


def panels(picture: Picture) -> list[str]:
    """The panels of a picture as SVG elements of a page that has the palette's variables."""
    import vl_convert

    config = {"config": CONFIG | {"legend": {"disable": True}}}
    specs = picture.draw(picture.frame)["concat"]
    return [on_page(vl_convert.vegalite_to_svg(panel | config)) for panel in specs]


def on_page(svg: str) -> str:
    """A drawing without what a page says itself, and with its variables as colours."""
    root = ElementTree.fromstring(svg)
    for node in root.iter():
        node.tag = node.tag.removeprefix(f"{{{SVG}}}")
        if node.get("aria-roledescription") == "title":
            del node.attrib["aria-label"]  # the title is text
        node.attrib = {
            name: VARIABLES.get(value, value)
            for name, value in node.attrib.items()
            if name not in NOT_ON_PAGE and (name, value) != ("opacity", "1")
        }
        for child in [path for path in node if path.get("d") in EMPTY]:
            node.remove(child)
    if (paper := root.find("rect")) is not None:
        paper.set("fill", "none")
    return ElementTree.tostring(root, encoding="unicode")
