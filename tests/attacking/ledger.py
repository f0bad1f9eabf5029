"""Attacks by the ledger that a pull request brings: what lies at its place, its lines, and what they say."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from checker import regular
from checker.cli import common, main, say
from checker.ledger import lines, records
from tests.attacking.log_parts import THINGS
from tests.attacking.model import Attack, Carry, SwitchOff
from tests.attacking.outputs import seen
from tests.attacking.policy import project
from tests.ledgers import LedgerBuilder

FEW_RECORDS = 1500  # instead of the many that are read: what matters is that there is an end


def _told(root: Path, *more: str) -> str:
    """What `phasegate status` says of the project, which has no logs."""
    arguments = ["status", f"--policy={root / 'policy/policy.yaml'}", "--as-of=2026-02-01T00:00:00Z", "--no-cache"]

    def typed() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["phasegate", *arguments, *more])
            patch.setattr(lines, "MAX_RECORDS", FEW_RECORDS)
            main()

    return seen(typed)


def _place(root: Path) -> Path:
    (root / "ledger").mkdir()
    return root / "ledger/autosave.jsonl"


def _complete(reason: str = "as planned") -> LedgerBuilder:
    """A ledger that says that the rollout is over."""
    built = LedgerBuilder().phase_change("C", "complete")
    return built.record("pause", {"by": "Ada", "reason": reason})


def carry_thing(attack: Attack, folder: Path) -> str:
    """`does` names what lies at the ledger's place."""
    root = project(folder)
    MORE_THINGS[attack.does](_place(root))
    return _told(root)


def carry_folder(attack: Attack, folder: Path) -> str:
    """The folder `ledger` of the project is a link to `does`, where another rollout's ledger lies."""
    root = project(folder)
    _complete().write(folder / attack.does / "autosave.jsonl")
    (root / "ledger").symlink_to(folder / attack.does)
    return _told(root)


def carry_lines(attack: Attack, folder: Path) -> str:
    """`does` names how a sound ledger is forged; it is called with the options that the case has in `options`."""
    root = project(folder)
    _place(root).write_bytes(FORGED[attack.does](_complete()))
    return _told(root, *attack.more.get("options", ()))


def carry_reason(attack: Attack, folder: Path) -> str:
    """`does` is the reason of a pause, which `status` shows."""
    root = project(folder)
    _place(root).write_bytes(_complete(attack.does).content())
    return _told(root)


def _hole(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


MORE_THINGS: Mapping[str, Callable[[Path], Any]] = {**THINGS, "a hole of a terabyte": _hole}


def _with_line(built: LedgerBuilder, line: bytes) -> bytes:
    return built.content() + line + b"\n"


def _with_data(built: LedgerBuilder, data: Mapping[str, Any]) -> bytes:
    return built.record("pause", {"by": "Ada", "reason": "x", **data}).content()


FORGED: Mapping[str, Callable[[LedgerBuilder], bytes]] = {
    "nothing": LedgerBuilder.content,
    "a record is changed": lambda built: built.content().replace(b'"by":"Ada"', b'"by":"Eve"', 1),
    "a record is taken out": lambda built: built.pause().content().replace(built.lines[1] + b"\n", b""),
    "a key stands twice": lambda built: built.content().replace(b'"kind":"pause"', b'"kind":"resume","kind":"pause"'),
    "nested without end": lambda built: _with_line(built, b"[" * 200_000 + b"]" * 200_000),
    "a number that is none": lambda built: built.content().replace(b'"seq":2', b'"seq":NaN'),
    "a line of three megabytes": lambda built: _with_line(built, json.dumps(["x" * (3 << 20)]).encode()),
    "too many records": lambda built: [built.resume() for _ in range(FEW_RECORDS)][-1].content(),
    "a thousand broken lines": lambda built: built.content() + b"[]\n" * 1000,
    "a thousand unknown keys": lambda built: _with_data(built, {f"key{number}": 1 for number in range(1000)}),
    "an unknown kind": lambda built: built.record("verdict", {}).content(),
}
KINDS: dict[str, Carry] = {
    "thing": carry_thing,
    "folder": carry_folder,
    "lines": carry_lines,
    "reason": carry_reason,
}


def _off(owner: Any, name: str, by: Any) -> SwitchOff:
    return lambda patch: patch.setattr(owner, name, by)


def _nothing(*_: Any, **__: Any) -> Any:
    return ()


def _none(*_: Any) -> None:
    return None


def _follows(path: Any, folder: int | None) -> int:
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder)


def _explains_all(document: object, schema: Mapping[str, Any], **_: int) -> Any:
    return _validate(document, schema)


_validate = records.validate
LAYERS: dict[str, SwitchOff] = {
    "no link is followed": _off(regular, "_opened", _follows),
    "only a regular file is opened": _off(regular, "_refuse", _none),
    "the ledger's folder is no link": _off(common, "is_link", lambda _: False),
    "the ledger's size": _off(lines, "_check_size", _none),
    "a line's length": _off(lines, "_long_line", _none),
    "the number of records": _off(lines, "_many_records", _none),
    "problems have an end": _off(records, "_are_enough", lambda *_: False),
    "a line's problems have an end": _off(records, "validate", _explains_all),
    "strict JSON": _off(records, "_parse", json.loads),
    "a record follows its schema": _off(records, "schema_faults_of", _nothing),
    "the chain of hashes": _off(records, "_chain_faults", _nothing),
    "--no-ledger": _off(common, "NO_LEDGER", None),
    "what a runner acts on is defused": _off(say, "_runner_safe", lambda text: text),
}
