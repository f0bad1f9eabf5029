"""Every attack of `tests/attacks/*.yaml`, for real: stopped as told. With its layer off: `tests/unguarded`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.attacking.cases import CASES, MODULES, carried_out, missed
from tests.attacking.model import Attack, attacks

LEAST = 80


@pytest.mark.parametrize(("module", "attack"), CASES)
def test_an_attack_is_stopped(module: str, attack: Attack, tmp_path: Path) -> None:
    seen = carried_out(module, attack, tmp_path)
    assert missed(attack, seen) == [], seen


def test_there_are_attacks_enough_and_none_twice() -> None:
    names = [(module, attack.name) for module in MODULES for attack in attacks(module)]
    assert len(names) >= LEAST
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("module", MODULES)
def test_every_layer_and_kind_has_a_case(module: str) -> None:
    there = import_module(f"tests.attacking.{module}")
    assert {attack.stopped_by for attack in attacks(module)} == set(there.LAYERS)
    assert {attack.kind for attack in attacks(module)} == set(there.KINDS)
