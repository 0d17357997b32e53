"""A headless Chromium that has no network to ask, and pages opened from files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from bench.report.document import Report
from bench.report.render.html import render

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("REAUGKD_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Open(Protocol):
    """Opens a report in a browser."""

    def __call__(self, report: Report, *, live: bool = False, **context: Any) -> Page:
        """The page, drawn; ``context`` as for ``Browser.new_context``."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One process for all tests; every test has a profile of its own in it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=[*FLAGS])
        yield started
        started.close()


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens reports; at the end no page may have complained or asked for anything."""
    complaints: list[str] = []
    contexts = []

    def opened(report: Report, *, live: bool = False, **context: Any) -> Page:
        file = tmp_path / "report.html"
        file.write_text(render(report, command="bench report", live=live), encoding="utf-8")
        contexts.append(
            browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | context)
        )
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        complaints.extend(
            f"asked for {url}"
            for url in asked
            if url.split("#")[0] != file.as_uri() and not url.startswith("data:")
        )
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
