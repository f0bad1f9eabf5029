"""Properties of the ledger for any sequence of records: truncation, `as_of`, damage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checker.errors import LedgerInvalid
from checker.ledger.records import parse_ledger
from checker.ledger.state import fold
from checker.windows import iso
from tests.ledgers import END_OF_TIME, FIRST, WINDOW, LedgerBuilder

NAME = "ledger/autosave.jsonl"
PHASES = ["off", "A", "B", "C", "complete"]
SLOS = ["p95", "errors", "drift"]
untimed = settings(deadline=None)  # the first example compiles the schema
Step = Callable[[LedgerBuilder, str], LedgerBuilder]

starts = st.integers(0, 20).map(lambda number: iso(FIRST + number * WINDOW))
phases = st.sampled_from(PHASES)
digests = st.sampled_from(["policy-1", "policy-2"])
names = st.sampled_from(["i1", "i2"])
some_slos = st.lists(st.sampled_from(SLOS), min_size=1, unique=True)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda a, b: lambda ledger, at: ledger.phase_change(a, b, at=at), phases, phases),
    st.builds(
        lambda start, slos, judging: lambda ledger, at: ledger.decision(start, violations=slos, judging=judging, at=at),
        starts,
        st.lists(st.sampled_from(SLOS), unique=True),
        digests,
    ),
    st.builds(
        lambda event, name, slos: lambda ledger, at: ledger.incident(event, name, slos=slos, at=at),
        st.sampled_from(["opened", "added", "cancelled", "ended"]),
        names,
        some_slos,
    ),
    st.builds(
        lambda event, a, b, name: lambda ledger, at: ledger.rollback(event, a, b, incident=name, at=at),
        st.sampled_from(["proposed", "begun", "ended", "failed"]),
        phases,
        phases,
        st.none() | names,
    ),
    st.builds(lambda judging: lambda ledger, at: ledger.approval("SRE ✅", judging=judging, at=at), digests),
    st.builds(lambda name: lambda ledger, at: ledger.notice(name=name, at=at), names),
    st.builds(lambda name: lambda ledger, at: ledger.delivery(name, at=at), names),
    st.builds(lambda until: lambda ledger, at: ledger.pause(until=until, at=at), st.none() | starts),
    st.just(lambda ledger, at: ledger.resume(at=at)),
)


@st.composite
def ledgers(draw: st.DrawFn) -> LedgerBuilder:
    builder, instant = LedgerBuilder("A"), FIRST
    for step in draw(st.lists(steps, max_size=12)):
        instant += timedelta(seconds=draw(st.integers(0, 2)))
        step(builder, iso(instant))
    return builder


@untimed
@given(ledgers(), st.integers(-1, 26))
def test_as_of_sees_the_fold_of_a_prefix(builder: LedgerBuilder, seconds: int) -> None:
    as_of = FIRST + timedelta(seconds=seconds)
    everything = builder.records()
    seen = builder.read(as_of).records
    assert seen == everything[: len(seen)]
    assert all(record.at > as_of for record in everything[len(seen) :])
    assert fold(seen) == fold(record for record in everything if record.at <= as_of)


@untimed
@given(ledgers(), st.data())
def test_a_truncated_file_gives_a_prefix_and_tells_of_its_torn_tail(
    builder: LedgerBuilder, data: st.DataObject
) -> None:
    content = builder.content()
    cut = content[: data.draw(st.integers(0, len(content)))]
    ledger = parse_ledger(cut, NAME, END_OF_TIME)
    whole = cut.count(b"\n")
    assert ledger.records == builder.records()[:whole]
    assert (ledger.torn is not None) == (bool(cut) and not cut.endswith(b"\n"))


@untimed
@given(ledgers(), st.data())
def test_a_changed_byte_before_the_last_line_is_always_found(builder: LedgerBuilder, data: st.DataObject) -> None:
    content = bytearray(builder.notice().notice().content())
    position = data.draw(st.integers(0, len(content) - len(builder.lines[-1]) - 2))
    content[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LedgerInvalid, match=f"^{NAME}:[0-9]+: "):
        parse_ledger(bytes(content), NAME, END_OF_TIME)


@untimed
@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        ledger = parse_ledger(content, NAME, END_OF_TIME)
    except LedgerInvalid:
        return
    assert ledger.records == ()
    assert (ledger.torn is None) == (content == b"")


@untimed
@given(ledgers())
def test_at_most_one_incident_is_open_and_every_recorded_violation_is_kept(builder: LedgerBuilder) -> None:
    records = builder.records()
    state = fold(records)
    assert sum(incident.closed_at is None for incident in state.incidents) <= 1
    assert state.recorded_violations == {
        (record.window_start, slo, record.phase)
        for record in records
        if record.kind == "decision"
        for slo in record.data["violations"]
    }
