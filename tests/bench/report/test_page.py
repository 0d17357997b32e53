"""Laws of the page: it shows the whole report, asks for nothing, and every name stays text."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from bench.report.document import Report, build
from bench.report.figure import Axis, Figure, Panel, Rule, Series
from bench.report.page import PATIENCE, REFRESH, as_json, packed, render
from bench.report.sectioned import Section
from tests.bench.report.test_document import RUNS

from bench.records.results import load
from bench.report import interactive
from bench.report.table import Table
from tests.bench.report import factory
from tests.bench.report.pages import Node, cells, parse

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


def figure(name: str = "scores-by-k", label: str = "kd") -> Figure:
    series = Series(label, (1.0, 2.0, 4.0), (0.5, None, 0.75), (0.4, None, 0.7), (0.6, None, 0.8))
    panel = Panel(label, Axis("k", log=True), Axis(label), (series,), (Rule(label, 0.6),))
    return Figure(name, f"Scores {label}", f"{label} gains 0.25 from k = 1 to k = 4.", (panel,))


def with_figure(report: Report, shown: Figure) -> Report:
    first, *rest = report.sections
    return replace(report, sections=(replace(first, figures=(shown,)), *rest))


def hostile() -> Report:
    rows = tuple((name, name, "1.00 ± 0.10 (3)") for name in HOSTILE)
    table = Table(HOSTILE[0], ("task", HOSTILE[1], HOSTILE[2]), rows, 2, HOSTILE)
    first, *rest = HOSTILE
    figures = tuple(figure(name, name) for name in HOSTILE)
    return Report(
        title=HOSTILE[1],
        lead=(*HOSTILE, f"Warning: {HOSTILE[0]}"),
        sections=(
            Section(first, first, (table,), figures),
            *(Section(name, name, (table,)) for name in rest),
        ),
        rows=[],
        data={"run": {"command": f"bench run --out {HOSTILE[1]}", "config": {HOSTILE[2]: HOSTILE}}},
        headline=HOSTILE,
    )


SHORT, WHOLE = "// plotly.js", interactive.script


@pytest.fixture(autouse=True)
def _short_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """plotly's 5 MB are in the page of one test; the others only see that a script is there."""
    monkeypatch.setattr(interactive, "script", lambda: SHORT)


@pytest.fixture(params=[*RUNS, "hostile", "drawn"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Report:
    if request.param == "hostile":
        return hostile()
    if request.param == "drawn":
        return with_figure(factory.report(tmp_path, factory.matrix()), figure())
    return factory.report(tmp_path, RUNS[request.param])


@pytest.fixture
def page(made: Report) -> Node:
    return parse(render(made, command=COMMAND))


def plain(text: str) -> str:
    """Backticks of a sentence become an element, so they are no text."""
    return text.replace("`", "")


def test_every_table_is_shown_cell_by_cell(made: Report, page: Node) -> None:
    shown = [cells(table) for table in page.all("table")]
    for table in made.tables:
        if table.rows:
            assert (table.columns, *table.rows) in shown


def test_every_sentence_of_the_report_is_shown(made: Report, page: Node) -> None:
    text = plain(" ".join(page.text.split()))
    notes = [note for table in made.tables for note in table.notes]
    alts = [one.alt for section in made.sections for one in section.figures]
    for sentence in (made.title, COMMAND, *made.headline, *notes, *alts):
        assert plain(" ".join(sentence.split())) in text
    for line in made.lead:
        for part in line.removesuffix(".").split(": ", 1):
            assert plain(" ".join(part.split())) in text


def test_nothing_is_asked_of_a_network(page: Node) -> None:
    for node in page.all():
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = node.attributes.get(name, "#")
            assert value.startswith(("#", "data:")), f"<{node.tag} {name}={value!r}>"
    styles = " ".join(node.text for node in page.all("style"))
    assert not re.search(r"@import|url\(", styles)
    (policy,) = [
        node.attributes["content"]
        for node in page.all("meta")
        if node.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_every_name_stays_text(page: Node) -> None:
    assert len(page.all("h1")) == 1
    assert not page.all("img", "iframe", "object", "embed", "base", "form")
    for node in page.all():
        assert not [name for name in node.attributes if name.startswith("on")]
    for node in page.all("script"):
        assert "window.hacked = 1</script>" not in node.text


def test_ids_are_unique_and_every_reference_has_its_target(page: Node) -> None:
    ids = [node.attributes["id"] for node in page.all() if "id" in node.attributes]
    assert len(set(ids)) == len(ids)
    for node in page.all():
        for name in ("aria-labelledby", "aria-describedby", "data-spec"):
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
        for row in rows:
            assert [cell.attributes.get("scope") for cell in row.all("th")] == ["row"]
    for figure in page.all("figure"):
        (plot,) = [node for node in figure.all("div") if "plot" in node.classes]
        assert plot.attributes["role"] == "img"
        assert plot.attributes["aria-label"]
        assert figure.all("figcaption")
        assert figure.all("details")


def test_tables_and_figures_are_numbered_through(made: Report, page: Node) -> None:
    for what, kind in (("Table", "caption"), ("Figure", "figcaption")):
        shown = [re.match(rf"{what} (\d+)\.", node.text.strip()) for node in page.all(kind)]
        numbers = [int(match[1]) for match in shown if match]
        if kind == "figcaption":
            assert numbers == list(range(1, len(numbers) + 1))
        else:  # a table without rows has a number too, but no caption element
            assert numbers == sorted(set(numbers))


def test_the_contents_name_every_section(made: Report, page: Node) -> None:
    (nav,) = page.all("nav")
    linked = {link.attributes["href"][1:]: link.text for link in nav.all("a")}
    sections = [node for node in page.all("section") if node.attributes["id"] in linked]
    assert len(sections) == len(linked)
    assert {section.title for section in made.sections} <= set(linked.values())
    for section in sections:
        (heading,) = section.all("h2")
        assert heading.text == linked[section.attributes["id"]]


def test_what_was_measured_comes_before_what_it_was_measured_with(page: Node) -> None:
    parts = [node for node in page.all("section") if "part" in node.classes]
    about = ["about" in part.classes for part in parts]
    assert about == sorted(about)


def test_two_pages_of_one_report_are_equal(made: Report) -> None:
    assert render(made, command=COMMAND) == render(made, command=COMMAND)


def test_a_page_without_pictures_is_small(tmp_path: Path) -> None:
    bare = factory.report(tmp_path, factory.matrix())
    bare = replace(bare, sections=tuple(replace(one, figures=()) for one in bare.sections))
    text = render(bare, command=COMMAND)
    assert len(text.encode()) < 300_000
    assert packed(SHORT) not in text


def test_a_page_with_pictures_has_the_script_once_and_stays_below_three_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interactive, "script", WHOLE)
    report = factory.report(tmp_path, factory.matrix())
    for shown in ("one", "other"):
        report = replace(
            report, sections=(Section(shown, shown, figures=(figure(shown),)), *report.sections)
        )
    text = render(report, command=COMMAND)
    assert len(text.encode()) < 3_000_000
    scripts = [node for node in parse(text).all("script") if len(node.text) > 1_000_000]
    assert [script.attributes["id"] for script in scripts] == ["plotly"]
    assert gzip.decompress(base64.b64decode(scripts[0].text)).decode() == WHOLE()


def test_what_is_drawn_is_what_the_figure_says(tmp_path: Path) -> None:
    for label in ("kd", *HOSTILE):
        shown = figure("one", label)
        page = parse(render(with_figure(hostile(), shown), command=COMMAND))
        texts = {node.attributes["id"]: node.text for node in page.all("script") if node.attributes}
        assert factory.strict(texts["figure-one-spec"]) == json.loads(
            json.dumps(interactive.spec(shown))
        )


def test_the_values_of_a_picture_are_a_table_beside_it(tmp_path: Path) -> None:
    page = parse(render(with_figure(hostile(), figure()), command=COMMAND))
    (drawn,) = [node for node in page.all("figure") if node.attributes["id"].endswith("-k")]
    (table,) = drawn.all("table")
    assert cells(table)[1:] == (
        ("kd", "1", "0.5", "0.4", "0.6"),
        ("kd", "2", "–", "–", "–"),
        ("kd", "4", "0.75", "0.7", "0.8"),
    )
    assert "Line at 0.6: kd." in drawn.text


def test_the_page_of_five_thousand_cells_stays_below_six_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nine tasks, ten methods and ten indexes, five seeds: what the tables have a row for.
    monkeypatch.setattr(interactive, "script", WHOLE)
    cells = ("MNLI matched", "reaugkd", "hnswlib, student keys, hard values")
    figures = (*("70.59 ± 0.52 (5)",) * 6, "1,234", "32", "9.54 MiB")
    rows = tuple((*cells[:2], f"{cells[2]} {n}", *figures) for n in range(900))
    columns = ("task", "method", "index", *(f"column {n}" for n in range(9)))
    sections = tuple(Section(f"s{n}", f"S{n}", (Table("T", columns, rows, 3),)) for n in range(8))
    data = {
        "run": {"command": "bench run --methods all"},
        "cells": [{"method": "reaugkd", "task": "mnli"}],
        "training": [{"task": "mnli", "title": "MNLI matched"}],
    }
    large = with_figure(Report("large", (), sections, [], data), figure())
    text = render(large, command=COMMAND)
    assert text.count("#command-1") == 8 * 900
    assert len(text.encode()) < 6_000_000


@pytest.mark.parametrize("value", [*HOSTILE, {"a": [*HOSTILE]}])
def test_json_survives_its_element(value: object) -> None:
    page = parse(f"<script>{as_json(value)}</script><p>after</p>")
    assert json.loads(page.all("script")[0].text) == value
    assert page.all("p")[0].text == "after"


def test_json_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="JSON"):
        as_json({"y": float("nan")})


def test_only_the_page_of_a_run_that_goes_on_asks_for_itself_again(tmp_path: Path) -> None:
    report = factory.report(tmp_path, factory.matrix([0]))

    def refreshes(*, live: bool, seconds: float = 0) -> list[str]:
        page = parse(render(report, command=COMMAND, live=live, seconds=seconds))
        return [
            node.attributes["content"]
            for node in page.all("meta")
            if node.attributes.get("http-equiv") == "refresh"
        ]

    assert refreshes(live=True) == [str(REFRESH)]
    assert refreshes(live=True, seconds=0.01) == [str(REFRESH)]
    assert refreshes(live=True, seconds=100) == [str(100 * PATIENCE)]  # other work has its time
    assert refreshes(live=False, seconds=100) == []


def test_every_cell_that_is_not_ok_is_shown_with_its_reason(tmp_path: Path) -> None:
    broken = factory.failed(factory.training(method="kd"), "ValueError: <no> & nothing")
    text = parse(render(factory.report(tmp_path, [broken]), command=COMMAND)).text
    assert "ValueError: <no> & nothing" in text


def test_a_row_links_to_the_command_that_makes_it(tmp_path: Path) -> None:
    store = factory.store(tmp_path, factory.matrix())
    store.write_run(store.read_run() | {"command": "bench run --methods all --tasks mrpc,stsb"})
    page = parse(render(build(load(store)), command=COMMAND))
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
    whole = "bench run --tasks mrpc,stsb --methods"
    assert linked == {
        ("kd", "off"): f"{whole} kd",
        ("reaugkd", "off"): f"{whole} reaugkd",
        ("reaugkd", "exact"): f"{whole} reaugkd",
        ("reaugkd", "hnswlib"): f"{whole} reaugkd",
    }
