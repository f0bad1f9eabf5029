"""How far sources were read counts once the batch is there, whoever looks meanwhile."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from checker.collector.places import Places
from checker.collector.seal import put_in_place, scratch_file
from checker.collector.state import State, commit, newest_state, put_pending
from tests.batches import start_of

BATCH = b'{"n":1}\n'


def state(number: int, content: bytes = BATCH) -> State:
    return State(start_of(number), sha256(content).hexdigest(), "B")


def seal(places: Places, number: int, content: bytes = BATCH) -> None:
    places.work.mkdir(parents=True, exist_ok=True)
    with scratch_file(places.work / "batch") as scratch:
        scratch.write(content)
    put_in_place(scratch.path, places.batch(start_of(number)))


def left(places: Places) -> list[str]:
    return sorted(path.suffix for path in places.states.iterdir())


@pytest.mark.parametrize("looks", [("pending",), ("batch",), ("pending", "batch"), ()])
def test_another_process_may_look_at_any_time(tmp_path: Path, looks: tuple[str, ...]) -> None:
    """The loop looks for what is due before it asks for the lock that a command holds."""
    places = Places(tmp_path)
    pending = put_pending(places, state(0))
    if "pending" in looks:
        assert newest_state(places) is None
    seal(places, 0)
    if "batch" in looks:
        assert newest_state(places) == state(0)
    commit(pending)
    assert (newest_state(places), left(places)) == (state(0), [".json"])


def test_a_state_that_is_gone_is_no_seal(tmp_path: Path) -> None:
    places = Places(tmp_path)
    pending = put_pending(places, state(0))
    pending.unlink()
    with pytest.raises(FileNotFoundError):
        commit(pending)


def test_what_was_cut_off_goes_with_the_next_seal(tmp_path: Path) -> None:
    places = Places(tmp_path)
    put_pending(places, state(0))
    seal(places, 0)  # whole, but for the name of its state
    put_pending(places, state(1))
    put_pending(places, state(2))
    (places.states / ".20260101T003000Z.pending.abcdefgh").write_bytes(b"{")
    assert newest_state(places) == state(0)
    commit_of = put_pending(places, state(3))
    assert left(places) == [".json", ".pending"]
    seal(places, 3)
    commit(commit_of)
    assert newest_state(places) == state(3)
    assert sorted(path.name for path in places.states.iterdir()) == ["20260101T000000Z.json", "20260101T004500Z.json"]


def test_a_batch_of_somebody_else_has_no_state(tmp_path: Path) -> None:
    places = Places(tmp_path)
    put_pending(places, state(0))
    seal(places, 0, b"other\n")
    assert newest_state(places) is None
