"""`phasegate check --all`: a fleet of small, real projects, most of them in trouble, each of its own kind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from checker.analyzer import telemetry
from checker.cli import check_all
from checker.schemas import tool_schema, validate
from tests import commands
from tests.attacking.readers import xml_of
from tests.commands import Done, phasegate
from tests.ledgers import LedgerBuilder
from tests.own_rollout import PAGE, files

AS_OF = "--as-of=2026-03-01T11:20:00Z"
NEWEST = "20260301T110000Z.jsonl"
MANY = PAGE.with_name("many-targets.md")
PROJECT = {path: re.sub(": (900|430)}", ": 190}", text) for path, text in files(PAGE.read_text("utf-8")).items()}
KINDS = (
    *("healthy", "violated", "broken-yaml", "no-logs", "failing"),
    *("in-full", "at-off", "rolled-back", "done", "torn", "forged"),
)  # fmt: skip
BATCHES = sum(path.startswith("logs/") for path in PROJECT)


def project(root: Path, title: str) -> Path:
    """Write a project of its own; the folder of its policy."""
    write(root, PROJECT, title)
    return root / "policy"


def write(root: Path, texts: dict[str, str], title: str) -> None:
    """The files of the page that these are, under a title that tells targets apart."""
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text.replace("title: Checkout", f"title: {title!r}"), "utf-8")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def slow(root: Path) -> None:
    """Every request of the newest batch takes long."""
    path = root / f"logs/checkout/{NEWEST}"
    path.write_text(re.sub(r'"duration_ms": \d+', '"duration_ms": 9000', path.read_text("utf-8")), "utf-8")


def in_phase(phase: str) -> LedgerBuilder:
    """A ledger in a phase that was entered before the first batch."""
    return LedgerBuilder().phase_change("off", phase, at="2026-03-01T09:50:00Z")


LEDGERS = {
    "in-full": in_phase("full"),
    "at-off": in_phase("canary").phase_change("canary", "off", at="2026-03-01T10:00:00Z"),
    "rolled-back": in_phase("canary")
    .incident("opened", "INC-1", slos=["latency_p99"], at="2026-03-01T10:20:00Z", window="2026-03-01T10:00:00Z")
    .rollback("ended", "canary", "off", incident="INC-1", at="2026-03-01T10:25:00Z"),
    "done": in_phase("full").phase_change("full", "complete", at="2026-03-01T10:00:00Z"),
    "torn": in_phase("canary"),
    "forged": in_phase("canary"),
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Targets by what is the matter with them; nobody changes them."""
    root = tmp_path_factory.mktemp("fleet") / "policies"
    for name in KINDS:
        project(root / name, name.title())
    slow(root / "violated")
    edit(root / "broken-yaml/policy/policy.yaml", "window: 15m\n", "window: 15m\n  windo: [\n")
    shutil.rmtree(root / "no-logs/logs")
    value, fails = "quantile_cont(requests.duration_ms, 0.99)", "max((requests.duration_ms || 'x')::integer) / 1.0"
    edit(root / "failing/queries/slo/latency_p99.sql", value, fails)
    for name, built in LEDGERS.items():
        (root / name / "ledger").mkdir()
        built.write(root / name / "ledger/checkout.jsonl")
    with (root / "torn/ledger/checkout.jsonl").open("ab") as stream:
        stream.write(b'{"torn')
    edit(root / "forged/ledger/checkout.jsonl", '"seq":1', '"seq":2')
    (root / "link").symlink_to(root / "violated")
    return root


def checked(
    capsys: pytest.CaptureFixture[str], root: Path, *options: str, cache: Path | None = None, phase: str = "canary"
) -> Done:
    """The command on every target below `root`."""
    with pytest.MonkeyPatch.context() as patch:
        if cache:
            patch.setenv("PHASEGATE_CACHE", str(cache))
        named = [f"--phase={phase}"] if phase else []
        return phasegate(capsys, "check", f"--all={root}", AS_OF, *named, *options, *([] if cache else ["--no-cache"]))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def by_name(done: Done) -> dict[str, Any]:
    """The targets of the document by the first step of their path."""
    return {target["path"].split("/")[0]: target for target in done.document["targets"]}


def test_each_kind_of_trouble_is_a_row_of_its_own_and_hides_no_other(
    capsys: pytest.CaptureFixture[str], fleet: Path, cache: Path
) -> None:
    done = checked(capsys, fleet, "--format=json", cache=cache)
    told = {
        name: (target["exit_code"], target.get("outcome") or target.get("stands_at") or "not judged")
        for name, target in by_name(done).items()
    }
    assert told == {
        "broken-yaml": (2, "not judged"),
        "done": (0, "complete"),
        "failing": (3, "error"),
        "forged": (3, "not judged"),
        "healthy": (0, "ok"),
        "in-full": (3, "no_data"),  # its ledger's phase, whatever --phase says: no event is of that one
        "link": (2, "not judged"),
        "no-logs": (3, "no_data"),
        "at-off": (0, "off"),
        "rolled-back": (3, "off"),
        "torn": (0, "ok"),
        "violated": (1, "violation"),
    }
    assert (done.code, done.document["exit_code"], done.document["outcome"]) == (1, 1, "violation")
    assert validate(done.document, tool_schema("check_all")) == []
    errors = {name: target["error"] for name, target in by_name(done).items() if "error" in target}
    assert errors["broken-yaml"].startswith("policy/policy.yaml:5:")
    assert errors["forged"].startswith("ledger/checkout.jsonl:1: seq")
    assert errors["link"] == "link is a link; put the folder or the file itself there"
    assert "torn/policy/policy.yaml: ledger: " in done.err
    assert (by_name(done)["in-full"]["phase"], by_name(done)["in-full"]["what_if"]) == ("full", False)


def test_each_target_is_judged_as_it_is_alone(capsys: pytest.CaptureFixture[str], fleet: Path, cache: Path) -> None:
    done = checked(capsys, fleet, "--format=json", cache=cache)
    judged = [target for target in done.document["targets"] if "decision" in target]
    assert len(judged) == 6
    for target in judged:
        where = f"--policy={fleet / target.pop('path')}"
        code, phase = target.pop("exit_code"), target["phase"]
        alone = phasegate(capsys, "check", where, f"--phase={phase}", AS_OF, "--format=json", "--no-cache")
        assert (alone.code, alone.document) == (code, target)


def test_the_same_bytes_twice_whatever_the_cache_and_the_processes(
    capsys: pytest.CaptureFixture[str], fleet: Path, cache: Path, tmp_path: Path
) -> None:
    first = checked(capsys, fleet, "--format=json", cache=cache)
    shutil.copytree(fleet, tmp_path / "elsewhere", symlinks=True)
    for root, options in ((fleet, ("--threads=1",)), (tmp_path / "elsewhere", ("--threads=4",))):
        again = checked(capsys, root, "--format=json", *options)
        assert (again.code, again.out) == (first.code, first.out)
    assert str(fleet) not in first.out
    assert str(fleet.resolve()) not in first.out


def test_the_table_shows_the_worst_first_fits_and_ends_in_counts(
    capsys: pytest.CaptureFixture[str], fleet: Path, cache: Path
) -> None:
    done = checked(capsys, fleet, cache=cache)
    lines = done.out.splitlines()
    rows = [line.split()[0] for line in lines[3 : 3 + len(KINDS) + 1]]
    assert rows[0] == "Violated"
    assert rows[-4:] == ["Healthy", "Torn", "At-Off", "Done"]
    assert all(cell_len(line) <= 80 for line in lines if not line.startswith("  phasegate "))
    assert lines[0].endswith("VIOLATION")
    told = "12 targets: 1 violated · 3 not judged · 1 error · 2 no_data · 2 ok · 2 off · 1 complete"
    assert " ".join(" ".join(lines[-2:]).split()).endswith(told)
    for text in ("9000 ms", "policy/policy.yaml:5:", "incident INC-1 is open", "is a link"):
        assert text in done.out
    (command,) = [line for line in lines if line.startswith("  phasegate rollback")]
    assert f"--policy={fleet}/violated/policy/policy.yaml" in command


@pytest.mark.parametrize("format_", ["junit", "github", "markdown"])
def test_the_other_formats_tell_every_target_that_is_not_met(
    capsys: pytest.CaptureFixture[str], fleet: Path, cache: Path, format_: str
) -> None:
    done = checked(capsys, fleet, f"--format={format_}", cache=cache)
    assert done.code == 1
    for name in ("Violated", "broken-yaml", "No-Logs", "Failing", "forged", "link", "Rolled-Back"):
        assert name in done.out
    if format_ == "junit":
        assert xml_of(done.out) is not None
    if format_ == "github":
        assert done.out.count("::error ") == 1 + 8


@pytest.mark.parametrize(
    ("kept", "code", "outcome"),
    [
        (["healthy", "at-off"], 0, "ok"),
        (["healthy", "no-logs"], 3, "no_data"),
        (["healthy", "no-logs", "broken-yaml"], 2, "error"),
        (["healthy", "broken-yaml", "violated"], 1, "violation"),
        (["at-off", "done"], 3, "no_data"),
        ([], 3, None),
    ],
)
def test_one_exit_code_for_all(
    capsys: pytest.CaptureFixture[str],
    fleet: Path,
    cache: Path,
    tmp_path: Path,
    kept: list[str],
    code: int,
    outcome: str,
) -> None:
    for name in kept:
        shutil.copytree(fleet / name, tmp_path / name)
    done = checked(capsys, tmp_path, "--format=json", cache=cache)
    assert done.code == code, done.err
    if outcome is None:
        assert (done.out, "no policy below" in done.err) == ("", True)
    else:
        assert (done.document["exit_code"], done.document["outcome"]) == (code, outcome)


def sharing(root: Path, *titles: str) -> None:
    """Policies of one project, `NAME/policy.yaml`, with one target and so one folder of logs."""
    own = {path: text for path, text in PROJECT.items() if path.startswith("policy/")}
    write(root, {path: text for path, text in PROJECT.items() if path not in own}, "")
    for title in titles:
        write(root, {path.replace("policy/", f"{title}/", 1): text for path, text in own.items()}, title)


@pytest.mark.parametrize("is_kept", [True, False])
def test_logs_that_targets_share_are_read_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    root, told = tmp_path / "policies", tmp_path / "read"
    sharing(root, "one", "two", "three")
    project(root / "by-a-link", "Four")
    shutil.rmtree(root / "by-a-link/logs/checkout")
    (root / "by-a-link/logs/checkout").symlink_to(root / "logs/checkout")
    ingest = telemetry.ingest

    def counted(connection: Any, batch: Any, *others: Any) -> Any:
        with told.open("a") as stream:  # each process has a list of its own
            stream.write(f"{batch.path.name}\n")
        return ingest(connection, batch, *others)

    monkeypatch.setattr(telemetry, "ingest", counted)
    done = checked(capsys, root, "--format=json", "--threads=4", cache=tmp_path / "cache" if is_kept else None)
    assert (done.code, done.document["counts"]) == (0, {"ok": 4}), done.out
    assert sorted(told.read_text().split()) == sorted(path.name for path in (root / "logs/checkout").iterdir())
    assert len(told.read_text().split()) == BATCHES
    edit(root / "schemas/event.schema.json", '"maximum": 599', '"maximum": 598')  # other rules: it is read for them
    checked(capsys, root, cache=tmp_path / "cache" if is_kept else None)
    assert len(told.read_text().split()) == BATCHES * (2 if is_kept else 3)


def kill(governed: Any, name: str) -> Any:
    if governed.policy.title == name:
        os.kill(os.getpid(), signal.SIGKILL)
    return governed


def break_down(governed: Any, name: str) -> Any:
    if governed.policy.title == name:
        raise ZeroDivisionError(f"in {governed.policy.root}")
    return governed


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (kill, "the process that checked it died (SIGKILL: Killed)"),
        (break_down, "internal error: ZeroDivisionError: in …"),
    ],
)
def test_what_ends_one_targets_process_ends_no_other(
    capsys: pytest.CaptureFixture[str],
    fleet: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[Any, str], Any],
    told: str,
) -> None:
    for name in ("healthy", "torn", "done"):
        shutil.copytree(fleet / name, tmp_path / name)
    read = check_all.read_governed
    monkeypatch.setattr(check_all, "read_governed", lambda path: trouble(read(path), "Healthy"))
    done = checked(capsys, tmp_path, "--format=json", "--threads=1")
    assert done.code == 70
    assert {name: target.get("error") for name, target in by_name(done).items()} == {
        "healthy": told, "torn": None, "done": None
    }  # fmt: skip
    assert "Traceback" not in done.err


def test_a_query_that_must_be_killed_is_its_own_targets_error(
    capsys: pytest.CaptureFixture[str], fleet: Path, tmp_path: Path
) -> None:
    for name in ("healthy", "violated"):
        shutil.copytree(fleet / name, tmp_path / name)
    endless = "(select max(a.range + b.range) from range(10000000) a, range(10000000) b)"
    edit(tmp_path / "healthy/queries/slo/latency_p99.sql", "count(requests.duration_ms)", endless)
    edit(tmp_path / "healthy/policy/policy.yaml", "window: 15m", "window: 15m\nlimits: {query_deadline: 1s}")
    done = checked(capsys, tmp_path, "--format=json")
    told = by_name(done)
    assert (done.code, told["violated"]["outcome"], told["healthy"]["outcome"]) == (1, "violation", "error")
    assert "stopped after 1 s" in told["healthy"]["slos"][0]["reason"]


def test_a_cache_that_somebody_holds_is_done_without(
    capsys: pytest.CaptureFixture[str], fleet: Path, tmp_path: Path
) -> None:
    for name in ("healthy", "violated"):
        shutil.copytree(fleet / name, tmp_path / "fleet" / name)
    free = checked(capsys, tmp_path / "fleet", "--format=json", cache=tmp_path / "cache")
    holder = sqlite3.connect(tmp_path / "cache/index.sqlite")
    holder.execute("begin exclusive")
    held = checked(capsys, tmp_path / "fleet", "--format=json", cache=tmp_path / "cache")
    holder.close()
    assert (held.code, held.out) == (free.code, free.out) == (1, free.out)
    assert "the cache cannot be used" in held.err
    assert "cache" not in free.err


def test_the_cache_lies_in_the_folder_where_no_other_is_named(
    capsys: pytest.CaptureFixture[str], fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PHASEGATE_CACHE", raising=False)
    shutil.copytree(fleet / "healthy", tmp_path / "fleet/healthy")
    done = phasegate(capsys, "check", f"--all={tmp_path / 'fleet'}", AS_OF, "--phase=canary")
    assert done.code == 0
    assert len(list((tmp_path / "fleet/.phasegate/cache/events").glob("*.parquet"))) == BATCHES
    assert sorted(path.name for path in (tmp_path / "fleet/healthy").iterdir()) == sorted(
        {p.split("/")[0] for p in PROJECT}
    )


def test_a_phase_is_the_ledgers_else_the_one_that_is_named_and_never_guessed(
    capsys: pytest.CaptureFixture[str], fleet: Path, cache: Path
) -> None:
    unsaid = by_name(checked(capsys, fleet, "--format=json", cache=cache, phase=""))
    assert unsaid["healthy"]["error"] == "no ledger says in which phase it is (of canary, full); say it with --phase"
    assert unsaid["healthy"]["exit_code"] == 2
    assert unsaid["torn"]["phase"] == "canary"
    wrong = by_name(checked(capsys, fleet, "--format=json", cache=cache, phase="B"))
    assert wrong["healthy"]["error"] == "there is no phase 'B'; the policy has canary, full"
    assert wrong["torn"]["phase"] == "canary"
    without = by_name(checked(capsys, fleet, "--format=json", "--no-ledger", cache=cache, phase="canary"))
    assert (without["in-full"]["phase"], without["at-off"]["outcome"], without["forged"]["outcome"]) == (
        "canary",
        "ok",
        "ok",
    )


def test_a_warning_fails_where_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], fleet: Path, cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(fleet / "healthy", tmp_path / "near")
    path = tmp_path / f"near/logs/checkout/{NEWEST}"
    path.write_text(re.sub(r'"duration_ms": \d+', '"duration_ms": 450', path.read_text("utf-8")), "utf-8")
    assert checked(capsys, tmp_path, cache=cache).code == 0
    done = checked(capsys, tmp_path, "--fail-on-warn", cache=cache)
    assert (done.code, done.out.splitlines()[0].split()[-1]) == (1, "WARN")


@pytest.mark.parametrize(
    "options",
    [
        ("--policy=policy/policy.yaml",),
        ("--logs=logs",),
        ("--ledger=ledger.jsonl",),
        ("--events-of=full",),
        ("--fixture=x.jsonl",),
        ("--dry-run",),
        ("--record",),
        ("--record", "--notify=x"),
    ],
)
def test_options_of_one_target_are_refused(
    capsys: pytest.CaptureFixture[str], fleet: Path, options: tuple[str, ...]
) -> None:
    done = checked(capsys, fleet, *options)
    assert (done.code, done.out) == (2, "")
    assert all(option.split("=")[0] in done.err for option in options)


def page_fleet(root: Path) -> None:
    """The targets that the page shows."""
    for name in ("billing", "checkout", "search"):
        project(root / name, name.title())
    slow(root / "checkout")
    edit(root / "search/policy/policy.yaml", "query: slo/latency_p99.sql", "query: slo/latency_p9.sql")


def shown(page: str) -> str:
    """The command and the output of the page."""
    found = re.search(r"<!-- output -->\n```console\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_page_shows_what_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page_fleet(tmp_path / "policies")
    monkeypatch.setattr(commands, "ROOT", tmp_path)  # where it is typed
    done = checked(capsys, Path("policies"), cache=cache)
    assert shown(MANY.read_text("utf-8")) == f"$ phasegate check --all policies/ --phase canary {AS_OF}\n{done.out}"


def test_without_all_the_phase_must_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    done = phasegate(capsys, "check")
    assert (done.code, "Missing option '--phase'" in done.err) == (2, True)


def test_a_folder_that_is_not_there_is_a_wrong_call(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert checked(capsys, tmp_path / "nowhere").code == 2
