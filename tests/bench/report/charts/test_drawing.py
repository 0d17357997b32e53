"""Laws of every picture: a mark per row, words with the numbers, nothing but the palette."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.report.build import Report
from bench.report.charts import export
from bench.report.charts.form import Axis, picture
from bench.report.charts.names import Named
from bench.report.charts.palette import COLOURS
from bench.report.charts.points import Points
from bench.report.frame import flat
from bench.report.request import Request
from bench.report.section import Picture
from reaugkd.errors import UnknownNameError

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
HOSTILE = "_a <b>&amp; $x$ %{y} \"q\" 'p'\n~^\\ </script>{{ 1 }}"


@pytest.fixture(scope="session")
def reports() -> list[Report]:
    folders = ("run-schema-2", "measured-schema-1")
    return [Request(GOLDEN / folder).make()[0] for folder in folders]


@pytest.fixture(scope="session")
def pictures(reports: list[Report]) -> list[Picture]:
    return [one for report in reports for part in report.parts for one in part.pictures]


@pytest.fixture(scope="session")
def drawings(pictures: list[Picture]) -> list[tuple[Picture, list[str]]]:
    """Pictures with their panels on the page."""
    return [(shown, export.panels(shown)) for shown in (*pictures, hostile())]


def said(svgs: Iterable[str]) -> list[str]:
    """What is said of the marks."""
    labels = (label for svg in svgs for label in re.findall(r'aria-label="([^"]*)"', svg))
    return sorted(html.unescape(label) for label in labels)


def drawn(shown: Picture) -> list[dict[str, Any]]:
    """The rows that have a place."""
    return [row for row in flat(shown.frame) if row["x"] is not None and row["y"] is not None]


def hostile(count: int = 3) -> Picture:
    marks = (
        {"panel": HOSTILE, "x": f"{HOSTILE}{n}", "y": 1.0 + n, "series": f"{n}{HOSTILE}"}
        | {"text": f"{HOSTILE} {n}", "rule": 2.0, "rule_text": HOSTILE}
        for n in range(count)
    )
    return picture("hostile", HOSTILE, marks, Points(Axis(""), Axis("y")), (HOSTILE,))


def test_the_golden_runs_have_all_kinds_of_pictures(pictures: list[Picture]) -> None:
    assert {one.name for one in pictures} >= {
        "seeds", "differences", "gains", "off-on", "attribution", "recall-by-search-time",
        "accuracy-by-search-time", "accuracy-by-memory", "accuracy-by-k", "beta-tau",
        "curves-tone", "overhead", "gate-history", "resident-memory",
    }  # fmt: skip


def test_every_mark_stands_for_a_row_and_says_it(
    drawings: list[tuple[Picture, list[str]]],
) -> None:
    for shown, panels in drawings:
        words = sorted(" ".join(row["text"].split()) for row in drawn(shown))
        assert [" ".join(text.split()) for text in said(panels)] == words
        assert len(panels) == len({row["panel"] for row in drawn(shown)})


def test_the_words_tell_the_most_and_the_least_in_numbers(pictures: list[Picture]) -> None:
    for shown in pictures:
        form: Any = shown.draw
        for panel in {row["panel"] for row in drawn(shown)}:
            rows = [row for row in drawn(shown) if row["panel"] == panel]
            most = max(rows, key=lambda row: row[form.value])
            assert f"{panel}: highest, {most['text']}" in shown.alt
        assert re.search(r"\d", shown.alt)


def test_only_colours_of_the_palette_are_used_and_the_page_names_all_of_them(
    drawings: list[tuple[Picture, list[str]]],
) -> None:
    known = {light for light, _ in COLOURS.values()}
    for shown, panels in drawings:
        file = export.drawn_as(shown, "svg").decode()
        assert set(re.findall(r'="(#[0-9a-fA-F]{3,6})"', file)) <= known
        for panel in panels:
            painted = re.findall(r'(?:fill|stroke)="([^"]*)"', panel)
            assert all(
                one in ("none", "transparent") or one.startswith("var(--") for one in painted
            )


def test_a_panel_on_the_page_asks_for_nothing_and_has_no_ids(
    drawings: list[tuple[Picture, list[str]]],
) -> None:
    for _, panels in drawings:
        for panel in panels:
            assert not re.search(r"\b(?:id|href|src|style|on\w+)=|url\(|http", panel)
            assert "<script" not in panel


def test_a_specification_is_valid_and_strict_json(pictures: list[Picture]) -> None:
    for shown in (*pictures, hostile()):
        json.dumps(shown.draw(shown.frame).to_dict(validate=True), allow_nan=False)


def test_a_part_of_the_rows_can_be_drawn(pictures: list[Picture]) -> None:
    for shown in pictures:
        part = replace(shown, frame=shown.frame.iloc[:1])
        assert said(export.panels(part)) == [row["text"] for row in drawn(part)]


def test_series_have_one_look_in_all_panels_and_a_legend_only_where_there_are_several() -> None:
    marks = [
        {"panel": panel, "x": 1.0, "y": n, "series": series, "text": series}
        for panel in "ab"
        for n, series in enumerate(("kd", "reaugkd") if panel == "a" else ("reaugkd",))
    ]
    form = Points(Axis("x"), Axis("y"))
    both = export.drawn_as(picture("p", "P", marks, form, ()), "svg").decode()
    alone = export.drawn_as(picture("p", "P", marks[:1], form, ()), "svg").decode()
    assert "role-legend" in both
    assert "role-legend" not in alone
    panels = export.panels(picture("p", "P", marks, form, ()))
    assert ["var(--s0)" in panel for panel in panels] == [True, False]
    assert all("var(--s1)" in panel for panel in panels)


def test_values_that_no_log_axis_can_show_are_left_out() -> None:
    marks = [{"panel": "p", "x": x, "y": y, "text": "t"} for x, y in ((0, 1), (1, -1), (2, 3))]
    shown = picture("p", "P", marks, Points(Axis("x", log=True), Axis("y", log=True)), ())
    assert said(export.panels(shown)) == ["t"]
    one = picture("p", "P", [{"panel": "p", "x": 1.0, "y": "a", "text": "t"}], Named(Axis("x")), ())
    assert said(export.panels(one)) == ["t"]


@pytest.mark.parametrize("kind", export.FORMATS)
def test_a_file_is_of_its_kind_and_drawn_the_same_again(kind: str) -> None:
    starts = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF"}
    once, again = (export.drawn_as(hostile(), kind) for _ in range(2))
    assert once.startswith(starts[kind])
    if kind != "pdf":  # which names its fonts at random
        assert once == again
    with pytest.raises(UnknownNameError, match="did you mean"):
        export.drawn_as(hostile(), f"{kind}x")


def test_a_file_says_what_it_shows() -> None:
    text = html.unescape(export.drawn_as(hostile(), "svg").decode())
    assert f"<title>{HOSTILE}</title>" in text
    assert f"<desc>{hostile().alt}</desc>" in text
