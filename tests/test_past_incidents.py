"""Past incidents: read strictly, met by windows that roll back at the edge of each, and alarms for nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from checker.errors import GovernedFilesInvalid
from checker.governance.incident_file import read_incidents
from checker.governance.past_incidents import ANY, PastIncident, outcomes, past_incidents
from checker.governance.reviewed import Detection, FalseAlarms, PhaseReplay
from checker.model import Decision, InputCounts, Verdict, Window
from checker.schemas import tool_schema, validate
from tests.decisions import LENGTH, decision, policy
from tests.test_policy_schema import _objects

LATENESS = (timedelta(minutes=5), timedelta(minutes=5))
POLICY = policy()
SCHEMA = tool_schema("incidents")


def at(clock: str) -> datetime:
    """That time of the day, UTC."""
    return datetime.fromisoformat(f"2026-01-02T{clock}").replace(tzinfo=UTC)


def incident(begins: str, ends: str, phase: str = ANY, name: str = "one") -> PastIncident:
    return PastIncident(name, "Saves took seconds", phase, at(begins), at(ends))


def windows(marks: str, first: str = "12:00", batches: int = 1) -> tuple[Decision, ...]:
    """A decision a window from `first` on: `R` rolls back, `-` does not, and at a blank there is no window."""
    verdicts = {"R": Verdict.ROLLBACK, "-": Verdict.HOLD, "A": Verdict.ADVANCE}
    return tuple(
        decision(
            POLICY,
            window=Window(at(first) + number * LENGTH, at(first) + (number + 1) * LENGTH),
            verdict=verdicts[mark],
            inputs=InputCounts(batches=batches),
        )
        for number, mark in enumerate(marks)
        if mark != " "
    )


def replay(base: str, head: str, phase: str = "B", events_of: str = "") -> PhaseReplay:
    return PhaseReplay(phase, events_of or phase, windows(base), windows(head))


@pytest.mark.parametrize(
    ("begins", "ends", "marks", "caught", "late"),
    [
        ("12:15", "12:30", "-R--", "12:35", 20),
        ("12:15", "12:30", "R---", None, None),  # the window before ends as it begins
        ("12:15", "12:30", "--R-", None, None),  # the window after begins as it ends
        ("12:14:59", "12:30", "R---", "12:20", 5),
        ("12:15", "12:30:01", "--R-", "12:50", 35),
        ("12:20", "12:21", "-R--", "12:35", 15),  # it may lie within one window
        ("12:00", "13:00", "-R-R", "12:35", 35),  # the first counts
        ("12:00", "13:00", "AAAA", None, None),
        ("12:00", "13:00", "----", None, None),
    ],
)
def test_the_first_window_that_overlaps_and_rolls_back(
    begins: str, ends: str, marks: str, caught: str | None, late: int | None
) -> None:
    (found,), _ = outcomes([incident(begins, ends)], [replay(marks, "----")], LATENESS)
    expected = Detection(at(caught) if caught else None, None if late is None else timedelta(minutes=late))
    if late is not None and begins == "12:14:59":
        expected = Detection(at("12:20"), timedelta(minutes=5, seconds=1))
    assert (found.base, found.head) == (expected, Detection(None, None))
    (turned,), _ = outcomes([incident(begins, ends)], [replay("----", marks)], LATENESS)
    assert (turned.base, turned.head) == (Detection(None, None), expected)


def test_each_side_waits_as_long_as_its_own_policy_says() -> None:
    waits = timedelta(minutes=5), timedelta(minutes=60)
    (found,), _ = outcomes([incident("12:15", "12:30")], [replay("-R-", "-R-")], waits)
    assert [side.caught_at for side in (found.base, found.head)] == [at("12:35"), at("13:30")]


@pytest.mark.parametrize(
    ("phase", "base", "head"),
    [("A", "12:20", None), ("B", "12:35", "12:20"), (ANY, "12:20", "12:20"), ("C", None, None)],
)
def test_an_incident_is_looked_for_in_its_phase(phase: str, base: str | None, head: str | None) -> None:
    replays = [replay("R-", "--", "A"), replay("-R", "R-", "B")]
    (found,), _ = outcomes([incident("12:00", "12:30", phase)], replays, LATENESS)
    assert found.phase == phase
    assert found.is_in_span is (phase != "C")
    assert [side.caught_at for side in (found.base, found.head)] == [at(one) if one else None for one in (base, head)]


@pytest.mark.parametrize(
    ("begins", "ends", "marks", "is_covered"),
    [
        ("12:00", "13:00", "----", True),
        ("11:59", "13:00", "----", False),
        ("12:00", "13:01", "----", False),
        ("12:20", "12:40", "----", True),
        ("12:20", "12:40", "- --", False),  # a gap
        ("12:20", "12:40", " -- ", True),
        ("14:00", "15:00", "----", False),
        ("12:00", "13:00", "", False),
    ],
)
def test_whether_the_windows_cover_it(begins: str, ends: str, marks: str, is_covered: bool) -> None:
    for replays in ([replay(marks, "")], [replay("", marks)], [replay("-", "-", "A"), replay("", marks)]):
        (found,), _ = outcomes([incident(begins, ends)], replays, LATENESS)
        assert found.is_in_span is is_covered


def test_windows_without_any_batch_cover_nothing() -> None:
    silent = PhaseReplay("B", "B", windows("----", batches=0), windows("----", batches=0))
    half = PhaseReplay("B", "B", (*windows("--"), *windows("--", "12:30", 0)), ())
    for replayed, expected in ((silent, False), (half, True)):
        (found,), _ = outcomes([incident("12:00", "13:00")], [replayed], LATENESS)
        assert found.is_in_span is expected


@pytest.mark.parametrize(
    ("marks", "known", "alarms"),
    [
        ("--------", [], 0),
        ("-R-RR--R", [], 3),
        ("RRRRRRRR", [], 1),
        ("-RR RR--", [], 2),  # a window is missing between: two runs
        ("-RRRR---", [incident("13:00", "13:05")], 0),  # one window of the run is enough
        ("-RRRR---", [incident("13:15", "13:20")], 1),  # the run ends as it begins
        ("-R-R----", [incident("12:15", "12:30")], 1),
        ("-R-R----", [incident("12:15", "12:30", "B"), incident("12:45", "12:50", "B", "two")], 0),
        ("-R------", [incident("12:15", "12:30", "A")], 1),  # of another phase
    ],
)
def test_rollbacks_outside_every_incident(marks: str, known: list[PastIncident], alarms: int) -> None:
    assert outcomes(known, [replay(marks, "")], LATENESS)[1] == FalseAlarms(alarms, 0)
    assert outcomes(known, [replay("--------", marks)], LATENESS)[1] == FalseAlarms(0, alarms)
    assert outcomes(known, [replay(marks, marks), replay(marks, "", "B")], LATENESS)[1].before == 2 * alarms


def test_an_incident_of_the_phase_whose_events_were_judged_is_no_false_alarm() -> None:
    (found,), alarms = outcomes([incident("12:15", "12:30", "B")], [replay("-R-", "-R-", "C", "B")], LATENESS)
    assert alarms == FalseAlarms(0, 0)
    assert (found.is_in_span, found.base.caught_at) == (False, None)


GOOD = """schema_version: 1
incidents:
  - {id: later, title: Drift, phase: C, from: "2026-01-03T11:50:00Z", until: "2026-01-03T12:40:00Z"}
  - id: 2026-01-02-slow
    title: Saves took seconds
    from: "2026-01-02T11:50:00Z"
    until: "2026-01-02T12:40:00Z"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "incidents.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_the_earliest_first(tmp_path: Path) -> None:
    slow = PastIncident("2026-01-02-slow", "Saves took seconds", ANY, at("11:50"), at("12:40"))
    day = timedelta(days=1)
    later = PastIncident("later", "Drift", "C", at("11:50") + day, at("12:40") + day)
    assert read_incidents(written(tmp_path, GOOD), "policy/incidents.yaml") == (slow, later)
    assert read_incidents(written(tmp_path, "schema_version: 1\nincidents: []\n"), "x") == ()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "id: later",
            "id: 2026-01-02-slow",
            ["4:9: incidents[1].id: '2026-01-02-slow' is already the id of incidents[0]"],
        ),
        ("phase: C", "fase: C", ["3:31: incidents[0].fase: unknown key 'fase'; did you mean 'phase'?"]),
        ("phase: C, ", "phase: 'C c', ", ["3:38: incidents[0].phase: expected a phase's name, found 'C c'"]),
        (
            "2026-01-03T11:50:00Z",
            "2026-02-30T11:50:00Z",
            ["3:47: incidents[0].from: '2026-02-30T11:50:00Z' is no time"],
        ),
        (
            "2026-01-03T12:40:00Z",
            "2026-01-03T11:50:00Z",
            ["3:78: incidents[0].until: 2026-01-03T11:50:00Z does not lie"],
        ),
        (
            '"2026-01-02T11:50:00Z"',
            "2026-01-02T11:50:00Z",
            ["6:11: incidents[1].from: '2026-01-02T11:50:00Z' is read as a"],
        ),
        ("2026-01-02T11:50:00Z", "yesterday", ["6:11: incidents[1].from: expected a UTC time such as"]),
        ("    title: Saves took seconds\n", "", ["4:5: incidents[1]: 'title' is missing"]),
        ("schema_version: 1", "schema_version: 2", ["1:17: schema_version: expected 1, found 2"]),
        ("incidents:", "incidents: &all", ["2:12: incidents: "]),
        (
            'phase: C, from: "2026-01-03T11:50:00Z',
            'phase: 7, from: "2026-01-03T13:50:00Z',
            ["3:38: incidents[0].phase: expected", "3:78: incidents[0].until: 2026-01-03T12:40:00Z does not lie after"],
        ),
    ],
)
def test_every_fault_at_its_place(tmp_path: Path, before: str, after: str, expected: list[str]) -> None:
    assert before in GOOD
    with pytest.raises(GovernedFilesInvalid) as caught:
        read_incidents(written(tmp_path, GOOD.replace(before, after)), "policy/incidents.yaml")
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == len(expected), told
    for problem, beginning in zip(told, expected, strict=True):
        assert problem.startswith(f"policy/incidents.yaml:{beginning}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, "does not exist"), ("", "the file is empty"), ("[", "is no YAML"), ("- 1", "expected a mapping")],
)
def test_what_is_no_list_of_incidents(tmp_path: Path, text: str | None, expected: str) -> None:
    path = tmp_path / "missing.yaml" if text is None else written(tmp_path, text)
    with pytest.raises(GovernedFilesInvalid, match=expected):
        read_incidents(path, "policy/incidents.yaml")


def test_editors_can_complete_and_explain_every_property() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    found = [(name, described) for _, part in _objects(SCHEMA) for name, described in part["properties"].items()]
    assert len(found) == 7
    assert all(part["additionalProperties"] is False for _, part in _objects(SCHEMA))
    for _, described in found:
        assert described["title"]
        assert described["description"].endswith(".")
        for example in (*described["examples"], *([described["default"]] if "default" in described else [])):
            assert not validate(example, {**described, "$defs": SCHEMA["$defs"]})


def test_the_default_phase_is_the_schemas() -> None:
    default = SCHEMA["$defs"]["incident"]["properties"]["phase"]["default"]
    (example,) = SCHEMA["properties"]["incidents"]["examples"]
    (found,) = past_incidents({"schema_version": 1, "incidents": example})
    assert found.phase == default == ANY
