"""Attacks of a stranger's policy, of the files around it and of the event schema on whoever loads them."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from checker import regular
from checker.cli import main
from checker.policy import files, governed_schema, governed_text, load, yaml_builder, yaml_scalars, yaml_text
from checker.policy.yaml_builder import Builder
from checker.policy.yaml_scalars import Scalar
from tests.attacking.model import Attack, Carry, SwitchOff
from tests.commands import ROOT

POLICY, SCHEMA = "policy/policy.yaml", "schemas/event.schema.json"
GOVERNED = ("policy", "queries", "schemas", "docs/design")


def project(folder: Path) -> Path:
    """A copy of this repository's governed files and documents, below `folder`, which is outside."""
    root = folder / "project"
    for name in GOVERNED:
        shutil.copytree(ROOT / name, root / name)
    return root


def loaded(root: Path) -> str:
    """What `phasegate docs --check` says, which reads every governed file."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape") for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["phasegate", "docs", "--check", "--policy", str(root / POLICY)])
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        with pytest.raises(SystemExit) as ended:
            main()
    said = "".join(stream.buffer.getvalue().decode("utf-8", "surrogateescape") for stream in streams)
    return f"exit {ended.value.code or 0}\n{said}"


def edited(place: Path, does: dict[str, Any]) -> None:
    """Replace (`old` by `new`, that `times` over), append (`more`, that `times` over), or write (`whole`) its text."""
    text, times = place.read_text("utf-8"), int(does.get("times", 1))
    if "old" in does:
        assert does["old"] in text, f"{does['old']!r} is not in {place.name}"
        text = text.replace(does["old"], does["new"].replace("{}", str(does.get("repeated", "")) * times), 1)
    text = str(does.get("whole", text)) + str(does.get("more", "")).replace("{}", str(does.get("repeated", "")) * times)
    place.write_bytes(text.encode(does.get("encoding", "utf-8"), "surrogatepass"))


def of_policy(attack: Attack, folder: Path) -> str:
    """The shipped policy, edited."""
    root = project(folder)
    edited(root / POLICY, attack.does)
    return loaded(root)


def of_schema(attack: Attack, folder: Path) -> str:
    """The shipped event schema, edited."""
    root = project(folder)
    edited(root / SCHEMA, attack.does)
    return loaded(root)


def of_file(attack: Attack, folder: Path) -> str:
    """A file or folder of the project, replaced: by bytes, a hole, a pipe, a folder, or a link to where it now lies."""
    root, does = project(folder), attack.does
    place = root / does["path"]
    outside = folder / "outside"
    if place.exists():
        place.rename(outside)
    _put(place, outside, does)
    return loaded(root)


def _put(place: Path, outside: Path, does: dict[str, Any]) -> None:
    match does["becomes"]:
        case "pipe":
            os.mkfifo(place)
        case "folder":
            place.mkdir()
        case "link":
            place.symlink_to(does.get("to", outside))
        case "hole":
            with place.open("wb") as file:
                file.truncate(does["bytes"])
        case "text":
            place.write_bytes(does["text"].encode(does.get("encoding", "utf-8")))


KINDS: dict[str, Carry] = {"policy": of_policy, "schema": of_schema, "file": of_file}


def _without(owner: Any, name: str, by: Any) -> SwitchOff:
    return lambda patch: patch.setattr(owner, name, by)


def _nothing(*_: Any, **__: Any) -> Iterator[Any]:
    return iter(())


def _never(*_: Any) -> bool:
    return False


def _always(*_: Any) -> bool:
    return True


def _none(*_: Any) -> None:
    return None


def _latin(content: bytes, _: str) -> yaml_text.GovernedText:
    return yaml_text.GovernedText(content.decode("latin-1"), ())


def _all_read(patch: pytest.MonkeyPatch) -> None:
    for module in (governed_text, files):
        patch.setattr(module, "MAX_BYTES", 1 << 30)


def _all_regular(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(files, "is_regular", _always)
    patch.setattr(regular, "_refuse", _none)


def _follows(path: Any, folder: int | None) -> int:
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder)


def _without_rule(name: str) -> SwitchOff:
    kept: tuple[Callable[..., Any], ...] = tuple(rule for rule in load.RULES if rule.__name__ != name)
    assert len(kept) == len(load.RULES) - 1
    return _without(load, "RULES", kept)


LAYERS: dict[str, SwitchOff] = {
    "a file is read up to a size": _all_read,
    "only regular files are read": _all_regular,
    "no named file lies behind a link": _without(files, "link_below", _none),
    "opening follows no link": _without(regular, "_opened", _follows),
    "the policy's folder is no link": _without(load, "is_link", _never),
    "what nothing names is regular too": _without(load, "strange_entries", _nothing),
    "every named file is used": _without(load, "unused_files", _nothing),
    "text is UTF-8": _without(governed_text, "decode", _latin),
    "nothing is hidden": _without(yaml_text, "is_hidden", _never),
    "nesting has an end": _without(yaml_builder, "MAX_DEPTH", 1_000),
    "values have an end": _without(yaml_builder, "MAX_NODES", 1_000_000),
    "aliases are not read": _without(Builder, "_refuse_alias", _none),
    "tags and anchors are not read": _without(Builder, "_refuse_decorations", _none),
    "merge keys are not read": _without(yaml_builder, "_is_merge", _never),
    "a key stands once": _without(Builder, "_is_new", _always),
    "directives are not read": _without(Builder, "_refuse_directives", _none),
    "a file holds one document": _without(Builder, "_refuse_more", _none),
    "a word is no truth value": _without(yaml_scalars, "_lookalike", Scalar),
    "a number has one reading": _without(yaml_scalars, "_surprise", Scalar),
    "a decimal is finite": _without(yaml_scalars, "_float", lambda text: Scalar(float(text))),
    "an integer has 64 bits": _without(yaml_scalars, "_integer", lambda text: Scalar(float(text))),
    "the policy follows its schema": _without(load, "validate", lambda *_: []),
    "a text is one line": _without_rule("one_line_faults"),
    "limits have caps": _without_rule("limit_faults"),
    "a command has known placeholders": _without_rule("command_faults"),
    "a reference is not fetched": _without(governed_schema, "_reference_fault", _none),
    "a schema has an end": _without(governed_schema, "_step_faults", _nothing),
    "a pattern is linear": _without(governed_schema, "pattern_complaint", _none),
    "a keyword is known to be safe": _without(governed_schema, "_keyword_faults", _nothing),
    "a schema's number is finite": _without(governed_schema, "_number_faults", _nothing),
}
