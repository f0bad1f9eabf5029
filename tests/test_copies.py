"""Second copies, against a slow and plain way to find them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from checker.analyzer.copies import drop_copies
from tests.telemetry import instant, open_loader

# (window, phase, key or None, seconds, source, bytes of the line)
Row = tuple[int, str, str | None, int, int, bytes]
ROWS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from("AB"),
        st.sampled_from(["k", "l", "", None]),
        st.integers(0, 2),
        st.integers(0, 11),
        st.binary(max_size=2),
    ),
    max_size=25,
)


def naive(window: int, seconds: int = 0) -> datetime:
    return instant("12:00").replace(tzinfo=None) + timedelta(minutes=15 * window, seconds=seconds)


def slowly(rows: list[Row], windows: set[int]) -> tuple[set[int], Counter[datetime]]:
    """Numbers of the rows that stay, and the others by window."""
    groups: dict[tuple[int, str, str | None], list[int]] = defaultdict(list)
    for number, (window, phase, key, *_) in enumerate(rows):
        groups[(window, phase, key)].append(number)
    stay: set[int] = set()
    dropped: Counter[datetime] = Counter()
    for (window, _, key), numbers in groups.items():
        if key is None or window not in windows:
            stay.update(numbers)
            continue
        stay.add(min(numbers, key=lambda number: (rows[number][3], rows[number][5])))
        dropped[naive(window)] += len(numbers) - 1
    return stay, +dropped


@settings(max_examples=80, deadline=None)
@given(rows=ROWS, windows=st.sets(st.integers(0, 1), min_size=1))
def test_the_smallest_time_and_then_the_smallest_bytes_count(rows: list[Row], windows: set[int]) -> None:
    connection = open_loader()
    connection.execute(
        "create or replace temp table lines"
        " (window_start timestamp, phase varchar, key varchar, ts timestamp, source integer, line_number bigint)"
    )
    for number, (window, phase, key, seconds, source, _) in enumerate(rows):
        values = [naive(window), phase, key, naive(window, seconds), source, number]
        connection.execute("insert into lines values ($1, $2, $3, $4, $5, $6)", values)

    def read_lines(source: int, numbers: Iterable[int]) -> Mapping[int, bytes]:
        wanted = list(numbers)
        assert all(rows[number][4] == source for number in wanted)
        return {number: rows[number][5] for number in wanted}

    only = " or ".join(f"window_start = timestamp '{naive(window)}'" for window in windows)
    dropped = drop_copies(connection, "lines", ["key"], read_lines, source="source", only=only)
    left = [row[0] for row in connection.execute("select line_number from lines").fetchall()]
    stay, expected = slowly(rows, windows)
    assert dropped == expected
    assert len(left) == len(stay)
    # Which of two lines of the same time and bytes stays tells nothing; everything else is settled.
    assert Counter(rows[number][:4] + rows[number][5:] for number in left) == Counter(
        rows[number][:4] + rows[number][5:] for number in stay
    )


def test_without_a_dedup_key_nothing_is_a_copy() -> None:
    connection = open_loader()
    connection.execute("create or replace temp table lines as select 1 as x from range(3)")
    assert drop_copies(connection, "lines", (), lambda *_: {}) == Counter()
    assert connection.execute("select count(*) from lines").fetchone() == (3,)
