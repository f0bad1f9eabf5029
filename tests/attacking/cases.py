"""The attacks of `tests/attacks/*.yaml` as cases of a test, and what came of each."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.attacking.model import FOLDER, Attack, attacks

MODULES = sorted(file.stem for file in FOLDER.glob("*.yaml"))
CASES = [
    pytest.param(module, attack, id=f"{module}: {attack.name}") for module in MODULES for attack in attacks(module)
]


def carried_out(module: str, attack: Attack, folder: Path) -> str:
    """What came of the attack."""
    return str(import_module(f"tests.attacking.{module}").KINDS[attack.kind](attack, folder))


def missed(attack: Attack, seen: str) -> list[str]:
    """What must have come of the attack, and has not."""
    return [pattern for pattern in attack.must if not re.search(pattern, seen, re.DOTALL)]
