"""A review as a comment: the verdict first, within GitHub's limit, nothing of a repository's that acts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from checker.cli import say
from checker.cli.formats.review_markdown import MARKER, MOST, render_markdown
from checker.cli.formats.review_words import ReviewOptions
from checker.governance.reviewed import Review
from checker.model import Status
from tests import reviews
from tests.attacking.readers import acted_on, commands_taken, text_of_markdown

PAGE = "https://ci.example/review.html"
_OUR_HTML = re.compile(
    rf"{re.escape(MARKER)}|<details>\n<summary><code>[^<>]*</code></summary>|</details>|<!-- /?phasegate-review -->"
)


def shown(review: Review, page_url: str | None = None) -> str:
    """The comment as it is written to stdout."""
    return say.for_people(render_markdown(review, ReviewOptions(page_url)))


def tokens(text: str) -> Iterator[Token]:
    """What a reader of GitHub's Markdown makes of it."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def headings(text: str) -> list[str]:
    """The headings, in order."""
    return [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")]


def test_the_verdict_stands_right_under_the_marker() -> None:
    first, verdict, *_ = shown(reviews.small()).splitlines()
    assert first == "<!-- phasegate-review -->"
    assert verdict == (
        "**LOOSENING: approval missing (`Governance committee`, `SRE`)** · 1 change · 13 judgements flip"
        " · 13 rollbacks gone · 1 past incident no longer caught"
    )


@pytest.mark.parametrize(
    ("review", "verdict"),
    [
        (reviews.neutral(), "**NEUTRAL: nothing that was compared has changed** · 0 changes · nothing replayed"),
        (reviews.review(reviews.change("tightening")), "**TIGHTENING: no approval needed**"),
        (reviews.review(approvals=reviews.approvals(0)), "**LOOSENING: approved**"),
        (
            reviews.review(reviews.change("unknown"), approvals=reviews.approvals(2)),
            "**UNKNOWN: approval missing (`Governance committee` × 2, `SRE` × 2)**",
        ),
        (
            reviews.review(approvals=reviews.approvals(required=(), missing=1)),
            "**LOOSENING: not approved: nobody but the authors has approved**",
        ),
    ],
)
def test_verdicts(review: Review, verdict: str) -> None:
    assert shown(review).splitlines()[1].startswith(verdict)


def test_what_is_no_longer_caught_is_told_before_anything_else() -> None:
    found = shown(reviews.rich(96, "C"))
    assert headings(found)[0] == "🚨 Past incidents that this change no longer catches in time"
    assert [line for line in found.splitlines() if line.startswith("- `INC-")][:3] == [
        "- `INC-1` (phase `C`, `slow saves in March`): no longer caught; base would have rolled back at"
        " 2014-03-07 04:00 UTC",
        "- `INC-2` (phase `C`, `drift`): caught at 2014-03-07 04:45 UTC, by base at 2014-03-07 03:45",
        "- `INC-4` (phase `C`, `long ago`): outside of the logs replayed",
    ]
    assert "🚨" not in shown(reviews.review())


def test_every_kind_of_thing_has_its_section_in_the_order_of_importance() -> None:
    assert headings(shown(reviews.rich(96, "C")))[1:] == [
        "Approvals asked for",
        "Approvals present",
        "Changes",
        "Warnings",
        "What was not looked at",
        "Replay",
        "Judgements that flip",
        "Windows whose outcome or decision differs",
        "Past incidents",
        "Gates",
        "Values that differ",
        "Rows that the queries read",
        "Is the gate able to see anything?",
        "Other limits",
    ]


@pytest.mark.parametrize(
    "row",
    [
        "| unknown | `queries/slo/failure_rate.sql` | – | – | `queries/slo/failure_rate.sql:14` |",
        "| loosening | `slos.save_latency_p95.threshold.C (phase C)` | `≤ 1.8 s` | `≤ 2.0 s` | `policy/policy.yaml:31`",
        "| `C` | 2014-03-08 06:00 | 2014-03-08 00:00 | 6 h earlier |",
        "| `B` | never | 2014-03-07 00:00 | passes now, never before |",
        "| `INC-1` | `C` | `slow saves in March` | caught 2014-03-07 04:00, 1 h late | not caught |",
        "| `failure_rate` | `C` | 412 | `0.21 % → 0.211 %` |",
        "| `slo/failure_rate.sql` | `C` | 1,204 | 17 |",
        "| `slo/history_drift.sql` | `C` | `not known: its filters read a window function` | – |",
        "| `failure_rate` | `C` | 40 | `2.5 % of saves that fail` | `0.3 % of saves that fail` | `⚠ blind: 40 samples",
        "| `≤ 2.0 s` | 602 | 0 | 70 | 0 | 0 | ← now |",
        "| `SRE` | `bo (calls itself Bob)` | 2014-03-07 00:00 | 2014-03-08 00:00 | `no: it is bound to another digest`",
        "- False alarms (rollbacks outside every past incident, a run of windows counts once): 2 → 5",
        "- `the logs end 3 days before the change`",
        "- phase `D` was not replayed: `base has no such phase`; to see what the change does there: "
        "`--phase D --events-of C`",
        "- 1 of 3 SLOs and phases see enough",
        "- not known: phase `C` had no samples",
        "- To approve: `phasegate approve --base origin/main --digest 555555555555 --role 'Governance committee'"
        " --reason … --key FILE`",
        "- To approve: `phasegate approve --base origin/main --digest 555555555555 --role SRE --reason … --key FILE`",
        "- `INC-4` (phase `C`, `long ago`): outside of the logs replayed",
    ],
)
def test_what_a_rich_review_tells(row: str) -> None:
    assert any(line.startswith(row) for line in shown(reviews.rich(96, "C")).splitlines())


def test_the_gravest_change_stands_first() -> None:
    rows = re.findall(r"^\| (unknown|loosening|tightening|neutral) \|", shown(reviews.rich(4, "C")), re.MULTILINE)
    assert rows == ["unknown", "loosening", "tightening", "neutral"]


def test_a_window_is_a_link_into_the_page_or_a_command() -> None:
    row = "| `C` | `save_latency_p95` | violation → warn | `1.91 s` | `1.8 s → 2.0 s` |"
    told = shown(reviews.small(), PAGE)
    assert f"| [2014-03-07 03:30](<{PAGE}#C-20140307T033000Z>) {row}" in told
    without = shown(reviews.small())
    assert f"| 2014-03-07 03:30 {row}" in without
    assert "Look into a window with `phasegate explain --phase C --window 2014-03-07T03:30:00Z`" in without


def test_options_of_the_call_are_repeated_in_a_command() -> None:
    told = render_markdown(reviews.small(), ReviewOptions(source=("--logs=my logs",)))
    assert "--window 2014-03-07T03:30:00Z '--logs=my logs'`" in told


def test_differences_are_collapsed() -> None:
    told = shown(reviews.rich(4, "C"))
    assert told.count("<details>") == told.count("</details>") == 2
    formatted = "(both formatted alike; not the file&#x27;s own lines)"
    assert f"<summary><code>unknown: queries/slo/failure_rate.sql {formatted}</code></summary>" in told
    assert "- `the filter of \\x60errors\\x60 has another condition`\n\n```diff\n--- base\n+++ head" in told


@pytest.mark.parametrize("page_url", [None, PAGE])
@pytest.mark.parametrize("name", reviews.REVIEWS)
def test_nothing_of_a_repository_acts(name: str, page_url: str | None) -> None:
    told = shown(reviews.REVIEWS[name](), page_url)
    found = list(tokens(told))
    html = [token.content.strip() for token in found if token.type in ("html_block", "html_inline")]
    assert [each for each in html if not _OUR_HTML.fullmatch(each)] == []
    links = [token.attrGet("href") for token in found if token.type == "link_open"]
    assert [link for link in links if not str(link).startswith(PAGE)] == []
    assert (links == []) is (page_url is None)
    assert not [token.type for token in found if token.type == "image"]
    assert not re.search(r"@|#\d|GH-\d|http|\*\*b", text_of_markdown(told))
    assert acted_on(told) == commands_taken(told) == []


def test_every_row_of_a_hostile_table_has_its_cells() -> None:
    rows: list[int] = []
    heads: list[int] = []
    for token in tokens(shown(reviews.hostile())):
        if token.type == "thead_open":
            heads.append(0)
        elif token.type == "th_open":
            heads[-1] += 1
        elif token.type == "tr_open":
            rows.append(0)
        if token.type in ("td_open", "th_open"):
            rows[-1] += 1
    assert len(heads) >= 9
    assert set(rows) <= set(heads)
    assert 0 not in rows


def test_a_pipe_in_a_cell_does_not_end_it() -> None:
    told = shown(reviews.review(reviews.change(why="a | b `c` d")))
    (row,) = (line for line in told.splitlines() if line.startswith("| loosening"))
    assert row.count("|") == 7


@pytest.mark.parametrize("page_url", [None, PAGE])
def test_the_largest_review_fits_and_says_what_it_left_out(page_url: str | None) -> None:
    told = shown(reviews.huge(), page_url)
    assert len(told.encode("utf-16-le")) // 2 <= MOST == 65_536
    assert len(told) <= 65_536
    assert len(told) > 40_000  # it is no stub either
    assert told.count("<details>") == told.count("</details>") > 0
    fences = [line for line in told.splitlines() if line.startswith("```")]
    assert len(fences) % 2 == 0
    assert [*map(len, fences)] == [len("```diff"), 3] * (len(fences) // 2)
    tables = [token for token in tokens(told) if token.type == "fence"]
    assert len(tables) == len(fences) // 2  # none runs to the end of the comment
    elsewhere = f"[the whole page](<{PAGE}>)" if page_url else "`phasegate review --format html`"
    assert f"… and {'4,975' if page_url else '4,900'} more rows: {elsewhere}" in told
    last = told.splitlines()[-1]
    assert last.startswith("**Left out here, for a comment's length:** `")
    assert "the difference of loosening: slos.s0.threshold.C" in last  # 500 kB fit into no comment
    assert last.endswith(elsewhere)


def test_what_is_most_important_is_never_left_out() -> None:
    told = shown(reviews.huge())
    found = headings(told)
    assert found[:4] == [
        "🚨 Past incidents that this change no longer catches in time", "Approvals asked for", "Changes",
        "What was not looked at",
    ]  # fmt: skip
    assert "300 past incidents no longer caught" in told.splitlines()[1]


def test_the_same_review_gives_the_same_comment() -> None:
    assert shown(reviews.rich(96, "C")) == shown(reviews.rich(96, "C"))


def test_an_address_cannot_end_a_link() -> None:
    told = shown(replace(reviews.small()), "https://ci.example/a b>)\n@here(x.html#old")
    links = [str(token.attrGet("href")) for token in tokens(told) if token.type == "link_open"]
    assert {link.split("#")[0] for link in links} == {"https://ci.example/a%20b%3E%29%0A@here%28x.html"}


def test_a_phase_that_the_change_concerns_and_nobody_replayed_is_in_the_headline() -> None:
    told = reviews.consequences(4, "B", flips=(), verdict_flips=(), not_replayed={"C": "no events", "A": "no events"})
    named, every = (shown(reviews.review(reviews.change(phases=row), consequences=told)) for row in (("C",), ()))
    line = named.splitlines()[1]
    assert "phase `C`, which this change concerns, was not replayed" in line
    assert "no judgement flips in the phases that were replayed" in line
    assert "phases `C`, `A`, which this change concerns, were not replayed" in every.splitlines()[1]
    command = "; to see what the change does there: `--phase C --events-of B`"
    assert f"- phase `C` was not replayed: `no events`{command}\n" in named
    assert "- phase `A` was not replayed: `no events`\n" in named


def test_a_change_of_words_concerns_no_replay() -> None:
    told = reviews.consequences(4, "B", flips=(), not_replayed={"C": "no events"})
    line = shown(reviews.review(reviews.change(kind="template"), consequences=told)).splitlines()[1]
    assert "which this change concerns" not in line


def test_the_worst_flips_come_first_and_are_explained() -> None:
    mild = reviews.flip(1, before=Status.OK, after=Status.WARN)
    gone = reviews.flip(2, before=Status.OK, after=Status.NO_DATA)
    rows = (mild, gone, reviews.flip(9), reviews.flip(3, before=Status.OK, after=Status.VIOLATION))
    told = shown(reviews.review(consequences=reviews.consequences(4, flips=rows, verdict_flips=())))
    found = re.findall(r"^\| 2014-03-07 (\S+) \| `C` \| `save", told, re.MULTILINE)
    assert found == ["00:45", "02:15", "00:30", "00:15"]
    assert "--window 2014-03-07T00:45:00Z" in told


def test_sight_has_rows_for_the_blind_alone_and_none_without_a_change() -> None:
    review = reviews.rich(4, "C")
    rows = shown(review).partition("### Is the gate able")[2].partition("### ")[0]
    assert rows.count("\n| `") == 1
    assert "Is the gate able" not in shown(replace(reviews.neutral(), sights=review.sights))


def test_one_window_asks_and_two_ask() -> None:
    gone = [row for row in reviews.consequences(30).verdict_flips if row.verdict_before == "rollback"]
    some = (reviews.consequences(30, verdict_flips=tuple(gone[:count])) for count in (1, 2))
    one, two = (shown(reviews.review(consequences=told)) for told in some)
    assert "Rollbacks: 1 window no longer asks for one" in one
    assert "Rollbacks: 2 windows no longer ask for one" in two


def test_an_incident_of_a_phase_that_was_not_replayed_says_so() -> None:
    row = reviews.incident(is_in_span=False)
    told = reviews.consequences(4, "B", incidents=(row,), not_replayed={"C": "no events"})
    assert "`slow saves in March`): phase `C` was not replayed" in shown(reviews.review(consequences=told))


def test_who_signed_without_a_known_key_and_what_was_rendered() -> None:
    told = shown(reviews.rich(4, "C"))
    assert "| `not known (calls itself Ada Lovelace)` |" in told
    assert "every SLO is met (over made-up values)</code></summary>" in told


def test_the_command_to_approve_is_quoted_for_a_shell() -> None:
    assert "--base 'a b; c' --digest" in shown(replace(reviews.review(), base=replace(reviews.BASE, name="a b; c")))
