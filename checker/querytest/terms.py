"""Times and numbers as query tests write them: relative to the case's zero, to the policy's own numbers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from checker.policy.durations import parse_duration
from checker.schemas import listed, nearest, shown
from checker.windows import parse_iso

Number = int | float

_TERM = re.compile(r"=([a-z_][a-z0-9_]*)(?:\*(-?[0-9]+(?:\.[0-9]+)?))?([+-][0-9]+(?:\.[0-9]+)?)?")


def instant_of(value: object, zero: datetime) -> datetime:
    """The instant that `0`, `+15m`, `-45m` or an ISO time with a zone names. Raises ValueError."""
    if value == 0 and not isinstance(value, bool):
        return zero
    if isinstance(value, str) and value[:1] in ("+", "-") and (length := parse_duration(value[1:])):
        return zero + length if value[0] == "+" else zero - length
    try:
        return parse_iso(str(value))
    except ValueError:
        raise ValueError(f"expected 0, +15m, -45m or '2026-01-02T11:45:00Z', found {shown(value)}") from None


def is_term(value: object) -> bool:
    """Whether `value` stands for a number of the policy: a text that begins with `=`."""
    return isinstance(value, str) and value.startswith("=")


def number_of(value: object, names: Mapping[str, Number]) -> Number:
    """A number as it is, or what `=name*factor+summand` comes to; whole where it can be. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    match = _TERM.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected a number, or a term such as =limit*1000+1, found {shown(value)}")
    name, factor, summand = match.groups()
    if name not in names:
        raise ValueError(f"no number {name!r}{nearest(name, names)} (there are: {listed(names)})")
    return whole(names[name] * float(factor or 1) + float(summand or 0))


def whole(number: Number) -> Number:
    """The number without its `.0`: a field that must be whole takes no other."""
    return int(number) if float(number).is_integer() else number


def count_of(value: object, names: Mapping[str, Number]) -> int:
    """A whole number, 0 or more, as `number_of` reads it. Raises ValueError."""
    number = number_of(value, names)
    if not float(number).is_integer() or number < 0:
        raise ValueError(f"{shown(value)} comes to {number:g}; expected a whole number, 0 or more")
    return int(number)
