"""The dashboard as people see it: banner, values, keys, no request to anybody, nothing that shuts anybody out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from checker.ledger.append import Draft
from checker.pipeline import read_past, survey
from checker.reporter.dashboard.write import DOCUMENT, PAGE, write_dashboard
from tests.batches import closed
from tests.rollouts import Rollout

PHONE, WALL = {"width": 360, "height": 780}, {"width": 1920, "height": 1080}


@dataclass
class Seen:
    """A page in a browser: what it asked for, and what it said to its console."""

    page: Page
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)


def opened(browser: Browser, path: Path, scheme: str = "light", size: dict[str, int] = WALL, now: str = "") -> Seen:
    """The page at `path`, looked at at the time `now`."""
    page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    seen = Seen(page)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", lambda message: seen.console.append(message.text))
    page.on("pageerror", lambda error: seen.console.append(str(error)))
    if now:
        page.clock.set_fixed_time(now)
    page.goto(path.as_uri())
    return seen


def written(rollout: Rollout, folder: Path, windows: int, minutes: int = 1) -> Path:
    """The dashboard once `windows` windows are closed."""
    request = rollout.request(closed(windows) + timedelta(minutes=minutes))
    write_dashboard(folder, survey(rollout.governed, request, read_past(request)))
    return folder / PAGE


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Rollout:
    """Phase B with a warning, a window without a batch, and a violation that opened an incident."""
    rollout = Rollout(tmp_path_factory.mktemp("incident"), "B")
    rollout.enter()
    rollout.batches(*["met"] * 12, "warn", "missing", "met", "violation")
    rollout.check()
    return rollout


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Rollout:
    """Phase B, eight windows met."""
    rollout = Rollout(tmp_path_factory.mktemp("calm"), "B")
    rollout.enter()
    rollout.batches(*["met"] * 8)
    rollout.check()
    return rollout


@pytest.fixture
def page_of_incident(browser: Browser, incident: Rollout, tmp_path: Path) -> Iterator[Seen]:
    seen = opened(browser, written(incident, tmp_path, 16), now="2026-01-01T04:10:00Z")
    yield seen
    seen.page.close()


def test_the_banner_is_there_in_an_incident_and_gone_once_it_has_ended(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    rollout = Rollout(tmp_path_factory.mktemp("ended"), "B")
    rollout.enter()
    rollout.batches("met", "violation")
    rollout.check()
    heads = []
    name = rollout.state.incidents[0].id
    steps: list[Draft | None] = [
        None,
        Draft(
            "rollback", "B", {"event": "ended", "from": "B", "to": "A", "incident": name, "by": "Ada", "reason": "x"}
        ),
        Draft("incident", "B", {"event": "ended", "reason": "the recovery held"}, id=name),
    ]
    for minutes, draft in enumerate(steps, start=1):
        if draft is not None:
            rollout.record([draft], closed(2) + timedelta(minutes=minutes))
        path = written(rollout, tmp_path, 2, minutes)
        seen = opened(browser, path)
        banner = seen.page.locator("#rollback-banner")
        document = json.loads((tmp_path / DOCUMENT).read_text(encoding="utf-8"))
        shown = banner.is_visible()
        assert shown is document["rollback_active"]
        heads.append(banner.locator(".banner-head").inner_text() if shown else None)
        seen.page.close()
    assert heads == ["ROLLBACK REQUIRED", "ROLLBACK ACTIVE", None]


def test_the_banner_is_impossible_to_miss(browser: Browser, incident: Rollout, tmp_path: Path) -> None:
    path = written(incident, tmp_path, 16)
    for size in (PHONE, WALL):
        seen = opened(browser, path, size=size)
        box = seen.page.locator("#rollback-banner").bounding_box()
        assert box is not None
        assert (box["x"], box["y"], box["width"]) == (0, 0, size["width"])
        assert box["height"] > 100
        assert (
            "phasegate rollback --target=autosave --phase=B" in seen.page.locator("#rollback-banner code").inner_text()
        )
        seen.page.close()


def test_the_p95_card_equals_the_document(page_of_incident: Seen, tmp_path: Path) -> None:
    card = page_of_incident.page.locator('.card[data-slo="save_latency_p95"]')
    document = json.loads((tmp_path / DOCUMENT).read_text(encoding="utf-8"))
    (told,) = (row for row in document["cards"] if row["slo"] == "save_latency_p95")
    value = card.locator(".value")
    assert float(value.get_attribute("data-value") or "nan") == told["value"] == 9.0
    assert (value.inner_text(), card.locator(".chip").inner_text()) == ("9 s", "violation")
    assert card.locator("svg").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, WALL], ids=["phone", "wall"])
@pytest.mark.parametrize("which", ["calm", "incident"])
def test_nothing_is_asked_for_said_or_shut_out(
    browser: Browser, calm: Rollout, incident: Rollout, tmp_path: Path, which: str, size: dict[str, int], scheme: str
) -> None:
    path = written(calm, tmp_path, 8) if which == "calm" else written(incident, tmp_path, 16)
    seen = opened(browser, path, scheme, size)
    found = Axe().run(seen.page)
    violations = [
        (row["id"], [node["html"][:120] for node in row["nodes"][:3]]) for row in found.response["violations"]
    ]
    assert violations == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:"))] == []
    assert seen.console == []
    width = seen.page.evaluate("document.documentElement.scrollWidth")
    assert width <= size["width"]
    seen.page.close()


def test_the_strip_is_read_with_the_keys(page_of_incident: Seen) -> None:
    page = page_of_incident.page
    told = page.locator("#told")
    assert "04:00" not in told.inner_text()
    newest = told.inner_text()
    page.locator("#strip button").last.focus()
    page.keyboard.press("ArrowLeft")
    before = told.inner_text()
    assert "2026-01-01 03:30 UTC: ok" in before
    page.keyboard.press("ArrowLeft")
    assert "no data" in told.inner_text()
    page.keyboard.press("Home")
    assert "2026-01-01 00:00 UTC: ok" in told.inner_text()
    page.keyboard.press("End")
    assert told.inner_text() == newest
    assert "violation (save latency P95 9 s)" in newest
    assert page.locator("#strip button[tabindex='0']").count() == 1


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ("2026-01-01T04:35:00Z", None),
        ("2026-01-01T04:37:00Z", "31 minutes old"),
        ("2026-01-03T04:06:00Z", "2 days old"),
    ],
)
def test_a_page_that_is_not_renewed_says_so(
    browser: Browser, incident: Rollout, tmp_path: Path, now: str, told: str | None
) -> None:
    seen = opened(browser, written(incident, tmp_path, 16), now=now)
    stale = seen.page.locator("#stale")
    assert stale.is_visible() is (told is not None)
    if told:
        assert told in stale.inner_text()
    seen.page.close()


def test_without_scripts_the_page_is_whole(browser: Browser, incident: Rollout, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written(incident, tmp_path, 16).as_uri())
    assert page.locator("#rollback-banner").is_visible()
    assert page.locator("#strip button").count() == 16
    assert "violation" in page.locator("#told").inner_text()
    context.close()
