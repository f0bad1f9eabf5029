"""The header of a governed query: `-- key: value` lines that say what it measures, reads, needs and returns."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from checker.errors import Problem

_SLO_RETURNS = "window_start timestamp, value double, samples bigint"
_GATE_RETURNS = "criterion varchar, observed double, required double, passed boolean, since timestamp, reason varchar"
RETURNS = {"slo": _SLO_RETURNS, "gate": _GATE_RETURNS}
_REQUIRED = ("name", "measures", "reads", "params", "lookback", "returns")
_OPTIONAL = ("unit", "notes", "worst", "counts")
_LINE = re.compile(r"--\s*([a-z_]+):\s*(.*)")
_LOOKBACK = re.compile(r"(\d+|\$[a-z_][a-z0-9_]*) (minute|hour|day|window)s?")
_RELATION = re.compile(r"([a-z_]+)\s*\(([^)]*)\)")
_PARAMETER = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
MAX_LOOKBACK_WINDOWS = 10_000  # each is measured, and held in memory; 104 days of quarter hours
_ROWS = re.compile(r"([a-z_][a-z0-9_]*) by ([a-z_][a-z0-9_, ]*)")


@dataclass(frozen=True, slots=True)
class Lookback:
    """How far before a window's start a value may read: a number, or a gate's parameter, of a unit."""

    amount: int | str
    unit: str

    def length(self, window: timedelta, parameters: Mapping[str, Any]) -> timedelta:
        """The lookback as a time. Raises ValueError where the parameter is missing or no number, or it is too long."""
        amount = parameters.get(self.amount) if isinstance(self.amount, str) else self.amount
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount < 0:
            raise ValueError(f"${self.amount} is {amount!r}; a lookback needs a number of {self.unit}s, 0 or more")
        step = window if self.unit == "window" else timedelta(**{f"{self.unit}s": 1})
        if not amount * (step / window) <= MAX_LOOKBACK_WINDOWS:
            told = f"{amount} {self.unit}s"[:40]
            raise ValueError(f"{told} are more than {MAX_LOOKBACK_WINDOWS:,} windows, the most that is looked back")
        return amount * step


def parse_lookback(text: str) -> Lookback:
    """`0`, `45 minutes`, `1 hour`, `$batches windows` as a Lookback. Raises ValueError."""
    if text == "0":
        return Lookback(0, "minute")
    match = _LOOKBACK.fullmatch(text)
    if not match:
        raise ValueError(
            f"{text!r} is no lookback; write 0, 45 minutes, 1 hour, 3 days or, in a gate, $batches windows"
        )
    amount = match[1]
    return Lookback(amount[1:] if amount.startswith("$") else int(amount), match[2])


@dataclass(frozen=True, slots=True)
class Header:
    """Values by key, and the line (from 1) that each stands on."""

    values: Mapping[str, str]
    lines: Mapping[str, int]

    def get(self, key: str, default: str = "") -> str:
        """The value of `key`, or `default`."""
        return self.values.get(key, default)

    def line(self, key: str) -> int:
        """The line of `key`; 1 where it is missing."""
        return self.lines.get(key, 1)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names that `params` declares, without the `$`."""
        return tuple(_PARAMETER.findall(self.get("params")))

    @property
    def reads(self) -> dict[str, frozenset[str]]:
        """Relations that `reads` declares, with their columns."""
        return {
            name: frozenset(column.strip().lower() for column in columns.split(",") if column.strip())
            for name, columns in _RELATION.findall(self.get("reads"))
        }

    def rows(self, key: str) -> tuple[str, tuple[str, ...]] | None:
        """`worst` or `counts` as (CTE, its columns or order), None where it is not given."""
        match = _ROWS.fullmatch(self.get(key))
        return (match[1], tuple(part.strip() for part in match[2].split(","))) if match else None


def read_header(sql: str) -> Header:
    """The leading comment lines of `sql`; the value of a repeated `notes` is joined."""
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(sql.splitlines(), 1):
        if not line.startswith("--"):
            break
        if match := _LINE.fullmatch(line.strip()):
            key, value = match.groups()
            values[key] = f"{values[key]} {value}" if key == "notes" and key in values else value
            lines.setdefault(key, number)
    return Header(values, lines)


def header_problems(shown: str, kind: str, header: Header) -> Iterator[Problem]:
    """What the header lacks or says wrongly; `shown` is the query's path as users know it."""
    for key in _REQUIRED + (("unit",) if kind == "slo" else ()):
        if key not in header.values:
            yield Problem(shown, 1, 0, f"header: no '-- {key}: …' line")
    for key, line in header.lines.items():
        if key not in _REQUIRED + _OPTIONAL:
            yield Problem(shown, line, 0, f"header: unknown key '{key}'{did_you_mean(key, _REQUIRED + _OPTIONAL)}")
    stem = Path(shown).stem
    if header.get("name", stem) != stem:
        yield Problem(shown, header.line("name"), 0, f"header: name is '{header.get('name')}', the file '{stem}.sql'")
    yield from _lookback_problems(shown, kind, header)
    if not header.get("returns", RETURNS[kind]).startswith(RETURNS[kind]):
        yield Problem(shown, header.line("returns"), 0, f"header: returns: expected '{RETURNS[kind]}'")
    for key in ("worst", "counts"):
        if key in header.values and header.rows(key) is None:
            yield Problem(shown, header.line(key), 0, f"header: {key}: write '<rows> by <columns>'")


def _lookback_problems(shown: str, kind: str, header: Header) -> Iterator[Problem]:
    if "lookback" not in header.values:
        return
    try:
        lookback = parse_lookback(header.get("lookback"))
        if kind == "slo" and isinstance(lookback.amount, str):
            raise ValueError("an SLO's lookback is a length of time, not a parameter")
    except ValueError as fault:
        yield Problem(shown, header.line("lookback"), 0, f"header: lookback: {fault}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean '…'?` with the nearest of the known names, or nothing."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean '{close[0]}'?" if close else ""
