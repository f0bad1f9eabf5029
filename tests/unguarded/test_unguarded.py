"""Every attack of `tests/attacks/*.yaml` with the layer switched off that stops it: it must get further.

`make attacks` runs these beside `tests/guarded`; they take as long as a fifth of all other tests together.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.attacking.cases import CASES, carried_out, missed
from tests.attacking.model import Attack


@pytest.mark.parametrize(("module", "attack"), CASES)
def test_an_attack_is_stopped_by_its_layer(
    module: str, attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_module(f"tests.attacking.{module}").LAYERS[attack.stopped_by](monkeypatch)
    seen = carried_out(module, attack, tmp_path)
    assert missed(attack, seen), f"{attack.stopped_by} is off, and nothing changed: {seen}"
    assert re.search(attack.without, seen, re.DOTALL), seen
