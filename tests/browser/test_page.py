"""The page in headless Chromium: what a reader does with mouse, keyboard, printer and phone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.report import factory
from tests.bench.report.test_page import drawing, hostile
from tests.browser import reports
from tests.browser.conftest import Open

if TYPE_CHECKING:
    from playwright.sync_api import Page

PHONE = {"width": 390, "height": 844}


def column(page: Page, name: str) -> list[str]:
    """The cells of a column of the first table that are to be seen, from top to bottom."""
    return page.evaluate(
        """at => [...document.querySelector('main .part > .table table').tBodies[0].rows]
            .filter(row => row.checkVisibility()).map(row => row.cells[at].textContent)""",
        reports.NAMES.index(name),
    )


def button(page: Page, name: str) -> Any:
    table = page.locator(".part > .table table").first
    return table.get_by_role("button", name=name, exact=True)


# ---- tables ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", reports.NAMES)
def test_a_column_sorts_by_value_and_what_is_empty_comes_last(name: str, open_report: Open) -> None:
    page = open_report(reports.report(reports.scores()))
    first, head = column(page, "method"), button(page, name).locator("..")
    rows = page.locator("main tbody tr").all_text_contents()
    button(page, name).click()
    assert column(page, "method") == reports.ASCENDING[name]
    assert page.locator("th[aria-sort=ascending]").all_text_contents() == [name]
    button(page, name).click()
    known = [m for m in reports.ASCENDING[name] if m != "reaugkd-10" or name == "method"]
    rest = [m for m in reports.ASCENDING[name] if m not in known]
    assert head.get_attribute("aria-sort") == "descending"
    if name != "verdict":  # which has equal ones: they keep their order
        assert column(page, "method") == known[::-1] + rest
    button(page, name).click()
    assert column(page, "method") == first
    assert head.get_attribute("aria-sort") == "none"
    assert page.locator("main tbody tr").all_text_contents() == rows  # and rows stay whole


def test_a_filter_keeps_the_rows_with_all_its_words(open_report: Open) -> None:
    page = open_report(reports.report())
    box = page.get_by_role("searchbox", name="Filter rows of Table 1. Scores")
    box.fill("REAUGKD kd-9 fails")
    assert column(page, "method") == []
    box.fill("Reaugkd ±")
    assert column(page, "method") == ["reaugkd", "reaugkd-9"]
    assert page.locator(".count").first.text_content() == "2 of 6 rows"
    box.fill("")
    assert len(column(page, "method")) == 6


def test_one_filter_holds_for_all_tables_beside_their_own(open_report: Open) -> None:
    sections = (reports.scores(), reports.scores(name="others", under="scores"))
    page = open_report(reports.report(*sections))
    page.get_by_label("Filter the rows of all tables").fill("reaugkd")
    counts = page.locator("#scores .count").all_text_contents()
    assert counts == ["3 of 6 rows", "3 of 6 rows"]
    page.get_by_role("searchbox", name="Filter rows of Table 1. Scores").fill("1300")
    assert column(page, "method") == ["reaugkd"]
    page.get_by_label("Filter the rows of all tables").fill("")
    assert page.locator("#scores .count").all_text_contents() == ["1 of 6 rows", ""]


def test_a_table_of_two_thousand_rows_answers_at_once(open_report: Open) -> None:
    page = open_report(reports.big())
    took = page.evaluate(
        """() => {
            const began = performance.now();
            document.querySelectorAll('main thead button')[1].click();
            const input = document.querySelector('.filter');
            input.value = 'method-19';
            input.dispatchEvent(new Event('input'));
            document.body.offsetHeight;
            return performance.now() - began;
        }"""
    )
    shown = column(page, "score")
    assert len(shown) == 111  # 19, 190 to 199, 1900 to 1999
    assert shown == sorted(shown, key=lambda text: float(text.split()[0]))
    assert took < 1_500


def test_a_row_copies_its_command(open_report: Open) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    page = open_report(reports.report(), permissions=permissions)
    link = page.get_by_role("link", name="Command for kd", exact=True)
    number = str(link.get_attribute("href")).removeprefix("#command-")
    link.click()
    page.get_by_role("status").filter(has_text="Copied").wait_for()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied == "bench run --tasks tone --methods kd"
    assert page.locator(f"#command-{number} code").text_content() == copied


# ---- pictures and themes --------------------------------------------------------------------


def test_pictures_have_all_series_and_never_more_room_than_the_page(open_report: Open) -> None:
    for width in (1280, 768, 390):
        page = open_report(reports.report(), viewport={"width": width, "height": 900})
        assert page.locator("#figure-k2 .panels svg").count() == 3
        assert page.locator("#figure-k2 .legend li").all_text_contents() == ["kd", "kd-2", "kd-3"]
        for panel in page.locator(".panels svg").all():
            box = panel.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= width
            assert box["height"] > 100


def test_a_mark_says_what_it_is_where_the_mouse_is_near(open_report: Open) -> None:
    page = open_report(reports.report(), reduced_motion="reduce")
    tip = page.locator("#tip")
    mark = page.locator("#figure-k2 .panels [aria-label='kd-3, k = 8']").last
    mark.hover(force=True)
    mark.hover(force=True, position={"x": 1, "y": 1})
    assert tip.text_content() == "kd-3, k = 8"
    page.mouse.move(2, 2)
    assert not tip.is_visible()
    page.locator("#figure-k2 .legend li").first.hover()
    assert page.locator("#figure-k2 .pale").count() > 0
    assert page.locator("#figure-k2 .pale[aria-label^='kd,']").count() == 0


def background(page: Page) -> str:
    return str(page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor"))


def words_of_plot(page: Page) -> str:
    return str(page.evaluate("() => getComputedStyle(document.querySelector('.panels text')).fill"))


def test_the_theme_is_the_readers_own_and_can_be_changed(open_report: Open) -> None:
    light = open_report(reports.report(), color_scheme="light")
    dark = open_report(reports.report(), color_scheme="dark")
    assert background(light) != background(dark)
    assert words_of_plot(light) != words_of_plot(dark)
    colours = [background(light), words_of_plot(light)]
    dark.get_by_role("button", name="Switch to the light theme").click()
    assert [background(dark), words_of_plot(dark)] == colours
    dark.reload()
    assert background(dark) == colours[0]


CONTRASTS = """() => {
    const shade = (text) => text.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => {
        const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
        return .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
    };
    const behind = (node) => {
        if (!node) return [255, 255, 255];
        const colour = shade(getComputedStyle(node).backgroundColor);
        return (colour[3] ?? 1) === 1 ? colour : behind(node.parentElement);
    };
    const words = (node) => [...node.childNodes].some(at => at.nodeType === 3 && at.data.trim());
    return [...document.querySelectorAll('body *')]
        .filter(node => words(node) && node.checkVisibility())
        .filter(node => !node.closest('script, style, svg'))
        .filter(node => {
            const both = [shade(getComputedStyle(node).color), behind(node)].map(luminance);
            return (Math.max(...both) + .05) / (Math.min(...both) + .05) < 4.5;
        }).map(node => node.outerHTML);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_have_enough_contrast(scheme: str, open_report: Open) -> None:
    assert open_report(reports.report(), color_scheme=scheme).evaluate(CONTRASTS) == []


# ---- keyboard and screen reader -------------------------------------------------------------


def test_the_keyboard_reaches_and_works_everything(open_report: Open) -> None:
    page = open_report(reports.report())
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the results"
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "content"
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "() => document.activeElement.ariaLabel || document.activeElement.textContent"
        )
        reached.add(name)
        if name == "size":
            break
    assert {"Filter rows of Table 1. Scores", "method", "score"} <= reached
    page.keyboard.press("Enter")
    assert column(page, "method") == reports.ASCENDING["size"]
    page.keyboard.press("Space")
    assert column(page, "method")[0] == "reaugkd"


NAMELESS = """() => [...document.querySelectorAll('a, button, input, summary, [tabindex="0"]')]
    .filter(node => node.checkVisibility())
    .filter(node => {
        const ids = (node.getAttribute('aria-labelledby') || '').split(' ').filter(Boolean);
        const name = node.getAttribute('aria-label')
            || ids.map(id => document.getElementById(id).textContent).join(' ') || node.textContent;
        return !name.trim();
    }).map(node => node.outerHTML)"""


def test_every_control_has_a_name_and_is_large_enough(open_report: Open) -> None:
    page = open_report(reports.report())
    assert page.evaluate(NAMELESS) == []
    small = page.evaluate(
        """() => [...document.querySelectorAll('main button, .tools button, input')]
            .filter(node => node.checkVisibility())
            .filter(node => node.getBoundingClientRect().height < 24).map(node => node.outerHTML)"""
    )
    assert small == []  # WCAG 2.2, 2.5.8: 24 pixels
    for role in ("banner", "navigation", "main"):
        assert page.get_by_role(role).count() == 1
    assert page.get_by_role("table", name="Table 1. Scores").count() == 1
    assert page.get_by_role("rowheader", name="reaugkd-9").count() == 1
    picture = page.get_by_role("img", name=f"Scores kd. {drawing().alt}", exact=True)
    assert picture.count() == 2  # the first is on top


# ---- narrow, wide, printed ------------------------------------------------------------------


@pytest.mark.parametrize(
    "made", [reports.report, reports.wide, hostile], ids=["usual", "wide", "hostile"]
)
@pytest.mark.parametrize("width", [320, 768, 1920])
def test_the_page_is_never_wider_than_its_window(made: Any, width: int, open_report: Open) -> None:
    page = open_report(made(), viewport={"width": width, "height": 800})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_a_box_that_scrolls_can_be_focused_and_keeps_its_first_column(open_report: Open) -> None:
    page = open_report(reports.wide(), viewport=PHONE)
    wrong = page.evaluate(
        """() => [...document.querySelectorAll('.box')].filter(box => box.checkVisibility())
            .filter(box => (box.tabIndex === 0) !== (box.scrollWidth > box.clientWidth + 1
                || box.scrollHeight > box.clientHeight + 1)).length"""
    )
    assert wrong == 0
    assert page.locator("#wide .box[tabindex='0']").count() == 1
    box = page.locator("#wide .box")
    box.evaluate("node => { node.scrollLeft = 900; node.scrollTop = 300; }")
    room = box.bounding_box() or {}
    first = box.locator("tbody th").nth(20).bounding_box() or {}
    head = box.locator("thead th").first.bounding_box() or {}
    assert (first["x"], head["y"]) == pytest.approx((room["x"], room["y"]), abs=2)


def test_paper_has_no_controls_and_is_light(open_report: Open) -> None:
    page = open_report(reports.report(), color_scheme="dark")
    page.emulate_media(media="print")
    assert background(page) == "rgb(255, 255, 255)"
    assert words_of_plot(page) == "rgb(68, 68, 68)"
    controls = page.locator("input, .contents, .copy, .run, .tools, thead button")
    assert not any(one.is_visible() for one in controls.all())
    # Chromium repeats a header on every page of a table, but leaves its buttons out there.
    names = page.evaluate(
        """() => [...document.querySelectorAll('#table-1 thead th:not(.run)')]
            .map(head => getComputedStyle(head, '::before').content)"""
    )
    assert names == [f'"{name}"' for name in reports.NAMES]
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert 1 < pdf.count(b"/Type /Page\n") < 8


# Millimetres of A4 less its margins, upright and across.
PAPERS = {"portrait": 210 - 28, "landscape": 297 - 24, "dense": 297 - 24}


def test_tables_fit_on_paper(open_report: Open) -> None:
    for made in (reports.report(), reports.wide(12), reports.wide(16)):
        for kind, millimetres in PAPERS.items():
            width = int(millimetres / 25.4 * 96)
            page = open_report(made, viewport={"width": width, "height": 1000})
            page.emulate_media(media="print")
            boxes = [one.bounding_box() for one in page.locator(f".{kind} table:visible").all()]
            assert all(box["width"] <= width + 1 for box in boxes if box)


# ---- hard cases -----------------------------------------------------------------------------


def test_hostile_names_stay_text(open_report: Open) -> None:
    page = open_report(hostile())
    assert page.evaluate("() => typeof window.hacked") == "undefined"
    assert page.locator("h1").text_content() == hostile().title
    button(page, "task").click()
    page.get_by_label("Filter the rows of all tables").fill("<script>")
    assert page.locator("main tbody tr:visible").count() > 0


def test_an_empty_run_has_a_page(open_report: Open, tmp_path: Path) -> None:
    page = open_report(factory.report(tmp_path / "run", []))
    assert page.get_by_role("heading", level=1).text_content() == "run"
    assert "No cells were planned." in str(page.text_content("main"))


def test_without_a_script_everything_can_be_read(open_report: Open) -> None:
    page = open_report(reports.report(), java_script_enabled=False)
    assert page.get_by_role("table", name="Table 1. Scores").get_by_role("row").count() == 7
    assert page.locator("#figure-off-on .panels svg").is_visible()
    page.get_by_role("row", name="kd").get_by_role("link", name="command").first.click()
    assert page.url.endswith("#command-1")


def test_a_live_page_asks_again_and_keeps_what_was_typed(
    open_report: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.report.render.html.REFRESH", 1)
    page = open_report(reports.report(), live=True)
    search = page.get_by_label("Filter the rows of all tables")
    search.fill("reaugkd")
    page.evaluate("() => { window.before = true; }")
    search.blur()
    page.wait_for_function("() => window.before === undefined")
    page.wait_for_function("() => document.querySelector('.count')?.textContent === '3 of 6 rows'")
    assert search.input_value() == "reaugkd"
    pause = page.get_by_role("button", name="Pause updates")
    pause.click()
    assert pause.get_attribute("aria-pressed") == "true"
    done = open_report(reports.report())
    assert done.get_by_role("button", name="Pause updates").count() == 0
