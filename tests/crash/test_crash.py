"""Killed at every point at which it writes or sends, and run again: nothing is lost, nothing is done twice.

`make crash` goes through all points, and with EVERY=9 through every ninth.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.crash.stage import COMMANDS, Stage, staged

PORTIONS = {"check": 1, "report": 4, "recover": 4, "tell": 2}  # of each command's points, to share them out
EVERY = int(os.environ.get("PHASEGATE_CRASH", "1"))  # points from one to the next that is tried


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("crash")) as found:
        yield found


def test_the_story_itself(stage: Stage) -> None:
    """What is compared with below: an incident, told of, rolled back, recovered from."""
    (incident,) = stage.whole["tell"].incidents
    assert (incident.rollback_recorded, incident.outcome) == (True, "ended")
    assert [notice.notice for notice in stage.whole["tell"].notices] == [
        "autosave-incident", "autosave-rollback", "autosave-rollback", "autosave-rollback", "autosave-recovered",
    ]  # fmt: skip
    assert all(notice.delivered_at for notice in stage.whole["tell"].notices)
    assert sum(map(len, stage.points.values())) >= 60


@pytest.mark.parametrize(
    ("command", "portion"), [(command, portion) for command in COMMANDS for portion in range(PORTIONS[command])]
)
def test_killed_anywhere_and_run_again(stage: Stage, command: str, portion: int) -> None:
    count = len(stage.points[command])
    points = [1, *range(1 + EVERY, count, EVERY), count][portion :: PORTIONS[command]]
    assert points
    for point in points:
        stage.restore(command)
        killed = stage.run(command, kill_at=point)
        where = f"{command}, point {point} of {count}: {killed.points[-1] if killed.points else '?'}"
        assert killed.was_killed, (where, killed.code, killed.err)
        again = stage.run(command, watched=False)
        assert_nothing_lost_or_done_twice(stage, command, where, again.err)


def assert_nothing_lost_or_done_twice(stage: Stage, command: str, where: str, told: str) -> None:
    state, whole = stage.state, stage.whole[command]
    assert stage.calls() <= 1, where
    lost = {notice.id for notice in whole.notices} - {notice.id for notice in state.notices}
    if state.rollback_unknown:  # begun, and killed: a person is waited for, and no notice tells of an end
        assert stage.calls() <= 1, where
        assert all("/ended/" in name for name in lost), (where, lost)
    else:
        assert lost == set(), (where, lost, told)
    if command in ("report", "tell"):
        waiting = [notice.id for notice in state.notices if not notice.is_settled]
        assert waiting == [], (where, waiting, told)
        sent = stage.chat.ids()
        wanted = [notice.id for notice in state.notices if notice.channel.startswith("#")]
        assert sorted(sent) == sorted(wanted), (where, sent)
    if command in ("check", "recover"):
        assert [incident.id for incident in state.incidents] == [incident.id for incident in whole.incidents], where
        assert state.decided.keys() == whole.decided.keys(), where
        assert [check.window_end for check in state.incidents[0].recovery] == [
            check.window_end for check in whole.incidents[0].recovery
        ], where
        assert state.incidents[0].outcome == whole.incidents[0].outcome, where
