"""The page of ``bench serve`` in a browser: asked, it shows decision, probabilities and shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bench.serve.servers import served
from tests.reaugkd.retrieval.test_classifier import TEXTS, classifier
from tests.reaugkd.retrieval.test_editable import editable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("page") / "c"
    editable().save_pretrained(folder)
    with served(folder, "--max-chars", 100) as (_, address):
        yield address


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_one_types_a_sentence_and_sees_whom_the_decision_comes_from(
    url: str, scheme: str, browser: Browser
) -> None:
    model = editable()
    context = browser.new_context(viewport=PHONE, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    page.get_by_label("Text", exact=True).fill(TEXTS[2])
    page.keyboard.press("Enter")
    page.locator("#decision").wait_for()
    told = model.explain(TEXTS[2])
    assert page.locator("#decision").inner_text() == told.label
    assert page.locator("#probabilities li").count() == 3
    shares = page.locator("#shares li")
    assert shares.count() == 1 + len(told.neighbours)
    assert TEXTS[2] in shares.nth(1).inner_text()
    assert f"{100 * told.neighbours[0].share:.1f} %" in shares.nth(1).inner_text()
    assert fits(page)
    assert asked[0] == url
    assert all(address.startswith(url) for address in asked if not address.startswith("data:"))
    assert complaints == []
    page.get_by_label("Text", exact=True).fill("x" * 101)
    page.get_by_role("button").click()
    page.get_by_text("at most 100 are taken").wait_for()
    assert not page.locator("#answer").is_visible()
    context.close()


def test_a_pair_has_two_fields(browser: Browser, tmp_path: Path) -> None:
    classifier(pair=True).save_pretrained(tmp_path / "pairs")
    with served(tmp_path / "pairs") as (_, url):
        page = browser.new_page()
        page.goto(url)
        page.get_by_label("First text").fill("<b>bread</b>")
        page.get_by_label("Second text").fill("the soup")
        page.get_by_role("button").click()
        page.locator("#decision").wait_for()
        assert "entry 10" in page.locator("#shares").inner_text()  # no texts are kept
        page.close()


def fits(page: Page) -> bool:
    """Whether nothing is wider than the screen."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
