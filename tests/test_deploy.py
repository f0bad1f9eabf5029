"""What is under deploy/: systemd takes the units, each window comes in time, cron mails what it should."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cronsim import CronSim
from oncalendar import OnCalendar

from checker.running import supervisor
from checker.windows import closed_at, windows_between
from tests.deploying import BIN, COLLECT_LINE, CRON, DEPLOY, PASS_LINE, WORKFLOW, ran, secret_names, unit
from tests.rollouts import governed_of

SERVICES = ("phasegate@.service", "phasegate-once@.service", "phasegate-collect@.service")
UNITS = sorted(path.name for path in (DEPLOY / "systemd").iterdir())
POLICY = governed_of().policy
ANALYZE = shutil.which("systemd-analyze") or ""
needs_systemd = pytest.mark.skipif(not ANALYZE, reason="systemd-analyze comes with systemd, which is not here")


def put_units(folder: Path, change: tuple[str, str, str] = ("", "", "")) -> list[Path]:
    """The units as installed here, with phasegate where it is; `change` is a unit, and what in it becomes what."""
    paths = []
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text("utf-8").replace("/opt/phasegate/bin", str(BIN))
        if name == change[0]:
            assert change[1] in text
            text = text.replace(change[1], change[2])
        paths.append(folder / name)
        paths[-1].write_text(text, "utf-8")
    return paths


def verified(paths: list[Path]) -> str:
    done = ran(ANALYZE, "verify", "--man=no", *paths, env=os.environ | {"SYSTEMD_UNIT_PATH": f"{paths[0].parent}:"})
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit {done.returncode}")


@needs_systemd
def test_systemd_has_nothing_to_say_of_the_units(tmp_path: Path) -> None:
    assert verified(put_units(tmp_path)) == ""


@needs_systemd
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("phasegate@.service", "Restart=on-failure", "Restart=sometimes"), "restart specifier"),
        (("phasegate@.service", "OOMPolicy", "OutOfMemoryPolicy"), "OutOfMemoryPolicy"),
        (("phasegate@.service", "landlock_restrict_self", "landlock_restrict"), "landlock_restrict"),
        (("phasegate-once@.timer", "*:05/15", "*:65/15"), "calendar specification"),
    ],
)
def test_systemd_would_say_so(change: tuple[str, str, str], told: str, tmp_path: Path) -> None:
    assert told in verified(put_units(tmp_path, change))


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_is_exposed_to(name: str, tmp_path: Path) -> None:
    put_units(tmp_path)
    assert ran(ANALYZE, "security", "--offline=yes", "--threshold=20", "--no-pager", tmp_path / name).returncode == 0


def test_the_services_are_hardened_alike() -> None:
    own = {"Description", "Type", "ExecStart", "TimeoutStartSec", "SuccessExitStatus", "StartLimitIntervalSec",
           "Restart", "RestartPreventExitStatus", "RestartSec", "WantedBy"}  # fmt: skip
    loop, *others = ({key: said for key, said in unit(name).items() if key not in own} for name in SERVICES)
    assert "NoNewPrivileges" in loop
    assert all(other == loop for other in others)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_leaves_phasegate_its_own_locks(name: str) -> None:
    """Children lock themselves with Landlock and setrlimit: what takes those from them takes a layer away."""
    said = unit(name)
    assert said["SystemCallFilter"] == [
        "@system-service landlock_create_ruleset landlock_add_rule landlock_restrict_self"
    ]
    assert said["ReadWritePaths"] == ["/srv/phasegate/%i/logs /srv/phasegate/%i/ledger /srv/phasegate/%i/reports"]
    assert said["KillMode"] == ["mixed"]
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} == set(said["RestrictAddressFamilies"][0].split())


def longest_stop() -> timedelta:
    """How long a loop may take to stop, whose policy rolls back by itself; its parts stop one after the other."""
    a_pass = timedelta(seconds=supervisor.PASS_DEADLINE_S) + POLICY.rollback.deadline
    return a_pass + 2 * timedelta(seconds=supervisor.STOP_DEADLINE_S)


def minutes(text: str) -> timedelta:
    """`15min` or `15m`."""
    return timedelta(minutes=int(re.fullmatch(r"(\d+)m(?:in)?", text)[1]))  # type: ignore[index]


def test_nothing_that_stops_is_killed_too_early() -> None:
    compose = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text("utf-8"))
    given = [minutes(unit(name)["TimeoutStopSec"][0]) for name in SERVICES]
    given.append(minutes(compose["services"]["phasegate"]["stop_grace_period"]))
    assert min(given) >= longest_stop()


def test_the_loop_is_not_started_again_with_a_broken_policy() -> None:
    loop = unit("phasegate@.service")
    assert (loop["Restart"], loop["RestartPreventExitStatus"]) == (["on-failure"], ["2"])


FIRST_END = datetime(2026, 1, 2, 23, 45, tzinfo=UTC)
BEFORE = FIRST_END - timedelta(minutes=1)
WINDOWS = [*windows_between(FIRST_END - POLICY.window, FIRST_END + 99 * POLICY.window, POLICY.window)]
ENDS = [window.end for window in WINDOWS]
CLOSINGS = [closed_at(window, POLICY.lateness) for window in WINDOWS]


def timer(name: str) -> str:
    """When a timer goes off."""
    (told,) = unit(name)["OnCalendar"]
    return told


@pytest.mark.parametrize(
    ("times", "due"),
    [
        (OnCalendar(timer("phasegate-collect@.timer"), BEFORE), ENDS),
        (OnCalendar(timer("phasegate-once@.timer"), BEFORE), CLOSINGS),
        (CronSim(COLLECT_LINE[1].strip(), BEFORE), ENDS),
        (CronSim(PASS_LINE[1].strip(), BEFORE), CLOSINGS),
        (CronSim(WORKFLOW[True]["schedule"][0]["cron"], BEFORE), CLOSINGS),  # YAML 1.1 reads `on` as true
    ],
    ids=["collect timer", "pass timer", "collect in cron", "pass in cron", "workflow"],
)
def test_each_window_is_sealed_and_judged_in_time(times: Iterator[datetime], due: list[datetime]) -> None:
    assert [next(times) for _ in due] == due


@pytest.mark.parametrize(
    ("line", "code", "mailed"),
    [
        (COLLECT_LINE, 0, ""),
        (COLLECT_LINE, 3, "exit 3: said"),  # nothing was sealed: no notice tells of that
        (COLLECT_LINE, 4, "exit 4: said"),
        (PASS_LINE, 0, ""),
        (PASS_LINE, 1, ""),
        (PASS_LINE, 2, "exit 2: said"),
        (PASS_LINE, 3, ""),
        (PASS_LINE, 4, "exit 4: said"),
    ],
)
def test_what_cron_mails(line: re.Match[str], code: int, mailed: str, tmp_path: Path) -> None:
    program, credential_file = tmp_path / "phasegate", tmp_path / "checkout.env"
    program.write_text(f'#!/bin/sh\necho said >&2\ntest "$PHASEGATE_SLACK_TOKEN" = xoxb || exit 99\nexit {code}\n')
    program.chmod(0o755)
    credential_file.write_text("PHASEGATE_SLACK_TOKEN=xoxb\n")
    script = line[3].replace("/etc/phasegate/checkout.env", str(credential_file))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = ran("/bin/sh", "-c", script, env=environment)
    assert (done.stdout.strip(), done.stderr) == (mailed, "")


def test_cron_reads_its_lines_as_they_are_meant() -> None:
    assert "%" not in COLLECT_LINE[3] + PASS_LINE[3]  # cron makes a new line of it
    assert COLLECT_LINE[2] == PASS_LINE[2] == "phasegate"
    assert not any(name in CRON for name in secret_names())  # everybody may read it
