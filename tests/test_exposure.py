"""Who is exposed: events by phase as a batch's index has them, shares at their edge, and what `status` shows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer.batch_index import BatchIndex, index_document, index_of
from checker.analyzer.batches import BatchFile
from checker.analyzer.exposure import DyingAway, Share, audience_share, dying_away
from checker.analyzer.ingest import MAX_NAME_CHARACTERS, MAX_PHASES
from checker.analyzer.telemetry import KnownBatch, Telemetry
from checker.cli.formats.status_report import Standing, render_status, status_document
from checker.ledger.append import Draft
from checker.ledger.state import fold
from checker.model import Window
from checker.policy.collecting import Exposure
from checker.watching import Watched
from checker.windows import iso
from tests.batches import WINDOW, closed, event, start_of
from tests.commands import phasegate
from tests.rollouts import Rollout, governed_of
from tests.telemetry import ingested, instant, line, rules_for, save, seal, write_batch

RULE = Exposure(0.05)


def test_events_by_phase_are_told_without_the_collectors_own(tmp_path: Path) -> None:
    lines = [save("12:01", "a"), save("12:02", "b"), line("12:03", "x", "C"), save("11:50", "late")]
    lines.append(seal("12:15:03", "12:00", 3000))
    index = ingested(write_batch(tmp_path, "12:00", [*lines, save("12:01", "a")]), rules_for()).index
    assert index.phases == {instant("11:45"): {"B": 1}, instant("12:00"): {"B": 2, "C": 1}}
    assert index_of(json.loads(json.dumps(index_document(index)))) == index


def test_of_very_many_phases_the_most_frequent_are_kept(tmp_path: Path) -> None:
    lines = [line(f"12:01:{number % 60:02}.{number:03}", "x", f"p{number:03}") for number in range(MAX_PHASES + 3)]
    lines += [line("12:02", "x", "p102"), line("12:03", "x", "q" * (MAX_NAME_CHARACTERS + 1))]
    (counts,) = ingested(write_batch(tmp_path, "12:00", lines), rules_for()).index.phases.values()
    assert (len(counts), counts["p102"]) == (MAX_PHASES, 2)
    assert {"p000", "p098"} <= set(counts)
    assert not {"p099", "p101", "q" * (MAX_NAME_CHARACTERS + 1)} & set(counts)


def test_late_events_count_for_their_window_over_all_batches() -> None:
    """Copies in two batches are counted twice: a share bears that, and a verdict reads them once."""
    indices = {
        start_of(0): {start_of(0): {"B": 5, "C": 1}},
        start_of(1): {start_of(0): {"B": 2}, start_of(1): {"A": 9}},
    }
    batches = [
        KnownBatch(
            BatchFile(start, Path("batch")),
            BatchIndex(digest="", lines=0, too_late=0, events={}, phases=phases),
            "key", Path("events"), "checksum",
        )
        for start, phases in indices.items()
    ]  # fmt: skip
    touching = {start_of(0): tuple(batches), start_of(1): tuple(batches[1:])}
    known = {batch.file.start: batch for batch in batches}
    found = Telemetry(WINDOW, timedelta(hours=24), closed(2), known, {}, touching)
    assert [dict(found.events_by_phase(start_of(n))) for n in range(3)] == [{"B": 7, "C": 1}, {"A": 9}, {}]


@pytest.mark.parametrize(
    ("share", "wanted", "within", "is_off"),
    [
        (0.4, 0.3, 0.1, False),  # 0.10000000000000003 in floating point
        (0.2, 0.3, 0.1, False),
        (0.401, 0.3, 0.1, True),
        (0.199, 0.3, 0.1, True),
        (0.95, 1.0, 0.05, False),
        (0.9499, 1.0, 0.05, True),
    ],
)
def test_a_share_may_lie_exactly_so_far_off(share: float, wanted: float, within: float, is_off: bool) -> None:
    assert Share("B", share, wanted).is_off(Exposure(within)) is is_off


@pytest.mark.parametrize(
    ("share", "wanted", "told"),
    [
        (1.0, 0.3, "100 % of the events carry B, the policy says 30 %"),
        (0.3, 0.3, "30 % of the events carry B, the policy says 30 %"),
        (0.9996, 1.0, "99.96 % of the events carry B, the policy says 100 %"),  # not 100
        (0.00001, 0.005, "0.001 % of the events carry B, the policy says 0.5 %"),
        (0.12345, None, "12.3 % of the events carry B"),
    ],
)
def test_a_share_in_words(share: float, wanted: float | None, told: str) -> None:
    assert Share("B", share, wanted).told == told


@pytest.mark.parametrize("audience", ["", "30", "%", "one 5 %", "30–50 %", "-5 %", "5,5 %", "100.5 %"])
def test_an_audience_without_a_percentage_at_its_beginning(audience: str) -> None:
    assert audience_share(replace(governed_of().policy.phase("A"), audience=audience)) is None


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([412, 31, *[0] * 94], "412 → 31 → 0"),
        ([412, 0, 0, 5, 0, 0], "412 → 0 → 5 → 0"),
        ([5, 5, 5], "5 → 5 → 5"),  # only quiet windows are told as one
        ([1, 2, 3, 4, 5, 6, 7], "1 → 2 → 3 → 4 → 5 → 6 → 7"),
        ([1, 2, 3, 4, 5, 6, 7, 8], "1 → 2 → 3 → … → 5 → 6 → 7 → 8"),
        ([12_345], "12,345"),
    ],
)
def test_a_day_of_counts_in_words(counts: list[int], told: str) -> None:
    found = dying_away("C", start_of(0), {start_of(each): {"C": count} for each, count in enumerate(counts)}, WINDOW)
    assert found.told == f"C since its rollback: {told} events"
    assert [count for _, count in found.counts] == counts


@pytest.mark.parametrize(("minute", "expected"), [(0, 2), (1, None)])
def test_a_window_that_begins_exactly_then_should_be_quiet(minute: int, expected: int | None) -> None:
    since = start_of(0) + timedelta(minutes=minute)
    found = dying_away("C", since, {start_of(each): {"C": 1} for each in range(3)}, WINDOW)
    assert found.still_there(RULE) == (None if expected is None else start_of(expected))


@pytest.mark.parametrize(
    ("share", "rule", "shown"),
    [
        (1.0, RULE, "exposure          ⚠ 100 % of the events carry B, the policy says 30 %"),
        (0.3, RULE, "exposure          30 % of the events carry B, the policy says 30 %"),
        (1.0, None, "exposure          100 % of the events carry B, the policy says 30 %"),
    ],
)
def test_status_warns_of_a_share_only_where_the_policy_does(share: float, rule: Exposure | None, shown: str) -> None:
    standing = standing_with(Watched(window(3), rule, share=Share("B", share, 0.3)))
    assert f"  {shown}" in render_status(standing, governed_of().policy, colour=False, width=80).splitlines()
    told = status_document(standing, governed_of().policy)
    assert told["exposure"] == {"phase": "B", "share": share, "audience": 0.3}


@pytest.mark.parametrize(("rule", "mark"), [(RULE, "⚠ "), (None, "")])
def test_status_shows_how_a_phase_dies_away_in_eighty_columns(rule: Exposure | None, mark: str) -> None:
    counts = tuple((start_of(number), 123_456 + number) for number in range(90))
    standing = standing_with(Watched(window(90), rule, left=DyingAway("C", start_of(0), counts)))
    lines = render_status(standing, governed_of().policy, colour=False, width=80).splitlines()
    (first,) = [text for text in lines if text.startswith("  left ")]
    assert first.startswith(f"  left              {mark}C since its rollback: 123,456 → 123,457")
    assert max(map(len, lines)) <= 80
    told = status_document(standing, governed_of().policy)["left_phase"]
    assert (told["phase"], len(told["events"]), told["events"][iso(start_of(0))]) == ("C", 90, 123_456)


def window(number: int) -> Window:
    """The window with this number."""
    return Window(start_of(number), start_of(number + 1))


def standing_with(watched: Watched) -> Standing:
    """Where nothing stands but what is watched."""
    return Standing(as_of=watched.window.end, state=fold(()), watched=watched)


def test_status_looks_at_real_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In A since the second window, which B was left in; B's events go on in the third."""
    rollout = Rollout(tmp_path, "A")
    rollout.enter()
    stray = event("autosave.save.completed", start_of(2), "B", request_id="s", duration_ms=5)
    rollout.batches("met", "met", "met", "met", extra={2: [stray]})
    data = {"event": "ended", "from": "B", "to": "A", "by": "Ada", "reason": "x", "incident": None}
    rollout.record([Draft("rollback", "B", data, id="rollback-1")], start_of(1) + timedelta(minutes=1))

    def status(at: datetime, *options: str) -> Any:
        places = (f"--logs={rollout.logs}", f"--ledger={rollout.ledger}", f"--as-of={iso(at)}")
        return phasegate(capsys, "status", *places, "--no-cache", *options)

    told = status(closed(4), "--format=json").document
    assert told["exposure"] == {"phase": "A", "share": 1.0, "audience": 0.05}
    assert told["left_phase"] == {"phase": "B", "events": {iso(start_of(n)): int(n == 2) for n in (1, 2, 3)}}
    lines = status(closed(4)).out.splitlines()
    assert "  exposure          100 % of the events carry A, the policy says 5 %" in lines
    assert "  left              B since its rollback: 0 → 1 → 0 events" in lines
    assert status(closed(101), "--format=json").document["left_phase"] is None  # more than a day ago
