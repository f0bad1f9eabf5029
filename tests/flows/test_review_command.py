"""`phasegate review` as it is typed, in a real git repository: exit codes, what it refuses, what it names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.batches import closed, write_batches
from tests.commands import ROOT, Done, phasegate
from tests.limits import files_of_at_most
from tests.policy_repository import POLICY_FILE, Edit, PolicyRepository, make_repository

LOOSER, TIGHTER = Edit(POLICY_FILE, "C: 1.8}", "C: 1.9}"), Edit(POLICY_FILE, "C: 1.8}", "C: 1.7}")
AS_OF = "2026-01-01T02:05:00Z"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> PolicyRepository:
    return make_repository(tmp_path_factory.mktemp("command"), as_shipped=True)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert closed(8).isoformat() == "2026-01-01T02:05:00+00:00"
    return write_batches(tmp_path_factory.mktemp("logs") / "autosave", "C", ["met"] * 8)


def review(
    capsys: pytest.CaptureFixture[str], repository: PolicyRepository, logs: Path, *more: str | Path, base: str = "base"
) -> Done:
    where = ("--base", base, "--policy", repository.policy, "--logs", logs, "--as-of", AS_OF, "--no-cache")
    return phasegate(capsys, "review", *where, *more)


@pytest.mark.parametrize(
    ("edits", "code", "word"),
    [
        ([], 0, "NEUTRAL"),
        ([TIGHTER], 0, "TIGHTENING"),
        ([LOOSER], 1, "LOOSENING: approval missing (Governance committee, SRE)"),
        ([Edit(POLICY_FILE, "mode: propose", "mode: execute")], 1, "UNKNOWN: approval missing"),
    ],
)
def test_exit_codes_of_a_sound_change(
    edits: list[Edit],
    code: int,
    word: str,
    repository: PolicyRepository,
    logs: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository.change(edits)
    done = review(capsys, repository, logs)
    assert done.code == code, done.err
    assert word in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        (
            [Edit("queries/slo/left_over.sql", "", "select 1")],
            "queries/slo/left_over.sql: no SLO or gate of policy/policy.yaml uses it",
        ),
        ([Edit("queries/slo/failure_rate.sql", "", "")], "'slo/failure_rate.sql' does not exist in queries"),
        ([Edit(POLICY_FILE, "C: 1.8}", "C: 3}")], "is looser than"),
        ([Edit("schemas/event.schema.json", '"duration_ms": {', '"duration_s": {')], "duration_ms"),
    ],
)
def test_files_that_are_unused_missing_or_broken_are_named_and_exit_2(
    edits: list[Edit], told: str, repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.change(edits)
    done = review(capsys, repository, logs)
    assert done.code == 2
    assert told in done.err
    assert done.out == ""


def test_a_field_that_is_newly_required_breaks_the_event_schema(
    repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    required = '"required": ["schema_version", "ts", "event", "phase"'
    repository.change([Edit("schemas/event.schema.json", required, f'{required}, "release"')])
    done = review(capsys, repository, logs)
    assert done.code == 2
    assert "schemas/event.schema.json: release: newly-required against base" in done.err
    assert "schema_version" in done.err


def test_nothing_to_replay_exits_3_and_the_change_is_told_all_the_same(
    repository: PolicyRepository, logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.change([LOOSER])
    done = review(capsys, repository, tmp_path, "--format", "json")
    assert done.code == 3
    assert "could be replayed: it has no batch" in done.err
    assert done.document["direction"] == "loosening"
    assert "the consequences: nothing was replayed" in done.document["not_looked_at"]
    later = review(capsys, repository, logs, "--since", "2026-01-01T03:00:00Z", "--until", "2026-01-01T04:00:00Z")
    assert later.code == 3
    assert "its batches reach from 2026-01-01T00:00:00Z to 2026-01-01T01:45:00Z" in later.err


@pytest.mark.parametrize("base", ["nobranch", "--output=/tmp/x", "base:policy/policy.yaml"])
def test_a_base_that_is_no_commit_is_a_wrong_call(
    base: str, repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = review(capsys, repository, logs, base=base)
    assert done.code == 2
    assert "git knows no such commit" in done.err


def test_a_base_whose_files_are_broken_is_named(
    repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = repository.change([Edit(POLICY_FILE, "target: autosave", "target: 7")])
    repository.git("checkout", "--quiet", "--force", "base")
    done = review(capsys, repository, logs, base=broken)
    assert done.code == 2
    assert f"{broken}:policy/policy.yaml:" in done.err


def test_links_in_a_revision_are_refused(
    repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.change([])
    (repository.root / "queries/slo/linked.sql").symlink_to("/etc/passwd")
    linked = repository.commit("a link")
    done = review(capsys, repository, logs, "--head", linked)
    assert done.code == 2
    assert "queries/slo/linked.sql: is a link or a submodule" in done.err


def test_nothing_of_a_repository_runs(
    repository: PolicyRepository, logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = tmp_path / "ran"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n", encoding="utf-8")
    hook.chmod(0o755)
    repository.change([TIGHTER])
    for name in ("core.fsmonitor", "diff.external", "core.pager", "gpg.program"):
        repository.git("config", name, str(hook))
    repository.git("config", "log.showSignature", "true")
    ran.unlink(missing_ok=True)
    try:
        done = review(capsys, repository, logs)
    finally:
        for name in ("core.fsmonitor", "diff.external", "core.pager", "gpg.program", "log.showSignature"):
            repository.git("config", "--unset", name)
    assert done.code == 0, done.err
    assert not ran.exists()


def test_several_documents_at_once_and_the_same_bytes_twice(
    repository: PolicyRepository, logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = repository.change([LOOSER])
    names = ("json", "markdown", "html", "sarif", "junit")
    made = []
    for turn in ("one", "two"):
        outputs = [f"{name}:{tmp_path / turn / name}" for name in names]
        options = [part for output in outputs for part in ("--output", output)]
        done = review(capsys, repository, logs, "--head", head, "--format", "json", *options)
        made.append({name: (tmp_path / turn / name).read_bytes() for name in names})
    assert made[0] == made[1]
    assert json.loads(made[0]["json"]) == done.document
    assert str(tmp_path) not in made[0]["json"].decode()
    assert str(logs.parent) not in made[0]["json"].decode()
    assert done.document["direction"] == "loosening"


def test_what_was_not_looked_at_is_named(
    repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [Edit("Makefile", "", "all:\n"), Edit("tests/queries/slo/x.yaml", "", "cases: []\n")]
    repository.change([LOOSER, *others])
    (repository.root / "untracked.txt").write_text("new\n", encoding="utf-8")
    done = review(capsys, repository, logs, "--format", "json")
    told = "\n".join(done.document["not_looked_at"])
    assert "2 other files changed: Makefile, untracked.txt" in told
    assert "tests/queries/slo/x.yaml" in told


def test_a_base_that_moved_on_is_told(
    repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = repository.change([TIGHTER])
    newer = repository.change([Edit(POLICY_FILE, "title: Broad", "title: Wide")])
    done = review(capsys, repository, logs, "--head", head, "--format", "json", base=newer)
    assert "has commits that this change lacks" in done.document["warnings"][0]


def test_documents_out_of_step_are_refused(
    repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs/design/autosave-merge-rollout.md").read_text(encoding="utf-8")
    in_step = repository.change([Edit("docs/design/autosave-merge-rollout.md", "", page)])
    repository.git("tag", "--force", "documented")
    assert review(capsys, repository, logs, base=in_step).code == 0
    TIGHTER.make(repository.root)
    done = review(capsys, repository, logs, base=in_step)
    assert done.code == 2
    assert "the table 'thresholds' is not what the policy says; run `phasegate docs`" in done.err


def test_without_logs_the_shipped_sample_is_replayed(
    repository: PolicyRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.change([TIGHTER])
    where = ("--base", "base", "--policy", repository.policy, "--no-cache", "--format", "json")
    assert phasegate(capsys, "review", *where).code == 3  # no logs, and no sample either
    shutil.copytree(ROOT / "tests/samples", repository.root / "tests/samples")
    done = phasegate(capsys, "review", *where)
    assert done.code == 0, done.err
    assert done.document["consequences"]["source"] == "the sample in tests/samples/autosave"
    assert done.document["consequences"]["events"] > 5_000


@pytest.mark.parametrize("content", [b"yesterday\n", b"\xff\xfe", b"2026-99-01T00:00:00Z", b"2026-01-01T00:00:00", b""])
def test_a_sample_whose_clock_is_none_is_named(
    content: bytes, repository: PolicyRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.change([TIGHTER])
    sample = repository.root / "tests/samples/autosave"
    (sample / "logs").mkdir(parents=True)
    (sample / "as-of").write_bytes(content)
    done = phasegate(capsys, "review", "--base", "base", "--policy", repository.policy, "--no-cache")
    assert done.code == 2
    assert "tests/samples/autosave/as-of: is no time such as 2026-01-02T11:45:00Z" in done.err


def test_logs_that_the_change_brings_are_told_of(
    repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = repository.change([TIGHTER])
    own = shutil.copytree(logs, repository.root / "logs/autosave")
    done = review(capsys, repository, own, "--format", "json")
    assert done.document["consequences"]["source"] == "logs/autosave"
    told = "8 files of the logs that were replayed changed: logs/autosave/20260101T000000Z.jsonl"
    assert told in "\n".join(done.document["not_looked_at"])
    done = review(capsys, repository, logs, "--format", "json")
    assert "of the logs" not in "\n".join(done.document["not_looked_at"])
    repository.git("clean", "--quiet", "-dfx")
    assert "of the logs" not in review(capsys, repository, logs, "--head", head).out


def test_the_same_logs_are_the_same_review_wherever_they_lie(
    repository: PolicyRepository, logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.change([TIGHTER])
    here = review(capsys, repository, logs, "--format", "json")
    moved = shutil.copytree(logs, tmp_path / "elsewhere" / logs.name)
    assert review(capsys, repository, moved, "--format", "json").out == here.out


def test_what_people_would_read_is_shown_for_every_phase(
    repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.change([Edit("policy/templates/autosave-warn.j2", "nearing limits", "close to its limits")])
    done = review(capsys, repository, logs, "--format", "json")
    told = [(row["notice"], row["phase"], row["situation"]) for row in done.document["templates"]]
    assert told == [("autosave-warn", "A", "warn"), ("autosave-warn", "B", "warn")]
    lines = done.document["templates"][0]["diff"].splitlines()
    assert any(line.startswith("-⚠️ AutoSave A nearing limits") for line in lines)
    assert any(line.startswith("+⚠️ AutoSave A close to its limits") for line in lines)


def test_the_engine_that_judged_so_far_is_in_the_ledger(
    repository: PolicyRepository, logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.change([])
    ledger = tmp_path / "ledger.jsonl"
    checked = ("--policy", repository.policy, "--logs", logs, "--as-of", AS_OF, "--ledger", ledger)
    assert phasegate(capsys, "check", "--phase", "C", "--record", "--no-cache", *checked).code == 0
    assert review(capsys, repository, logs, "--ledger", ledger).code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("checker.analyzer.governed.engine_version", lambda: "9.9.9")
        done = review(capsys, repository, logs, "--ledger", ledger, "--format", "json")
    assert done.code == 1
    assert [(row["rule"], row["direction"], row["after"]) for row in done.document["changes"]] == [
        ("engine", "unknown", "9.9.9")
    ]


def test_a_sweep_counts_outcomes_over_a_range(
    repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.change([TIGHTER])
    done = review(capsys, repository, logs, "--format", "json", "--sweep", "save_latency_p95")
    (sweep,) = done.document["sweeps"]
    assert (sweep["slo"], sweep["phase"]) == ("save_latency_p95", "C")
    by_limit = {point["limit"]: point["counts"] for point in sweep["points"]}
    assert by_limit[1.7]["ok"] == 8
    assert by_limit[min(by_limit)]["warn"] == 8  # half a second, where every save took half a second
    assert review(capsys, repository, logs, "--sweep", "nothing").code == 2


def test_no_room_for_a_revision_is_no_internal_error(
    repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.change([TIGHTER])
    with files_of_at_most(2_000):
        done = review(capsys, repository, logs)
    assert done.code == 3
    assert "there is no room to put a revision's files down in" in done.err
