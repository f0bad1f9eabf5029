"""The policy's file and the files around it: missing, unused, links, and what cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from policies.project import AUTOSAVE, make_project, problems_of

from checker.policy.load import load_policy
from checker.policy.yaml_builder import MAX_DEPTH, MAX_NODES
from checker.policy.yaml_text import MAX_BYTES


def _add(name: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()

    return change


def _remove(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).unlink()


def _become_link(name: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        place, elsewhere = root / name, root / "elsewhere"
        place.rename(elsewhere)
        place.symlink_to(elsewhere)

    return change


def _become_folder(name: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        (root / name).unlink()
        (root / name).mkdir()

    return change


def _become_pipe(name: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        (root / name).unlink()
        os.mkfifo(root / name)

    return change


def _add_link(name: str, target: str) -> Callable[[Path], object]:
    return lambda root: (root / name).symlink_to(target)


def _add_pipe(name: str) -> Callable[[Path], object]:
    return lambda root: os.mkfifo(root / name)


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes(content)


def _become_circle(name: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        (root / name).rename(root / "elsewhere")
        (root / name).symlink_to(root / name)

    return change


def _link(target: str) -> str:
    return f"passes through the link '{target}'; put the file itself there"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_add("queries/slo/old.sql"), ["queries/slo/old.sql: no SLO or gate of policy/policy.yaml uses it"]),
        (
            _add("queries/gate/deep/old.sql"),
            ["queries/gate/deep/old.sql: no SLO or gate of policy/policy.yaml uses it"],
        ),
        (_add("policy/templates/old.j2"), ["policy/templates/old.j2: no notice of policy/policy.yaml uses it"]),
        (_add("queries/README.md"), []),
        (
            _remove("queries/slo/failure_rate.sql"),
            ["policy/policy.yaml:47:12: slos.failure_rate.query: 'slo/failure_rate.sql' does not exist in queries"],
        ),
        (
            _remove("policy/templates/autosave-ok.j2"),
            ["policy/policy.yaml:93:15: notices.autosave-ok.template: 'autosave-ok.j2' does not exist in policy"],
        ),
        (
            _remove("schemas/event.schema.json"),
            ["policy/policy.yaml:11:15: event_schema: 'schemas/event.schema.json' does not exist in the project"],
        ),
        (
            _become_folder("schemas/event.schema.json"),
            ["policy/policy.yaml:11:15: event_schema: 'schemas/event.schema.json' is no regular file"],
        ),
        (
            _become_link("queries/slo/failure_rate.sql"),
            [
                "policy/policy.yaml:47:12: slos.failure_rate.query: 'slo/failure_rate.sql' "
                + _link("queries/slo/failure_rate.sql")
            ],
        ),
        (
            _become_link("queries/slo"),
            [
                f"policy/policy.yaml:{line}:12: slos.{name}.query: 'slo/{name}.sql' {_link('queries/slo')}"
                for line, name in (
                    (36, "save_latency_p95"),
                    (47, "failure_rate"),
                    (56, "history_drift"),
                    (64, "collector_latency"),
                )
            ],
        ),
        (
            _become_link("schemas"),
            [f"policy/policy.yaml:11:15: event_schema: 'schemas/event.schema.json' {_link('schemas')}"],
        ),
        (_become_link("policy/policy.yaml"), ["policy/policy.yaml: is a link; only a regular file is read"]),
        (_remove("policy/policy.yaml"), ["policy/policy.yaml: does not exist"]),
        (_become_pipe("policy/policy.yaml"), ["policy/policy.yaml: is a named pipe; only a regular file is read"]),
        (_become_link("policy"), ["policy: is a link; put the folder itself there"]),
        (
            _become_pipe("queries/slo/failure_rate.sql"),
            ["policy/policy.yaml:47:12: slos.failure_rate.query: 'slo/failure_rate.sql' is no regular file"],
        ),
        (_add_link("schemas/extra", "/dev/zero"), ["schemas/extra: is a link; put the file itself there"]),
        (_add_link("queries/slo/more", "/etc"), ["queries/slo/more: is a link; put the file itself there"]),
        (_add_pipe("schemas/extra"), ["schemas/extra: is no regular file; remove it"]),
        (_write("schemas/extra", b"x" * (MAX_BYTES + 1)), ["schemas/extra: is larger than 262144 bytes"]),
        (
            _write("queries/slo/failure_rate.sql", b"x" * (MAX_BYTES + 1)),
            ["queries/slo/failure_rate.sql: is larger than 262144 bytes, the most that is read"],
        ),
        (
            _write("queries/slo/failure_rate.sql", b"select 1\n-- caf\xe9"),
            ["queries/slo/failure_rate.sql:2:7: byte 0xe9 is not UTF-8; save the file as UTF-8"],
        ),
        (
            _write("policy/templates/autosave-ok.j2", "a\nb\u202ec\n".encode()),
            ["policy/templates/autosave-ok.j2:2:2: U+202E (RIGHT-TO-LEFT OVERRIDE) is not allowed; remove it"],
        ),
        (_write("policy/templates/autosave-ok.j2", "⚠\ufe0f {{ phase }}\n".encode()), []),
        (
            _write("policy/templates/autosave-ok.j2", "a\ufe0f {{ phase }}\n".encode()),
            ["policy/templates/autosave-ok.j2:1:2: U+FE0F (VARIATION SELECTOR-16) is not allowed; remove it"],
        ),
        (_become_circle("policy"), ["policy.yaml: its folder cannot be reached"]),
        (_become_folder("policy/policy.yaml"), ["policy/policy.yaml: is a directory; only a regular file is read"]),
    ],
)
def test_files_around_the_policy(tmp_path: Path, change: Callable[[Path], object], expected: list[str]) -> None:
    path = make_project(tmp_path)
    change(tmp_path)
    found = problems_of(path)
    assert len(found) == len(expected)
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "policy/policy.yaml:1:1: the file is empty; expected a document"),
        (b"# only a remark\n", "policy/policy.yaml:1:1: the file is empty; expected a document"),
        (b"target: caf\xe9\n", "policy/policy.yaml:1:12: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"a: 1\nb: \xff\n", "policy/policy.yaml:2:4: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"- a\n", "policy/policy.yaml:1:1: expected a mapping, found a list of 1"),
        (b"autosave\n", "policy/policy.yaml:1:1: expected a mapping, found 'autosave'"),
        (b"#" * (MAX_BYTES + 1), f"policy/policy.yaml: is larger than {MAX_BYTES} bytes, the most that is read"),
        (b"a: " + b"[" * 200, f"policy/policy.yaml:1:35: a: the document is nested deeper than {MAX_DEPTH} levels"),
        (b"a: " + b"[" * 100_000, "policy/policy.yaml:1:1003: is no YAML: while increasing flow level"),
        (b"- " * 100_000, f"policy/policy.yaml:1:65: [0]: the document is nested deeper than {MAX_DEPTH} levels"),
        (
            b"a: [" + b"0," * MAX_NODES + b"]",
            f"policy/policy.yaml:1:19999: a: the document holds more than {MAX_NODES}",
        ),
    ],
    ids=["empty", "comment", "latin-1", "not-utf8", "list", "text", "large", "deep", "deeper", "deep-block", "many"],
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes, expected: str) -> None:
    path = make_project(tmp_path)
    path.write_bytes(content)
    (problem,) = problems_of(path)
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    approvers: [SRE]\n", "    approvers: [SRE\n", "policy/policy.yaml:25:"),
        ("    title: Canary\n", "\ttitle: Canary\n", "policy/policy.yaml:15:1: is no YAML: "),
        ("    title: Canary\n", '    title: "Canary\n', "policy/policy.yaml:"),
    ],
)
def test_what_is_no_yaml(tmp_path: Path, old: str, new: str, expected: str) -> None:
    (problem,) = problems_of(make_project(tmp_path, AUTOSAVE.replace(old, new, 1)))
    assert problem.startswith(expected)
    assert ": is no YAML: while " in problem


def test_windows_line_ends_change_no_value_and_no_place(tmp_path: Path) -> None:
    path = make_project(tmp_path)
    policy = load_policy(path)
    path.write_bytes(AUTOSAVE.replace("\n", "\r\n").encode())
    assert load_policy(path) == policy
    path.write_bytes(AUTOSAVE.replace("C: 1.8}", "C: 2.8}").replace("\n", "\r\n").encode())
    assert [problem.split(" ")[0] for problem in problems_of(path)] == ["policy/policy.yaml:39:36:"]


def test_the_project_is_the_parent_of_the_policys_folder_wherever_it_is_called_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path / "policy")
    here = load_policy(Path("policy.yaml"))
    monkeypatch.chdir(tmp_path)
    assert load_policy(Path("policy/policy.yaml")) == here
    assert here.root == tmp_path.resolve()
