"""A review at a terminal: within its columns, in words, and nothing in it that speaks to the terminal."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from checker.cli import say
from checker.cli.formats.review_formats import RENDERERS, show_review
from checker.cli.formats.review_table import render_table
from checker.cli.formats.review_words import ReviewOptions
from tests import reviews
from tests.attacking.readers import acted_on, commands_taken

SMALL = """\
AutoSave: origin/main → working tree                                NOT APPROVED
  LOOSENING: approval missing (Governance committee, SRE)
  1 change · 13 judgements flip · 13 rollbacks gone · 1 past incident no longer
  caught

Past incidents that this change no longer catches in time
  - INC-1 (phase C, slow saves in March): no longer caught; base would have
    rolled back at 2014-03-07 04:00 UTC

Approvals asked for
"""


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("name", reviews.REVIEWS)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    review = reviews.REVIEWS[name]()
    text = say.for_people(render_table(review, ReviewOptions(width=width)))
    differences = {line for row in review.changes for line in row.diff.splitlines()}
    wide = [
        line for line in text.splitlines()
        if cell_len(line) > width and "phasegate explain" not in line and line[:5].strip() not in ("+", "-", "+`", "-`")
    ]  # fmt: skip
    assert [line for line in wide if not differences] == []
    assert acted_on(text) == commands_taken(text) == []


def test_a_small_review_begins_with_its_golden_text() -> None:
    assert render_table(reviews.small(), ReviewOptions()).startswith(SMALL)


@pytest.mark.parametrize(
    "told",
    [
        "  unknown · queries/slo/failure_rate.sql\n    where   queries/slo/failure_rate.sql:14\n    why     a filter",
        "  loosening · slos.save_latency_p95.threshold.C (phase C)\n    before  ≤ 1.8 s\n    after   ≤ 2.0 s\n",
        "  SRE\n    who     bo (calls itself Bob)\n    signed  2014-03-07 00:00\n    until   2014-03-08 00:00\n",
        "  C · 2014-03-08 06:00 · 2014-03-08 00:00 · 6 h earlier\n",
        "  2014-03-07 03:30   C       violation → warn   rollback → hold   gone\n",
        "    phasegate explain --phase C --window 2014-03-07T03:30:00Z\n",
        "  ≤ 2.0 s   602   0      70          0         0       ← now\n",
        "  - phase D was not replayed: base has no such phase; to see what",
        "  - the filter of `errors` has another condition\n    --- base\n",
    ],
)
def test_what_a_rich_review_tells(told: str) -> None:
    assert told in render_table(reviews.rich(96, "C"), ReviewOptions())


def test_colour_changes_nothing_but_colour() -> None:
    review = reviews.rich(96, "C")
    plain, coloured = (render_table(review, ReviewOptions(colour=colour)) for colour in (False, True))
    assert "\x1b[1;31m" in coloured
    assert acted_on(coloured, styled=True) == []
    assert plain != coloured
    assert plain.split() == _without_styles(coloured).split()


def _without_styles(text: str) -> str:
    return "".join(part.partition("m")[2] if number else part for number, part in enumerate(text.split("\x1b[")))


def test_long_tables_say_how_much_more_there_is() -> None:
    text = render_table(reviews.huge(), ReviewOptions())
    assert "… and 4,980 more; all of them: phasegate review --format html" in text
    assert text.count("\n") < 2_500


@pytest.mark.parametrize("name", [*RENDERERS])
@pytest.mark.parametrize("review", ["rich", "hostile"])
def test_every_format_is_written_so_that_nothing_acts(
    name: str, review: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    show_review(name, reviews.REVIEWS[review](), ReviewOptions())
    written = capsysbinary.readouterr().out.decode()
    assert len(written) > 300
    assert acted_on(written) == []
    taken = commands_taken(written)
    assert len(taken) == (len(written.splitlines()) if name == "github" else 0)


def test_sight_stands_after_the_differences() -> None:
    text = render_table(reviews.rich(4, "C"), ReviewOptions())
    assert text.index("--- base") < text.index("Is the gate able to see anything?")
