"""An attack as data, and what a kind of attack brings: how it is carried out and how its layers are switched off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parent.parent / "attacks"

# Carries out one attack in a folder of its own and gives everything that a user, or the attacker, would see of it.
Carry = Callable[["Attack", Path], str]
# Takes one layer out of the program for the length of a test.
SwitchOff = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Attack:
    """`tries` is what is tried, `must` (regular expressions) what must come of it while every layer stands.

    `stopped_by` is the layer that stops it; `without` is what comes of it when that layer alone is switched off.
    `does` is the attack itself, in whatever form its kind takes.
    """

    name: str
    tries: str
    kind: str
    does: Any
    must: tuple[str, ...]
    stopped_by: str
    without: str
    more: Mapping[str, Any] = field(default_factory=dict)


def attacks(module: str) -> list[Attack]:
    """The cases of one file. Raises KeyError for a case that leaves something out."""
    documents = yaml.safe_load((FOLDER / f"{module}.yaml").read_text("utf-8"))
    return [_attack(dict(document)) for document in documents]


def _attack(document: dict[str, Any]) -> Attack:
    must = document.pop("must")
    return Attack(
        name=document.pop("name"),
        tries=document.pop("tries"),
        kind=document.pop("kind"),
        does=document.pop("does"),
        must=tuple([must] if isinstance(must, str) else must),
        stopped_by=document.pop("stopped_by"),
        without=document.pop("without"),
        more=document,
    )
