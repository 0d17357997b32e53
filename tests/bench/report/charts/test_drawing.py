"""Laws of every picture: a mark per row, words with the numbers, nothing but the palette."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair
import pytest

from bench.report.charts import export
from bench.report.charts.forms import Axis, Form, picture
from bench.report.charts.theme import COLOURS, VARIABLES
from bench.report.frame import flat
from bench.report.request import Request
from bench.report.section import Picture

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
HOSTILE = "_a <b>&amp; $x$ %{y} \"q\" 'p'\n~^\\ </script>{{ 1 }}"
POINTS = Form("points", Axis("x", log=True), Axis("y", log=True))

Drawing = tuple[Picture, list[str]]
"""A picture and its panels on the page."""


def drawn(marks: list[dict[str, Any]], form: Form = POINTS) -> Picture:
    return picture("p", "P", ({"series": "s", "text": "t"} | mark for mark in marks), form, ())


def hostile() -> Picture:
    marks = (
        {"panel": HOSTILE, "x": f"{HOSTILE}{n}", "y": 1.0 + n, "series": f"{n}{HOSTILE}"}
        | {"text": f"{HOSTILE} {n}", "rule": 2.0, "rule_text": HOSTILE}
        for n in range(3)
    )
    return picture("hostile", HOSTILE, marks, Form("lines", Axis(""), Axis("y")), (HOSTILE,))


@pytest.fixture(scope="module")
def drawings() -> list[Drawing]:
    folders = ("run-schema-2", "measured-schema-1")
    reports = [Request(GOLDEN / folder).make()[0] for folder in folders]
    pictures = [one for report in reports for part in report.parts for one in part.pictures]
    return [(shown, export.panels(shown)) for shown in (*pictures, hostile())]


def said(panels: list[str]) -> list[str]:
    """What is said of the marks; white space does not count."""
    marks = (
        node.get("aria-label") for svg in panels for node in ElementTree.fromstring(svg).iter()
    )
    return sorted(" ".join(text.split()) for text in marks if text)


def placed(shown: Picture) -> list[dict[str, Any]]:
    """The rows that have a place."""
    return [row for row in flat(shown.frame) if row["x"] is not None and row["y"] is not None]


def test_the_golden_runs_have_all_kinds_of_pictures(drawings: list[Drawing]) -> None:
    assert {shown.name for shown, _ in drawings} >= {
        "seeds", "differences", "gains", "off-on", "attribution", "recall-by-search-time",
        "accuracy-by-search-time", "accuracy-by-memory", "accuracy-by-k", "beta-tau",
        "curves-tone", "overhead", "gate-history", "resident-memory",
    }  # fmt: skip


def test_every_mark_stands_for_a_row_and_says_it(drawings: list[Drawing]) -> None:
    for shown, panels in drawings:
        assert said(panels) == sorted(" ".join(row["text"].split()) for row in placed(shown))
        assert len(panels) == len({row["panel"] for row in placed(shown)})
        part = replace(shown, frame=shown.frame.iloc[:1])
        assert len(said(export.panels(part))) == len(placed(part))


def test_the_words_tell_the_most_of_every_panel(drawings: list[Drawing]) -> None:
    for shown, _ in drawings:
        form: Any = shown.draw
        for panel in {row["panel"] for row in placed(shown)}:
            marks = [row for row in placed(shown) if row["panel"] == panel]
            most = max(marks, key=lambda row: row[form.value])
            assert f"{panel}: highest, {most['text']}" in shown.alt


def test_only_the_palette_is_used_and_the_page_asks_for_nothing(drawings: list[Drawing]) -> None:
    for shown, panels in drawings:
        file = export.drawn_as(shown, "svg").decode()
        assert set(re.findall(r'="(#[0-9a-fA-F]{3,6})"', file)) <= {c for c, _ in COLOURS.values()}
        for panel in panels:
            painted = set(re.findall(r' (?:fill|stroke)="([^"]*)"', panel))
            assert painted <= {"none", "transparent", *VARIABLES.values()}
            assert not re.search(r"\b(?:id|href|src|style|on\w+)=|url\(|http|<script", panel)


def test_a_specification_is_valid_and_strict_json(drawings: list[Drawing]) -> None:
    for shown, _ in drawings:
        specification = json.dumps(shown.draw(shown.frame), allow_nan=False)
        altair.ConcatChart.from_json(specification, validate=True)


def test_series_have_one_look_in_all_panels_and_a_legend_only_where_there_are_several() -> None:
    places = (("a", "kd"), ("a", "reaugkd"), ("b", "reaugkd"))
    shown = drawn([{"panel": p, "x": 1.0, "y": 2, "series": series} for p, series in places])
    alone = replace(shown, frame=shown.frame[:1])
    assert b"role-legend" in export.drawn_as(shown, "svg")
    assert b"role-legend" not in export.drawn_as(alone, "svg")
    panels = export.panels(shown)
    assert ["var(--s0)" in panel for panel in panels] == [True, False]
    assert all("var(--s1)" in panel for panel in panels)


def test_values_that_no_log_axis_can_show_are_left_out() -> None:
    shown = drawn([{"panel": "p", "x": x, "y": y} for x, y in ((0, 1), (1, -1), (2, 3))])
    assert said(export.panels(shown)) == ["t"]


@pytest.mark.parametrize(
    ("kind", "start"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_a_file_is_of_its_kind_and_drawn_the_same_again(kind: str, start: bytes) -> None:
    once, again = (export.drawn_as(hostile(), kind) for _ in range(2))
    assert once.startswith(start)
    assert once == again or kind == "pdf"  # which names its fonts at random


def test_a_file_says_what_it_shows() -> None:
    title, about, *_ = ElementTree.fromstring(export.drawn_as(hostile(), "svg"))
    assert (title.text, about.text) == (HOSTILE, hostile().alt)
