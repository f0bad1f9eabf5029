"""A review as a page: whole without a network, words of others as text alone, every flipped window an anchor."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from checker.cli.formats.review_page.page import render_page
from checker.cli.formats.review_page.strips import strip_rows
from checker.cli.formats.review_words import ReviewOptions
from checker.governance.reviewed import Review
from checker.model import Window
from checker.reporter.charts import INSTALL
from tests import reviews
from tests.attacking.readers import acted_on

_VOID = {"meta", "link", "path", "use", "rect", "line", "br"}
_ALLOWED = {
    *("html", "head", "meta", "title", "link", "style", "body", "header", "div", "h1", "h2", "p", "code", "span"),
    *("main", "section", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "i", "figure", "figcaption"),
    *("svg", "g", "defs", "path", "use", "text", "clippath", "rect", "details", "summary", "pre", "footer"),
}


class Reader(HTMLParser):
    """A page as a reader has it: its elements, ids and attributes, and whether each element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.opened: list[str] = []
        self.faults: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in ("meta", "link"):
            self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.opened.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.opened or self.opened.pop() != tag:
            self.faults.append(tag)


def page(review: Review) -> str:
    """The page of a review."""
    return render_page(review, ReviewOptions())


@pytest.fixture(scope="module")
def rich_page() -> str:
    return page(reviews.rich())


@pytest.mark.parametrize("name", reviews.REVIEWS)
def test_it_holds_our_elements_alone_each_closed_each_id_once(name: str) -> None:
    text = page(reviews.REVIEWS[name]())
    read = Reader(text)
    assert set(read.tags) <= _ALLOWED
    assert (read.faults, read.opened) == ([], [])
    assert len(read.ids) == len(set(read.ids))
    assert acted_on(text) == []
    assert not [name for _, name, _ in read.attributes if name.startswith("on") or name in ("src", "style", "action")]
    outside = [value for _, name, value in read.attributes if name in ("href", "xlink:href")]
    assert [value for value in outside if not value.startswith(("#", "data:"))] == []


def test_its_policy_allows_its_own_style_and_nothing_else(rich_page: str) -> None:
    (allowed,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', rich_page)
    (own,) = re.findall(r"<style>(.*?)</style>", rich_page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in html.unescape(allowed)
    assert allowed.startswith("default-src 'none';")
    assert "unsafe" not in allowed
    assert "script" not in allowed


def test_a_week_of_three_phases_remains_small(rich_page: str) -> None:
    assert len(rich_page.encode()) < 1_500_000
    assert rich_page.count(' class="violation" title="03:30 violation"') == 12  # 4 days of 7, 3 phases, base alone


def test_every_flipped_window_is_an_anchor_once(rich_page: str) -> None:
    told = reviews.rich().consequences
    assert told is not None
    wanted = {f"{row.phase}-{row.window.start:%Y%m%dT%H%M%SZ}" for row in (*told.flips, *told.verdict_flips)}
    ids = Reader(rich_page).ids
    assert "C-20140307T033000Z" in wanted
    assert wanted <= set(ids)


def test_the_strips_say_in_words_what_they_show() -> None:
    told = reviews.consequences(100)
    first, second = strip_rows(told.replays[0])
    assert [strip.told for strip in first.strips] == [
        "base, 2014-03-07: 96 windows: 64 ok, 13 violation, 19 warn",
        "head, 2014-03-07: 96 windows: 83 ok, 13 warn",
    ]
    assert [len(strip.cells) for strip in (*first.strips, *second.strips)] == [96] * 4
    marks = [number for number, cell in enumerate(first.marks) if cell.cls == "differs"]
    assert set(range(14, 27)) <= set(marks)
    assert first.marks[14].told == "03:30 violation (rollback) → warn (hold)"
    assert first.strips[0].cells[14].told == "03:30 violation"


def test_windows_of_the_same_time_of_day_stand_below_each_other() -> None:
    decisions = tuple(reviews.decision(number, 1.0, 2.0) for number in range(40, 140))
    replay = replace(reviews.consequences(1).replays[0], base=decisions, head=decisions)
    rows = list(strip_rows(replay))
    assert [sum(bool(cell.cls) for cell in row.strips[0].cells) for row in rows] == [56, 44]
    assert rows[0].strips[0].cells[40].told == rows[1].strips[0].cells[40].told == "10:00 ok"


def test_a_side_without_the_phase_says_so() -> None:
    replay = replace(reviews.consequences(2).replays[0], base=())
    (row,) = strip_rows(replay)
    assert row.strips[0].told == "base, 2014-03-07: 0 windows: not replayed"
    assert {cell.cls for cell in row.marks} == {""}


def test_windows_of_two_lengths_stand_in_rows_of_their_own() -> None:
    told = reviews.consequences(4).replays[0]
    longer = tuple(replace(made, window=Window(made.window.start, told.base[1].window.end)) for made in told.head[:1])
    rows = list(strip_rows(replace(told, head=longer)))
    assert [[strip.told.split(": ", 1)[1] for strip in row.strips] for row in rows] == [
        ["4 windows: 4 warn", "0 windows: not replayed"],
        ["0 windows: not replayed", "1 window: 1 ok"],
    ]
    assert [len(row.marks) for row in rows] == [96, 48]


def test_both_values_and_both_limits_are_drawn(rich_page: str) -> None:
    (title, *_) = re.findall(r"<title>(base: [^<]*)</title>", rich_page)
    assert title.startswith(
        f"base: {reviews.SLO} in phase A over 672 windows: 1.2 to 1.91 s; threshold 1.8 s; 52 violated. head:"
    )
    assert "threshold 2 s; 0 violated" in title
    assert rich_page.count("<figure>") == 4  # the P95 in three phases, and the failure rate, whose values differ


def test_without_the_library_it_says_what_to_install_and_has_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    text = page(reviews.review(consequences=reviews.consequences(95)))  # not drawn before
    assert INSTALL in html.unescape(text)
    assert "<svg" not in text
    assert '<td class="long">1.8 s → 2.0 s</td>' in text


@pytest.mark.parametrize("head", ['th scope="col">SLO', 'th scope="row" class="ours short">loosening'])
def test_tables_say_what_their_heads_are_of(rich_page: str, head: str) -> None:
    assert f"<{head}<" in rich_page


def test_what_is_no_longer_caught_stands_first(rich_page: str) -> None:
    first = rich_page.index("<section")
    assert rich_page[first:].startswith('<section aria-labelledby="lost-0" class="alarm">')
    assert "<code>INC-1</code> (phase <code>C</code>, <code>slow saves in March</code>): no longer caught" in rich_page


def test_the_limit_that_holds_is_marked_in_words_as_well(rich_page: str) -> None:
    (row,) = re.findall(r'<tr class="marked">.*?</tr>', rich_page)
    assert "≤ 2.0 s" in row
    assert "← now" in row


def test_a_difference_is_collapsed_and_whole(rich_page: str) -> None:
    formatted = "(both formatted alike; not the file&#39;s own lines)"
    assert f"<summary>unknown: queries/slo/failure_rate.sql {formatted}</summary>" in rich_page
    assert '<span class="del">-    event = &#39;autosave.save.error&#39;</span>' in rich_page


def test_the_same_review_gives_the_same_page(rich_page: str) -> None:
    assert page(reviews.rich()) == rich_page
