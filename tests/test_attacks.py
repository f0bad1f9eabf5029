"""Every attack of `tests/attacks/*.yaml`, for real: stopped as told, and no longer once its layer is switched off."""

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
LEAST = 80


def carried_out(module: str, attack: Attack, folder: Path) -> str:
    """What came of the attack."""
    return str(import_module(f"tests.attacking.{module}").KINDS[attack.kind](attack, folder))


def missed(attack: Attack, seen: str) -> list[str]:
    """What must have come of the attack, and has not."""
    return [pattern for pattern in attack.must if not re.search(pattern, seen, re.DOTALL)]


@pytest.mark.parametrize(("module", "attack"), CASES)
def test_an_attack_is_stopped(module: str, attack: Attack, tmp_path: Path) -> None:
    seen = carried_out(module, attack, tmp_path)
    assert missed(attack, seen) == [], seen


@pytest.mark.parametrize(("module", "attack"), CASES)
def test_an_attack_is_stopped_by_its_layer(
    module: str, attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_module(f"tests.attacking.{module}").LAYERS[attack.stopped_by](monkeypatch)
    seen = carried_out(module, attack, tmp_path)
    assert missed(attack, seen), f"{attack.stopped_by} is off, and nothing changed: {seen}"
    assert re.search(attack.without, seen, re.DOTALL), seen


def test_there_are_attacks_enough_and_none_twice() -> None:
    names = [(module, attack.name) for module in MODULES for attack in attacks(module)]
    assert len(names) >= LEAST
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("module", MODULES)
def test_every_layer_and_kind_has_a_case(module: str) -> None:
    there = import_module(f"tests.attacking.{module}")
    assert {attack.stopped_by for attack in attacks(module)} == set(there.LAYERS)
    assert {attack.kind for attack in attacks(module)} == set(there.KINDS)
