"""The wheel that people install holds all that the tool reads of its own, and works away from the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from checker.schemas import TOOL_SCHEMAS
from tests.commands import ROOT

BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
SOURCES = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the sources, unpacked; built by the backend itself, which needs no network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("checker", "schemas"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(ROOT / name, source)
    built = _run("-c", BUILD, str(folder), cwd=source)
    assert built.returncode == 0, built.stderr
    assert "is absent from the `packages` configuration" not in built.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def _run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def _files(folder: Path, pattern: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob(pattern)}


def test_every_module_is_in_the_wheel(unpacked: Path) -> None:
    assert _files(unpacked / "checker", "*.py") == _files(ROOT / "checker", "*.py")


def test_every_schema_that_the_tool_reads_is_in_the_wheel(unpacked: Path) -> None:
    read = {
        name
        for path in (ROOT / "checker").rglob("*.py")
        for name in re.findall(r'tool_schema\("(\w+)"\)', path.read_text("utf-8"))
    }
    assert read >= {"ledger", "policy", "query_tests"}
    there = {path.name: path.read_bytes() for path in (unpacked / "checker" / TOOL_SCHEMAS.name).iterdir()}
    assert there == {
        f"{name}.schema.json": _schema(name) for name in read | {"check", "check_all", "dashboard", "review"}
    }


def _schema(name: str) -> bytes:
    return (ROOT / f"schemas/{name}.schema.json").read_bytes()


def test_the_unpacked_wheel_validates_a_project(unpacked: Path, tmp_path: Path) -> None:
    for name in ("policy", "queries", "docs/design"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "schemas").mkdir()
    shutil.copy(ROOT / "schemas/event.schema.json", tmp_path / "schemas")
    place = {"PYTHONPATH": str(unpacked), "PYTHONDONTWRITEBYTECODE": "1"}
    where = _run("-c", "import checker; print(checker.__file__)", cwd=tmp_path, **place)
    assert Path(where.stdout.strip()) == unpacked / "checker/__init__.py"
    told = _run("-m", "checker", "validate", "--no-cache", cwd=tmp_path, **place)
    assert told.returncode == 0, told.stderr
    assert "in step with the policy" in told.stdout
