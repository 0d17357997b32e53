"""Laws of the page: it shows the whole report, asks for nothing, and every name stays text."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.report.charts.forms import Axis, Form, picture
from bench.report.document import Report
from bench.report.render.html import PATIENCE, REFRESH, SHOWN, render, values
from bench.report.section import METHOD, TASK, Column, Picture
from tests.bench.report import factory, small
from tests.bench.report.pages import Node, cells, parse
from tests.bench.report.test_report import RUNS

COMMAND = "bench report results/runs/mini"
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "a & b &amp; c",
    "50 % of a_b | {{ 7 * 7 }} {% raw %}",
    "<!-- not a comment",
    "two\nlines\tand a tab",
    "`code",
)


def drawing(name: str = "k", label: str = "kd", panels: int = 1) -> Picture:
    """A picture of three series that rise with k, with a level across."""
    marks = (
        {"panel": f"{label} {panel}", "series": series, "x": float(k), "y": 70.0 + at + panel * k}
        | {"low": 69.0 + at, "high": 80.0, "rule": 71.5, "rule_text": f"off {label}"}
        | {"text": f"{series}, k = {k}", "method": series}
        for panel in range(panels)
        for at, series in enumerate((label, f"{label}-2", f"{label}-3"))
        for k in (1, 2, 4, 8)
    )
    title = label.replace("{", "{{").replace("}", "}}")
    form = Form("lines", Axis("k", log=True), Axis(title))
    return picture(name, f"Scores {label}", marks, form, (f"A note on {label}.",))


def hostile() -> Report:
    """Names with everything that a page could read as its own."""
    rows = [{"task": name, "title": name, "method": name, "score": 1.0} for name in HOSTILE]
    columns = (TASK, METHOD, Column(HOSTILE[2], "score", "{:.2f} ± 0.10 (3)".format))
    drawings = [drawing(f"p{n}", name) for n, name in enumerate(HOSTILE[:3])]
    made = [
        replace(small.section(rows, columns, f"s{n}"), title=name) for n, name in enumerate(HOSTILE)
    ]
    made[0] = replace(made[0], pictures=lambda *_: drawings)
    run = {"command": f"bench run --out {HOSTILE[1]}", "config": {HOSTILE[2]: HOSTILE}}
    return small.report(
        *made,
        title=HOSTILE[1],
        headline=HOSTILE,
        lead=(*HOSTILE, f"Warning: {HOSTILE[0]}"),
        about={"run": run},
    )


@pytest.fixture(scope="module", params=[*RUNS, "hostile"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    if request.param == "hostile":
        return hostile()
    return factory.report(tmp_path_factory.mktemp("run"), RUNS[request.param])


@pytest.fixture(scope="module")
def page(made: Report) -> Node:
    return parse(render(made, command=COMMAND))


def metas(page: Node, name: str) -> list[str]:
    nodes = [node.attributes for node in page.all("meta")]
    return [node["content"] for node in nodes if node.get("http-equiv") == name]


def plain(text: str) -> str:
    """Backticks of a sentence become an element, so they are no text."""
    return " ".join(text.replace("`", "").split())


def test_every_table_and_sentence_of_the_report_is_shown(made: Report, page: Node) -> None:
    shown = [cells(table) for table in page.all("table")]
    for table in made.tables:
        if table.rows:
            assert (table.columns, *table.rows) in shown
    text = plain(page.text)
    notes = [note for table in made.tables for note in table.notes]
    alts = [one.alt for part in made.parts for one in part.pictures]
    for sentence in (made.title, COMMAND, *made.headline, *notes, *alts):
        assert plain(sentence) in text
    for line in made.lead:
        for part in line.removesuffix(".").split(": ", 1):
            assert plain(part) in text


def test_nothing_is_asked_of_a_network_and_every_name_stays_text(page: Node) -> None:
    for node in page.all():
        for name, value in node.attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href"):
                assert value.startswith(("#", "data:")), f"<{node.tag} {name}={value!r}>"
    assert not page.all("img", "iframe", "object", "embed", "base", "form")
    assert len(page.all("h1")) == 1
    assert all("window.hacked" not in node.text for node in page.all("script"))
    styles = " ".join(node.text for node in page.all("style"))
    assert not re.search(r"@import|url\(", styles)
    (policy,) = metas(page, "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    assert not re.search("http|unsafe-eval", policy)


def test_ids_are_unique_and_every_reference_has_its_target(page: Node) -> None:
    ids = [node.attributes["id"] for node in page.all() if "id" in node.attributes]
    assert len(set(ids)) == len(ids)
    for node in page.all():
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(node.attributes.get(name, "").split()) <= set(ids)
        if node.attributes.get("href", "").startswith("#"):
            assert node.attributes["href"][1:] in ids


def test_the_page_is_semantic(page: Node) -> None:
    (html,) = page.all("html")
    assert html.attributes["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("header", "nav", "main")] == [1, 1, 1]
    levels = [int(node.tag[1]) for node in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for table in page.all("table"):
        (caption,) = table.all("caption")
        assert caption.text.strip()
        head, *rows = table.all("tr")
        assert {cell.attributes.get("scope") for cell in head.all("th")} == {"col"}
        assert all(row.all("th")[0].attributes["scope"] == "row" for row in rows)
    for node in (node for node in page.all("div") if "panels" in node.classes):
        assert node.attributes["role"] == "img"
        assert node.attributes["aria-label"]
    for what, kind in (("Table", "caption"), ("Figure", "figcaption")):
        shown = [re.match(rf"{what} (\d+)\.", node.text.strip()) for node in page.all(kind)]
        numbers = [int(match[1]) for match in shown if match]
        assert numbers == sorted(set(numbers))  # a table without rows has a number, but no caption


def test_the_contents_name_every_section_and_what_it_is_about_comes_last(
    made: Report, page: Node
) -> None:
    (nav,) = page.all("nav")
    linked = {link.attributes["href"][1:]: link.text for link in nav.all("a")}
    sections = [node for node in page.all("section") if node.attributes["id"] in linked]
    assert len(sections) == len(linked)
    shown = [part.section for part in made.parts if part.shown]
    assert {one.title for one in shown if one.heading == one.name} <= set(linked.values())
    for section in sections:
        (heading,) = section.all("h2")
        assert heading.text == linked[section.attributes["id"]]
    about = ["about" in node.classes for node in sections if "part" in node.classes]
    assert about == sorted(about)


def test_a_section_shows_its_pictures_before_its_tables_and_the_first_screen_one_of_them() -> None:
    section = small.section(pictures=lambda *_: (drawing("off-on"), drawing("other")))
    page = parse(render(small.report(section), command=COMMAND))
    (shown,) = [node for node in page.all("section") if node.attributes["id"] == "scores"]
    top = [node for node in shown.children if isinstance(node, Node)]
    assert [node.tag for node in top] == ["h2", "figure", "figure", "div"]
    (found,) = [node for node in page.all("section") if node.attributes["id"] == "headline"]
    assert [a.attributes["href"] for a in found.all("a")] == ["#figure-off-on"]
    assert len(found.all("svg")) == 1 + 3  # a panel, and three lines of the legend


def test_two_pages_of_one_report_are_equal() -> None:
    assert render(hostile(), command=COMMAND) == render(hostile(), command=COMMAND)


def test_the_values_of_a_picture_are_a_table_beside_it() -> None:
    shown = drawing()
    table = values(shown)
    assert table.columns == ("panel", "series", "k", "kd", "low", "high")
    assert table.rows[:2] == (
        ("kd 0", "kd", "1", "70", "69", "80"),
        ("kd 0", "kd", "2", "70", "69", "80"),
    )
    assert table.notes == ("Line at 71.5: off kd.",)
    page = parse(render(small.report(small.section(pictures=lambda *_: (shown,))), command=COMMAND))
    (figure,) = [node for node in page.all("figure") if "picture" in node.classes]
    assert cells(figure.all("table")[0]) == (table.columns, *table.rows)
    many = values(drawing(panels=SHOWN))
    assert len(many.rows) == SHOWN
    assert f"{11 * SHOWN:,} more values" in many.notes[0]


def test_a_cell_is_sorted_by_its_value_and_not_by_its_text() -> None:
    rows: list[dict[str, Any]] = [
        {"method": "kd", "size": 512, "score": {"mean": 0.5}, "list": [8, 16]},
        {"method": "rkd", "size": 2**20, "score": {"mean": 0.25}, "list": []},
    ]
    columns = (METHOD, *(Column(name, name, str) for name in ("size", "score", "list")))
    page = parse(render(small.report(small.section(rows, columns)), command=COMMAND))
    keys = [[c.attributes.get("data-v") for c in row.all("td")] for row in page.all("tr")[1:]]
    assert keys == [["512", "0.5", "8"], ["1048576", "0.25", None]]


@pytest.mark.slow
def test_the_page_of_five_thousand_cells_stays_below_six_megabytes() -> None:
    # Nine tasks, ten methods and ten indexes: what the tables of such a run have a row for.
    rows = [
        {"task": "mnli", "title": "MNLI matched", "method": "reaugkd"}
        | {"index": f"hnswlib, student keys, hard values {n}"}
        | {f"c{c}": 70.5912345 for c in range(9)}
        for n in range(900)
    ]
    figures = (Column(f"column {c}", f"c{c}", "{:.2f} ± 0.52 (5)".format) for c in range(9))
    columns = (TASK, METHOD, Column("index", "index", label=True), *figures)
    drawn = drawing(panels=9)
    sections = [
        small.section(rows, columns, f"s{n}", pictures=lambda *_: (drawn,)) for n in range(8)
    ]
    run = {"run": {"command": "bench run --methods all"}}
    text = render(small.report(*sections, about=run, methods=("reaugkd",)), command=COMMAND)
    assert text.count('"#command-1"') == 8 * 900
    assert len(text.encode()) < 6_000_000


def test_only_the_page_of_a_run_that_goes_on_asks_for_itself_again() -> None:
    def refreshes(**how: Any) -> list[str]:
        return metas(parse(render(small.report(), command=COMMAND, **how)), "refresh")

    assert refreshes(live=True) == [str(REFRESH)]
    assert refreshes(live=True, seconds=100) == [str(100 * PATIENCE)]  # other work has its time
    assert refreshes(live=False, seconds=100) == []


def test_a_row_links_to_the_command_that_makes_it(tmp_path: Path) -> None:
    report = factory.report(tmp_path, factory.matrix([0]))
    run = {"command": "bench run --methods all --tasks mrpc,stsb"}
    page = parse(render(replace(report, about={**report.about, "run": run}), command=COMMAND))
    commands = {
        node.attributes["id"]: node.all("code")[0].text
        for node in page.all("li")
        if "id" in node.attributes
    }
    (scores,) = [t for t in page.all("table") if "Scores" in t.all("caption")[0].text]
    linked = {
        cells(scores)[number + 1][:2]: commands[link.attributes["href"][1:]]
        for number, row in enumerate(scores.all("tr")[1:])
        for link in row.all("a")
    }
    rows = (("kd", "off"), *(("reaugkd", name) for name in ("off", "exact", "hnswlib")))
    assert linked == {row: f"bench run --tasks mrpc,stsb --methods {row[0]}" for row in rows}
