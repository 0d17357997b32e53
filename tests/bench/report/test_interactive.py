"""Laws of pictures for plotly.js: valid for plotly, strict JSON, nothing of a theme in the data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bench.report import interactive
from bench.report.figure import Figure
from bench.report.palette import DARK, EMPHASIS, LIGHT, style
from tests.bench.report import factory, pictures

FIGURES = {
    "plain": pictures.plain(),
    "odd": pictures.odd(),
    "one": pictures.many(1, 1),
    "many": pictures.many(20, 7),
}


@pytest.fixture(params=FIGURES)
def figure(request: pytest.FixtureRequest) -> Figure:
    return FIGURES[request.param]


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def test_plotly_knows_every_attribute_in_both_themes_and_widths(figure: Figure) -> None:
    from plotly.graph_objects import Figure as Drawn

    spec = interactive.spec(figure)
    for patch in ({}, spec["dark_layout"], spec["narrow_layout"]):
        Drawn(data=spec["data"], layout={**spec["layout"], **patch}, skip_invalid=False)


def test_it_is_strict_json(figure: Figure) -> None:
    spec = interactive.spec(figure)
    assert factory.strict(json.dumps(spec, allow_nan=False)) == spec


def test_no_colour_stands_in_a_trace_and_a_template_has_one_for_each(figure: Figure) -> None:
    spec = interactive.spec(figure)
    assert not re.search(r'color|"#[0-9a-f]{6}"|rgb', json.dumps(spec["data"]))
    templates = [spec["layout"]["template"], spec["dark_layout"]["template"]]
    for template in templates:
        assert len(template["layout"]["colorway"]) == len(spec["data"])
    assert templates[0].keys() == templates[1].keys()


def test_a_label_has_one_colour_and_one_line_in_the_legend(figure: Figure) -> None:
    spec = interactive.spec(figure)
    for layout in (spec["layout"], spec["dark_layout"]):
        colours: dict[str, set[str]] = {}
        for trace, colour in zip(
            spec["data"], layout["template"]["layout"]["colorway"], strict=True
        ):
            colours.setdefault(trace["legendgroup"], set()).add(colour)
        assert all(len(found) == 1 for found in colours.values())
    shown = [trace["name"] for trace in spec["data"] if trace["showlegend"]]
    assert sorted(shown) == sorted({trace["name"] for trace in spec["data"] if trace["name"]})


def test_every_panel_has_its_axes_and_a_place_in_the_grid(figure: Figure) -> None:
    layout = interactive.spec(figure)["layout"]
    for number in range(1, len(figure.panels) + 1):
        suffix = "" if number == 1 else str(number)
        assert layout[f"xaxis{suffix}"]["anchor"] == f"y{suffix}"
        assert layout[f"yaxis{suffix}"]["anchor"] == f"x{suffix}"
    grid = layout["grid"]
    assert grid["rows"] * grid["columns"] >= len(figure.panels)
    assert (grid["rows"] - 1) * grid["columns"] < len(figure.panels)
    assert interactive.spec(figure)["narrow_layout"]["grid"]["columns"] == 1


def test_nothing_of_a_name_is_read_as_markup() -> None:
    spec = interactive.spec(FIGURES["odd"])
    layout = {name: value for name, value in spec["layout"].items() if name != "template"}
    for text in strings([spec["data"], layout]):
        inside = text.removeprefix("<b>").removesuffix("</b>")
        assert "<b" not in inside.replace(interactive.escape(pictures.HOSTILE), "")
        assert "\n" not in text
    (trace, *_) = spec["data"]
    assert "&lt;b&gt;&amp;amp; $x$ %{y}" in trace["name"]
    assert trace["hovertemplate"] == "%{hovertext}<extra>%{fullData.name}</extra>"


def test_what_cannot_be_drawn_is_a_gap() -> None:
    (trace, _, words) = interactive.spec(FIGURES["odd"])["data"]
    assert trace["x"] == [None, None, None, None, 2.0, None]
    assert trace["error_y"]["array"] == [None, 1.0, 1.0, 1.0, 2.0, None]
    assert trace["error_y"]["arrayminus"] == [None, 1.0, 1.0, 1.0, 1.0, None]
    assert words["y"] == [1.0, None]
    assert len(interactive.spec(FIGURES["odd"])["layout"]["shapes"]) == 1


def test_intervals_end_where_they_end() -> None:
    spec = interactive.spec(FIGURES["plain"])
    trace = next(t for t in spec["data"] if "error_y" in t and t["type"] == "scatter")
    ends = zip(trace["y"], trace["error_y"]["arrayminus"], trace["error_y"]["array"], strict=True)
    drawn = [(y - down, y + up) for y, down, up in ends if y is not None]
    assert drawn == [(0.5, 2.0), (1.5, 4.0)]


def test_what_is_emphasised_lies_above_in_ink() -> None:
    spec = interactive.spec(FIGURES["plain"])
    assert [t["name"] for t in spec["data"] if t["xaxis"] == "x"] == ["kd", "front", ""]
    for layout, ink, blue in (
        (spec["layout"], LIGHT.ink, style(0).light),
        (spec["dark_layout"], DARK.ink, style(0).dark),
    ):
        assert layout["template"]["layout"]["colorway"][:2] == [blue, ink]
    assert EMPHASIS.light == LIGHT.ink


def test_axes_are_log_words_or_plain_and_rules_widen_them() -> None:
    spec = interactive.spec(FIGURES["plain"])
    layout = spec["layout"]
    assert (layout["xaxis"]["type"], layout["yaxis"]["type"]) == ("log", "log")
    assert layout["xaxis2"]["categoryarray"] == ["off", "on"]
    assert layout["yaxis2"]["type"] == "linear"
    (unseen,) = [trace for trace in spec["data"] if trace.get("opacity") == 0]
    assert (unseen["x"], unseen["y"], unseen["showlegend"]) == ([1.0], [3.0], False)
    (shape,) = layout["shapes"]
    assert (shape["y0"], shape["y1"], shape["yref"]) == (3.0, 3.0, "y")
    assert shape["label"]["text"] == "limit 3 %"


def test_the_default_hover_tells_value_and_interval() -> None:
    trace = interactive.spec(FIGURES["plain"])["data"][0]
    assert trace["hovertext"] == ["size: 1; overhead, %: 1 [0.5, 2]",
                                  "size: 10; overhead, %: 2 [1.5, 4]", ""]  # fmt: skip


def test_the_script_is_plotlys_own_and_fits_a_page_of_six_megabytes() -> None:
    script = interactive.script()
    assert re.search(r"plotly\.js v\d+\.\d+", script[:200])
    assert len(script.encode()) < 5.2e6
