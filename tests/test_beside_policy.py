"""Who may sign and past incidents, beside the policy: every broken line is told by `validate`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.commands import ROOT, phasegate
from tests.signing import make_key

INCIDENT = 'schema_version: 1\nincidents:\n  - {id: A, title: t, from: "2026-01-01T00:00:00Z", until: "%s"}\n'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("beside")
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(ROOT / folder, root / folder)
    return root


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_key(tmp_path_factory.mktemp("keys"), "sre").line("sre@autosave.example,ada").strip()


@pytest.mark.parametrize(
    ("line", "is_sound"),
    [
        ("KEY", True),
        ("KEY a comment", True),
        ("", True),
        ("# garbage line", True),
        ("garbage line", False),
        ("sre@autosave.example ssh-ed25519 AAAAnonsense", False),
        ("sre@autosave.example ssh-rsa BLOB", False),
        ("TYPE BLOB", False),
        ('sre@autosave.example valid-before="20260301" TYPE BLOB', True),
    ],
)
def test_a_line_of_allowed_signers(
    line: str, is_sound: bool, project: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, kind, blob = key.split()
    text = line.replace("KEY", key).replace("TYPE", kind).replace("BLOB", blob)
    (project / "policy/allowed_signers").write_text(f"{key}\n{text}\n", encoding="utf-8")
    done = phasegate(capsys, "validate", "--policy", project / "policy/policy.yaml")
    assert done.code == (0 if is_sound else 2), done.err
    assert ("policy/allowed_signers:2: is no key line" in done.out + done.err) is not is_sound
    (project / "policy/allowed_signers").unlink()


@pytest.mark.parametrize(("until", "code"), [("2026-01-01T01:00:00Z", 0), ("2025-01-01T01:00:00Z", 2)])
def test_past_incidents_are_read(until: str, code: int, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = project / "policy/incidents.yaml"
    place.write_text(INCIDENT % until, encoding="utf-8")
    done = phasegate(capsys, "validate", "--policy", project / "policy/policy.yaml")
    place.unlink()
    assert done.code == code
    assert ("policy/incidents.yaml:3" in done.out + done.err) is (code == 2)


def test_what_lies_beside_is_counted(project: Path, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("validate", "--policy", project / "policy/policy.yaml")
    assert "signers" not in phasegate(capsys, *where).out
    signers, incidents = project / "policy/allowed_signers", project / "policy/incidents.yaml"
    signers.write_text(f"# a comment\n{key}\n\n{key}\n", encoding="utf-8")
    incidents.write_text(INCIDENT % "2026-01-01T01:00:00Z", encoding="utf-8")
    told = [" ".join(line.split()) for line in phasegate(capsys, *where).out.splitlines()]
    signers.unlink()
    incidents.unlink()
    assert "signers 2 allowed_signers: each line lists a key" in told
    assert "past incidents 1 incidents.yaml: each has its span" in told
