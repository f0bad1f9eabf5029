"""Every folder of tests/cases/ is a project that is checked and compared; a new folder needs no new code.

`case.yaml` names the checks and their exit codes, `expected.json` holds for each the keys that must be as they are
there. With `base: autosave` the folder lies over the repository's own project; `replace` edits a file of it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from checker.cli.app import cli
from checker.errors import PhasegateError
from checker.policy.yaml_tree import read_yaml

ROOT = Path(__file__).resolve().parent.parent
CASES = sorted(path.parent for path in (ROOT / "tests" / "cases").glob("*/case.yaml"))


def _read(case: Path) -> dict[str, Any]:
    tree = read_yaml(case / "case.yaml", f"{case.name}/case.yaml")
    assert not tree.problems, tree.problems
    document: dict[str, Any] = tree.value
    return document


CHECKS = [
    pytest.param(case, check, id=f"{case.name}: {check['name']}") for case in CASES for check in _read(case)["checks"]
]
TESTED = [pytest.param(case, id=case.name) for case in CASES if "query_tests" in _read(case)]


def _project(case: Path, root: Path) -> Path:
    """The case's project, copied to `root`; the path of its policy."""
    document = _read(case)
    if document.get("base") == "autosave":
        for folder in ("policy", "queries", "schemas"):
            shutil.copytree(ROOT / folder, root / folder)
    shutil.copytree(case, root, dirs_exist_ok=True)
    for edit in document.get("replace", ()):
        path = root / edit["file"]
        text = path.read_text(encoding="utf-8")
        assert edit["old"] in text, f"{edit['old']!r} is not in {edit['file']}"
        path.write_text(text.replace(edit["old"], edit["new"]), encoding="utf-8")
    return root / "policy" / "policy.yaml"


def _run(*args: str) -> tuple[int, str]:
    """The exit code and the standard output of a command; an error that is told to the user has its own code."""
    result = CliRunner().invoke(cli, list(args))
    if isinstance(result.exception, PhasegateError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def _differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """Where `found` departs from `expected`; of a mapping, the expected keys alone are looked at."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            difference
            for key, value in expected.items()
            for difference in _differences(value, found.get(key, "(no such key)"), f"{path}.{key}")
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for index, (one, other) in pairs for line in _differences(one, other, f"{path}[{index}]")]
    return [] if expected == found else [f"{path}: expected {expected!r}, found {found!r}"]


def test_there_are_cases() -> None:
    assert "precision_merge" in {case.name for case in CASES}


@pytest.mark.parametrize(("case", "check"), CHECKS)
def test_check(case: Path, check: dict[str, Any], tmp_path: Path) -> None:
    policy = _project(case, tmp_path)
    code, output = _run("check", "--policy", str(policy), "--no-cache", "--format", "json", *check["args"])
    assert code == check["exit_code"], output
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))[check["name"]]
    if isinstance(expected, str):
        assert expected in output
    else:
        assert _differences(expected, json.loads(output)) == []


@pytest.mark.parametrize("case", TESTED)
def test_query_tests(case: Path, tmp_path: Path) -> None:
    code, output = _run("test", "--policy", str(_project(case, tmp_path)))
    assert code == _read(case)["query_tests"], output


@pytest.mark.parametrize(
    ("expected", "found", "count"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, 0),
        ({"a": 1}, {"a": 2}, 1),
        ({"a": 1}, {}, 1),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, 0),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": 1}]}, 1),
        (None, 0, 1),
    ],
)
def test_the_comparison_can_fail(expected: Any, found: Any, count: int) -> None:
    assert len(_differences(expected, found)) == count
