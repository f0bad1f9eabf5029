"""Same files, same logs, same clock: the same bytes, whatever the machine does in between."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.telemetry import check, make_project, replay, save, seal, slo_query, values, write_batch

QUERIES = {
    "mean_of_doubles": slo_query(
        "mean_of_doubles",
        """with saves as (select window_start, duration_ms from events where phase = $phase)
select windows.window_start, avg(saves.duration_ms) / 1000 as value, count(saves.duration_ms) as samples
from windows
left join saves using (window_start)
group by windows.window_start
""",
        "events(window_start, phase, duration_ms), windows(window_start)",
    ),
    "sum_over_an_hour": slo_query(
        "sum_over_an_hour",
        """select windows.window_start, sum(events.duration_ms * 1.1e-9) as value, count(events.duration_ms) as samples,
    string_agg(events.release, ',') as releases, first(events.duration_ms) as first_of_them
from windows
left join events
    on events.window_start > windows.window_start - interval '1 hour'
    and events.window_start <= windows.window_start
    and events.phase = $phase
group by windows.window_start
""",
        "events(window_start, phase, duration_ms, release), windows(window_start)",
        "45 minutes",
    ),
    "by_request": slo_query(
        "by_request",
        """with saves as (select window_start, request_id, sum(duration_ms * 0.1) over (order by request_id) as total
    from events where phase = $phase)
select windows.window_start, max(saves.total) as value, count(saves.request_id) as samples
from windows left join saves using (window_start) group by windows.window_start
""",
        "events(window_start, phase, request_id, duration_ms), windows(window_start)",
    ),
}
QUERIES["by_request"] = QUERIES["by_request"].replace("over (order by", "over (partition by window_start order by")
STARTS = ("10:30", "10:45", "11:00", "11:15", "11:30", "11:45")


def batches(shuffled: bool = False, many: int = 150) -> Iterator[tuple[str, list[bytes]]]:
    """An hour and a half of saves of odd lengths, many at one time, with copies and a late event in each batch."""
    dice = random.Random(7)
    for number, start in enumerate(STARTS):
        hour, minute = start.split(":")
        lines = []
        for n in range(many):
            ts = f"{hour}:{int(minute) + n % 14:02}:{dice.choice((0, 0, 7)):02}"
            fields = {"release": dice.choice(("r1", "r2", "r3"))}
            lines.append(save(ts, f"{number}-{dice.randrange(many * 4)}", dice.uniform(0, 1500), **fields))
        if number > 2:
            hour, minute = STARTS[number - 2].split(":")
            lines.append(save(f"{hour}:{minute}:59.5", f"late{number}", dice.uniform(0, 9)))
        lines.append(seal(start, start, 41000))
        if shuffled:
            random.Random(number).shuffle(lines)
        yield start, lines


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The policy of a project with queries whose sums are floating."""
    return make_project(tmp_path_factory.mktemp("project"), QUERIES)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "logs"
    for start, lines in batches():
        write_batch(folder, start, lines)
    return folder


@pytest.fixture(scope="module")
def expected(project: Path, logs: Path) -> str:
    ran = check(logs, "12:05", "--threads", "1", policy=project)
    assert ran.code == 0, ran.err
    assert all(row["status"] != "error" for row in ran.document["slos"]), ran.out
    return ran.out


@pytest.fixture(scope="module")
def whole(project: Path, logs: Path) -> dict[tuple[str, str], tuple[Any, Any, Any]]:
    """Every number of that time, from spans as long as they are by default."""
    found = numbers(replay(logs, "10:30", "12:00", "12:05", project))
    assert len(found) == len(STARTS) * 7
    return found


@pytest.mark.parametrize("threads", ["2", "5"])
def test_same_bytes_whatever_the_threads(threads: str, project: Path, logs: Path, expected: str) -> None:
    assert check(logs, "12:05", "--threads", threads, policy=project).out == expected


def test_same_bytes_from_cold_and_warm_cache(project: Path, logs: Path, expected: str, tmp_path: Path) -> None:
    runs = [check(logs, "12:05", policy=project, cache=tmp_path / "cache").out for _ in range(3)]
    assert runs == [expected] * 3


def test_same_bytes_but_for_the_logs_digest_from_shuffled_lines(project: Path, expected: str, tmp_path: Path) -> None:
    for start, lines in batches(shuffled=True):
        write_batch(tmp_path, start, lines)
    shuffled, plain = check(tmp_path, "12:05", policy=project).document, json.loads(expected)
    digests = [document["provenance"].pop("logs_digest") for document in (shuffled, plain)]
    assert digests[0] != digests[1]
    assert shuffled == plain


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_same_verdict_from_compressed_batches(suffix: str, project: Path, expected: str, tmp_path: Path) -> None:
    for start, lines in batches():
        write_batch(tmp_path, start, lines, suffix)
    packed, plain = check(tmp_path, "12:05", policy=project).document, json.loads(expected)
    assert packed.pop("provenance") != plain.pop("provenance")
    assert packed == plain


def test_same_bytes_from_another_place(
    project: Path, logs: Path, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = shutil.copytree(project.parent.parent, tmp_path / "moved")
    shutil.copytree(logs, moved / "logs" / "autosave")
    monkeypatch.chdir(moved / "queries")
    ran = check(Path("../logs/autosave"), "12:05", policy=Path("../policy/policy.yaml"))
    assert ran.out == expected
    assert str(tmp_path) not in ran.out


def numbers(rows: dict[str, dict[str, Any]]) -> dict[tuple[str, str], tuple[Any, Any, Any]]:
    return {
        (start, row["slo"]): (row["value"], row["samples"], row["status"])
        for start in rows
        for row in rows[start]["slos"]
    }


@pytest.mark.parametrize(("windows", "events"), [(1, 1 << 30), (4, 1 << 30), (96, 400)])
def test_same_numbers_from_spans_of_another_size(
    windows: int,
    events: int,
    project: Path,
    logs: Path,
    whole: dict[tuple[str, str], tuple[Any, Any, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("checker.analyzer.measure.SPAN_WINDOWS", windows)
    monkeypatch.setattr("checker.analyzer.measure.SPAN_EVENTS", events)
    assert numbers(replay(logs, "10:30", "12:00", "12:05", project)) == whole


@pytest.mark.parametrize("name", QUERIES)
def test_same_number_whichever_other_slos_are_measured_with_it(
    name: str, logs: Path, whole: dict[tuple[str, str], tuple[Any, Any, Any]], tmp_path: Path
) -> None:
    alone = make_project(tmp_path, {name: QUERIES[name]})
    for (start, slo), number in numbers(replay(logs, "10:30", "12:00", "12:05", alone)).items():
        assert whole[start, slo] == number


SIGN = {
    "sign_of_the_least": slo_query(
        "sign_of_the_least",
        """select windows.window_start, case when signbit(min(events.duration_ms)) then 1.0 else 0.0 end as value,
    count(events.duration_ms) as samples
from windows left join events on events.window_start = windows.window_start and events.phase = $phase
group by windows.window_start
""",
        "events(window_start, phase, duration_ms), windows(window_start)",
    )
}


def test_the_sign_of_zero_hangs_on_no_order_of_lines(tmp_path: Path) -> None:
    policy = make_project(tmp_path, SIGN)
    lines = [save("11:50", "a", -0.0), save("11:51", "b", 0.0)]
    told = []
    for name, order in (("one", lines), ("other", lines[::-1])):
        write_batch(tmp_path / name, "11:45", order)
        told.append(values(check(tmp_path / name, "12:05", policy=policy).document)["sign_of_the_least"])
    assert told[0] == told[1]
    assert told[0][:2] == (0.0, 2)
