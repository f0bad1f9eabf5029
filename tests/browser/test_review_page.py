"""A review's page as people see it: no request to anybody, nothing shut out, anchors that lead there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from checker.cli import say
from checker.cli.formats.review_page.page import render_page
from checker.cli.formats.review_words import ReviewOptions
from checker.governance.reviewed import Review
from tests import reviews
from tests.browser.test_dashboard_page import opened

PHONE, DESK = {"width": 400, "height": 800}, {"width": 1200, "height": 900}
MADE: dict[str, Callable[[], Review]] = {
    "rich": lambda: reviews.rich(192, "BC"), "neutral": reviews.neutral, "hostile": reviews.hostile,
}  # fmt: skip


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages as they are written to stdout, by name."""
    folder = tmp_path_factory.mktemp("reviews")
    paths = {}
    for name, make in MADE.items():
        paths[name] = folder / f"{name}.html"
        text = say._runner_safe_xml(render_page(make(), ReviewOptions()))
        paths[name].write_text(text, encoding="utf-8")
    return paths


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("name", MADE)
def test_nothing_is_asked_for_said_or_shut_out(
    browser: Browser, pages: dict[str, Path], name: str, size: dict[str, int], scheme: str
) -> None:
    seen = opened(browser, pages[name], scheme, size)
    found = Axe().run(seen.page)
    violations = [
        (row["id"], [node["html"][:120] for node in row["nodes"][:3]]) for row in found.response["violations"]
    ]
    assert violations == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:"))] == []
    assert seen.console == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    seen.page.close()


def test_a_link_to_a_window_leads_to_its_row(browser: Browser, pages: dict[str, Path]) -> None:
    seen = opened(browser, pages["rich"], size=DESK)
    seen.page.goto(f"{pages['rich'].as_uri()}#C-20140307T033000Z")
    row = seen.page.locator("tr:target")
    assert row.count() == 1
    assert "violation → warn" in row.inner_text()
    box = row.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < DESK["height"]
    seen.page.close()


def test_outcomes_are_told_by_height_as_well_as_by_colour(browser: Browser, pages: dict[str, Path]) -> None:
    seen = opened(browser, pages["rich"], size=PHONE)
    heights = {}
    for cls in ("ok", "warn", "violation"):
        box = seen.page.locator(f".day .row i.{cls}").first.bounding_box()
        assert box is not None
        assert box["width"] > 1
        heights[cls] = box["height"]
    assert heights["ok"] + 2 < heights["warn"] < heights["violation"] - 2
    seen.page.close()


def test_a_difference_opens_with_the_keys(browser: Browser, pages: dict[str, Path]) -> None:
    seen = opened(browser, pages["rich"], size=DESK)
    difference = seen.page.locator("details").first
    assert not difference.locator("pre").is_visible()
    difference.locator("summary").focus()
    seen.page.keyboard.press("Enter")
    assert "not retryable" in difference.locator("pre").inner_text()
    seen.page.close()
