"""Many targets: what is found below a folder, what they come to together, and what a dying process takes with it."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from rich.cells import cell_len

from checker.cli.formats.all_document import document
from checker.cli.formats.all_markdown import to_markdown
from checker.cli.formats.all_reports import to_annotations, to_junit
from checker.cli.formats.all_table import render_table
from checker.cli.say import for_people, workflow_command
from checker.engines.processes import Died, in_processes
from checker.errors import CannotDecide, UsageError
from checker.model import Status
from checker.schemas import tool_schema, validate
from checker.targets import find
from checker.targets.find import find_policies
from checker.targets.model import AtRest, Checked, Judged, NotJudged, Target, counts, rank
from tests import decisions as build
from tests.attacking.readers import commands_taken, made_of_markdown
from tests.test_formats_json import undescribed

POLICY = build.policy()
AS_OF = build.decision(POLICY).as_of
FOLDER = Path("policies")


def judged(name: str = "ok", status: Status = Status.OK, code: int = 0, **changes: Any) -> Judged:
    """A target with a save latency of this status."""
    value = {Status.OK: 1.0, Status.WARN: 1.73, Status.VIOLATION: 2.5}.get(status)
    rows = build.judgements(POLICY, save_latency_p95=value)
    worst = replace(rows[0], status=status, reason="it broke" if status is Status.ERROR else None)
    told: dict[str, Any] = {"judgements": (worst, *rows[1:]), "outcome": status, **changes}
    made = build.violation(POLICY, **changes) if status is Status.VIOLATION else build.decision(POLICY, **told)
    return Judged(f"{name}/policy.yaml", POLICY, build.result(made), code)


def checked(*targets: Target) -> Checked:
    """These, by path."""
    return Checked(AS_OF, tuple(sorted(targets, key=lambda target: target.path)))


OK, WARN = judged("a-ok"), judged("b-warn", Status.WARN)
VIOLATED, NO_DATA = judged("c-violated", Status.VIOLATION, 1), judged("d-silent", Status.NO_DATA, 3)
INVALID, BROKEN = NotJudged("e/policy.yaml", "e/policy.yaml:1:1: no\n1 problem", 2), NotJudged("f/policy.yaml", "x", 70)
OFF, COMPLETE = AtRest("g/policy.yaml", "g", "G", "off"), AtRest("h/policy.yaml", "h", "H", "complete")
UNENDED = AtRest("i/policy.yaml", "i", "I", "off", "INC-1")
NO_GATE = judged("j-no-gate", code=3, gate=build.gate(41, error="the query failed"))
EVERY = (NO_GATE, OK, WARN, VIOLATED, NO_DATA, INVALID, BROKEN, OFF, COMPLETE, UNENDED)


@pytest.mark.parametrize(
    ("targets", "code", "outcome"),
    [
        ((OK,), 0, "ok"),
        ((OK, WARN, OFF, COMPLETE), 0, "warn"),
        ((OK, NO_DATA), 3, "no_data"),
        ((OK, INVALID), 2, "error"),
        ((NO_DATA, INVALID), 2, "error"),
        ((INVALID, BROKEN), 70, "error"),
        ((BROKEN, VIOLATED, INVALID, NO_DATA), 1, "violation"),  # somebody must act, whatever else is amiss
        ((OK, NO_GATE), 3, "error"),
        ((OK, UNENDED), 3, "no_data"),
        ((OFF, COMPLETE), 3, "no_data"),  # nothing was judged: never 0
        ((), 3, "no_data"),
        ((OK, BROKEN, NotJudged("z/policy.yaml", "x", 4)), 70, "error"),
        ((OK, NotJudged("z/policy.yaml", "not recorded", 4)), 4, "error"),  # a code that nobody foresaw is not hidden
    ],
)
def test_the_worst_target_is_the_whole(targets: tuple[Target, ...], code: int, outcome: str) -> None:
    found = checked(*targets)
    assert (found.exit_code, found.outcome.value) == (code, outcome)


@pytest.mark.parametrize(("bad", "others"), list(itertools.product([1, 2, 3, 4, 70], [0, 1, 2, 3, 4, 70])))
def test_nothing_bad_becomes_a_pass_beside_anything(bad: int, others: int) -> None:
    one, other = NotJudged("a/policy.yaml", "x", bad), replace(OK, exit_code=others)
    assert checked(one, other).exit_code != 0
    assert rank(checked(one, other).exit_code) == min(rank(bad), rank(others))
    assert (checked(one, other).exit_code == 1) == (1 in (bad, others))


def test_what_a_person_must_see_first_stands_first() -> None:
    told = [target.path.split("/")[0] for target in checked(*EVERY).worst_first]
    assert told == ["c-violated", "f", "e", "j-no-gate", "d-silent", "i", "b-warn", "a-ok", "g", "h"]
    assert [target.path for target in checked(*EVERY).not_met] == [
        target.path for target in (VIOLATED, BROKEN, INVALID, NO_GATE, NO_DATA, UNENDED)
    ]
    assert list(counts(EVERY).items()) == [
        *(("violation", 1), ("not judged", 2), ("gate error", 1), ("no_data", 1), ("warn", 1), ("ok", 1)),
        *(("off", 2), ("complete", 1)),
    ]  # fmt: skip


def test_the_worst_slo_is_the_one_furthest_past_its_threshold() -> None:
    rows = list(build.judgements(POLICY, save_latency_p95=2.1, failure_rate=5.0))
    rows[:2] = [replace(row, status=Status.VIOLATION) for row in rows[:2]]
    target = Judged("a/policy.yaml", POLICY, build.result(build.violation(POLICY, judgements=tuple(rows))), 1)
    assert target.worst.slo == "failure_rate"


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("colour", [False, True])
def test_the_table_fits_and_tells_all_that_is_not_met(width: int, colour: bool) -> None:
    title = "界" * 40 + "a very long title of a target, which nobody would read"
    long = Judged("l/policy.yaml", POLICY, build.result(build.decision(POLICY, title=title)), 0)
    shown = render_table(checked(*EVERY, long), FOLDER, colour=colour, width=width)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    commands = [line for line in plain.splitlines() if line.startswith("  phasegate ")]
    assert all(cell_len(line) <= width for line in plain.splitlines() if line not in commands)
    assert [line.split()[1] for line in commands] == ["rollback", "explain"]
    assert "--policy=policies/c-violated/policy.yaml" in commands[0]
    for text in ("e/policy.yaml:1:1: no", "INC-1", "2.31 s", "11 targets: 1 violated · 2 not judged"):
        assert text in " ".join(plain.split()), text


def test_two_hundred_that_are_broken_are_not_told_one_by_one() -> None:
    targets = [NotJudged(f"t{number:03}/policy.yaml", "x\n" * 50, 2) for number in range(200)]
    lines = render_table(checked(*targets), FOLDER, colour=False, width=80).splitlines()
    assert len(lines) < 200 + 21 * 24
    assert "… and 180 more that are not met" in "\n".join(lines)
    assert lines[-1].strip() == "200 targets: 200 not judged"


def test_the_document_follows_its_schema_and_each_check_its_own() -> None:
    told = json.loads(json.dumps(document(checked(*EVERY))))
    assert validate(told, tool_schema("check_all")) == []
    assert [target["path"] for target in told["targets"]] == sorted(target.path for target in EVERY)
    for target in told["targets"]:
        if "decision" in target:
            alone = {key: value for key, value in target.items() if key not in ("path", "exit_code")}
            assert validate(alone, tool_schema("check")) == []
    told["targets"][0]["extra"] = 1
    assert validate(told, tool_schema("check_all"))


def test_the_schema_has_every_key_of_a_check_and_describes_it() -> None:
    schema, alone = tool_schema("check_all"), tool_schema("check")
    of_a_target = schema["$defs"]["judged"]
    assert set(of_a_target["properties"]) == set(of_a_target["required"]) == {*alone["properties"], "path", "exit_code"}
    assert undescribed(schema, "check_all") == []


def test_junit_has_a_suite_each_and_none_that_is_bad_passes() -> None:
    suites = fromstring(to_junit(checked(*EVERY)))
    red = {
        target.path
        for target, suite in zip(checked(*EVERY).targets, suites, strict=True)
        if int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    }
    assert red == {target.path for target in checked(*EVERY).not_met}


def test_annotations_tell_each_that_is_not_met_once() -> None:
    told = list(to_annotations(checked(*EVERY), FOLDER))
    assert [row.level for row in told] == ["error"] * 7 + ["warning"]
    assert [row.properties["file"] for row in told[1:]] == [
        f"policies/{target.path}" for target in (*checked(*EVERY).not_met, WARN)
    ]
    assert [row.level for row in to_annotations(checked(OK), FOLDER)] == ["notice"]


def test_what_a_stranger_wrote_is_text_in_every_format() -> None:
    hostile = NotJudged("x\x1b[2J/policy.yaml", "::error::owned\n`<b>` | ##[error] \x1b[31m", 2)
    found = checked(hostile)
    table = for_people(render_table(found, FOLDER, colour=False, width=80))
    assert "\x1b" not in table
    assert not any(line.lstrip().startswith("::") for line in table.splitlines())
    lines = "".join(map(workflow_command, to_annotations(found, FOLDER)))
    assert len(commands_taken(lines)) == 2
    assert made_of_markdown(for_people(to_markdown(found, FOLDER))) == []
    assert fromstring(to_junit(found)) is not None


def write(root: Path, *paths: str) -> None:
    """Files of these paths, empty."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_policies_are_found_at_two_places_by_path_and_nowhere_else(tmp_path: Path) -> None:
    write(tmp_path, "b/policy.yaml", "a/policy/policy.yaml", "a/b/policy/policy.yaml", "policy.yaml", "c/policy.yml")
    write(tmp_path, ".git/policy.yaml", "d/policies/policy.yaml", "policy/policy.yaml")
    assert [found.path for found in find_policies(tmp_path)] == [
        "a/policy/policy.yaml", "b/policy.yaml", "policy/policy.yaml"
    ]  # fmt: skip


def test_what_lies_behind_a_link_is_refused_by_name_and_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "policy.yaml", "policy/policy.yaml", "logs/x.jsonl")
    write(tmp_path / "fleet", "a/policy.yaml", "b/x", "c/policy/x")
    (tmp_path / "fleet/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "fleet/b/policy").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "fleet/c/policy/policy.yaml").symlink_to("nowhere")
    (tmp_path / "fleet/logs").symlink_to(tmp_path / "elsewhere/logs")  # no policy behind it: nothing to say
    told = {found.path: found.refused for found in find_policies(tmp_path / "fleet")}
    assert {path: (why or "").split(" is a link")[0] for path, why in told.items()} == {
        "a/policy.yaml": "",
        "b/policy/policy.yaml": "b/policy",
        "c/policy/policy.yaml": "c/policy/policy.yaml",
        "link/policy.yaml": "link",
        "link/policy/policy.yaml": "link",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a/policy.yaml")
    (tmp_path / "a").chmod(0)
    assert "cannot be looked at" in (find_policies(tmp_path)[0].refused or "")


@pytest.mark.parametrize(
    ("make", "raised", "told"),
    [
        (lambda _: None, CannotDecide, "no policy below"),
        (lambda root: write(root, "policy.yaml"), CannotDecide, "expected NAME/policy.yaml or"),
        (
            lambda root: write(root, *(f"t{number}/policy.yaml" for number in range(4))),
            UsageError,
            "4 policies, at most 3",
        ),
        (lambda root: write(root, *(f"f{number}" for number in range(9))), UsageError, "more than 8 entries"),
    ],
)
def test_nothing_and_too_much_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any, raised: type[Exception], told: str
) -> None:
    monkeypatch.setattr(find, "MAX_TARGETS", 3)
    monkeypatch.setattr(find, "MAX_ENTRIES", 8)
    make(tmp_path)
    with pytest.raises(raised, match=told):
        find_policies(tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_a_folder_that_is_none_is_a_wrong_call(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="name the folder of policies"):
        find_policies(tmp_path / name)


def twice_or_trouble(item: object) -> Any:
    """Twice the number; a word is trouble of its kind."""
    match item:
        case int():
            return item * 2
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(7)
        case "raises":
            raise ValueError("x")
    return lambda: None  # cannot be sent


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_process_that_dies_takes_its_own_item_alone(workers: int) -> None:
    items = [1, "killed", 2, "raises", "exit", 3, "odd", 4, "killed"]
    told = in_processes(twice_or_trouble, items, workers)
    assert [row for row in told if not isinstance(row, Died)] == [2, 4, 6, 8]
    how = {items[number]: row.how for number, row in enumerate(told) if isinstance(row, Died)}
    assert (how["killed"], how["exit"]) == ("SIGKILL: Killed", "exit code 7")
    assert how["raises"] == "internal error: ValueError: x"
    assert "internal error" in how["odd"]


def test_results_stand_in_the_items_order_and_no_process_is_left() -> None:
    seen: list[tuple[int, int]] = []
    numbers = list(range(40))
    told = in_processes(lambda item: (item, os.getpid()), numbers, 3, lambda done, every: seen.append((done, every)))
    assert [item for item, _ in told] == numbers
    assert os.getpid() not in {pid for _, pid in told}
    assert seen == [(done, 40) for done in range(1, 41)]
    assert not any(Path(f"/proc/{pid}").exists() for _, pid in told)
    assert in_processes(twice_or_trouble, [], 3) == []
