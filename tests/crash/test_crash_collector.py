"""The collector, killed at every point at which it writes, and run again: no line is lost, and none is double.

The story: broken lines, copies, and lines of the next window; a file that is rotated, and a source that fails; its
retries, to the last; the source is back, with late lines; a rollback, and the slices of its recovery.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.crash.collecting import STEPS
from tests.crash.collector_story import LATER, Story, told

EVERY = int(os.environ.get("PHASEGATE_CRASH", "1"))  # points from one to the next that is tried
END = list(STEPS)[-1]


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with told(tmp_path_factory.mktemp("collector")) as found:
        yield found


def own(story: Story, step: str, name: str) -> list[str]:
    """The collector's own events in a batch, after a step."""
    lines: list[dict[str, str]] = story.whole[step]["batches"][name]
    return [line["event"] for line in lines if line["event"].startswith("collector.")]


def test_the_story_itself(story: Story) -> None:
    """What is compared with below: every line is somewhere, once, and each thing that can happen has happened."""
    whole = story.whole[END]
    assert whole["where"] == Counter(
        ["begin app.jsonl", "begin 1.jsonl", *(f"0-{each}" for each in range(8)), "gw-0", "ahead 1", "ahead 2",
         "not_json at app:1299", "missing_field at app:1306", "before", "after", "ahead 3", "not_json at app:292",
         "gw-1", "gw-2", "not_utf8 at gw:733", "2", "3-1", "late", "missing_field at app:864", "3-2", "3-3", "3-4",
         "gw-3", "ahead 4"]
    )  # fmt: skip
    assert max(whole["where in the recovery"].values()) == 1
    batches = whole["batches"]
    assert [batches[f"20260101T00{minutes}00Z.jsonl"][-1].get("incomplete") for minutes in ("00", "15", "30")] == [
        None, ["gw"], None,
    ]  # fmt: skip
    assert own(story, END, "20260101T003000Z.jsonl") == ["collector.retry_exhausted", "collector.latency"]
    assert [story.whole[step]["failing"].get("gw") for step in STEPS][2:7] == [
        (0, False, False), (1, False, False), (2, False, False), (3, False, False), (4, True, True),
    ]  # fmt: skip
    assert sorted(name for name in batches if name.startswith("recovery/2")) == [
        f"recovery/20260101T00{minutes}00Z.jsonl" for minutes in (45, 50, 55)
    ]
    p95 = [status.value for _, slo, _, _, status, _ in story.verdicts if slo == "save_latency_p95"]
    assert p95 == ["ok", "violation", "ok", "ok"]  # the second by a line that came late
    assert sum(map(len, story.points.values())) >= 900


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_and_run_again(story: Story, step: str) -> None:
    """Everything is as it would have been, and stays so: the story is told to its end for each state that is left."""
    seen: set[tuple[str, str]] = set()
    for where in killed(story, step):
        again = story.run(step, LATER)
        assert again.code in (0, 4), (where, again.out, again.err)
        assert story.found() == story.whole[step], where
        assert story.leftovers() == [], where
        if story.is_new(step, seen) and story.go_on(step, seen):
            assert (story.found(), story.leftovers()) == (story.whole[END], []), where
            assert story.judged() == story.verdicts, where


@pytest.mark.parametrize("step", list(STEPS)[1:-1])
def test_killed_anywhere_and_not_run_before_the_next_is_due(story: Story, step: str) -> None:
    """The next run makes up for it: lines may be in other batches, but each is in one, and is judged as before.

    Not so before the first seal: then there is nothing to make up for.
    """
    seen: set[tuple[str, str]] = set()
    for where in killed(story, step):
        if story.is_new(step, seen):
            is_given_up = any(is_exhausted for _, is_exhausted, _ in story.failing().values())
            is_told_to_its_end = story.go_on(step, seen)
            assert not is_given_up or story.said() == story.whole[END]["said"], where
            if is_told_to_its_end:
                assert_nothing_lost(story, where)


def assert_nothing_lost(story: Story, where: str) -> None:
    found, whole = story.found(), story.whole[END]
    assert found["where"] == whole["where"], where
    assert found["where in the recovery"] >= whole["where in the recovery"], where  # more, that came late
    assert max(found["where in the recovery"].values()) == 1, where
    assert (found["failing"], story.leftovers(), story.work()) == ({}, [], []), where
    batches = [line for name, lines in found["batches"].items() if "/" not in name for line in lines]
    told = [line for line in batches if line.get("event") == "collector.retry_exhausted"]
    assert [len(told)] * 2 == [len(lines) for lines in found["said"].values()], where
    assert len(told) <= 1, where
    assert story.judged() == story.verdicts, where


def killed(story: Story, step: str) -> Iterator[str]:
    """Before each of these the run of a step was killed at another point, and left whole batches or none."""
    count = len(story.points[step])
    for point in sorted({1, *range(1 + EVERY, count, EVERY), count}):
        story.restore(step)
        ended = story.run(step, kill_at=point)
        where = f"{step}, point {point} of {count}: {ended.points[-1] if ended.points else '?'}"
        assert ended.was_killed, (where, ended.code, ended.err)
        whole = story.whole[step]["batches"]
        for name, lines in story.batches().items():
            assert lines == whole.get(name), (where, name)
        yield where
