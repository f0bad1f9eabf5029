"""How values are written for people: rounded, with their unit, on one line. Pure."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from decimal import Decimal

from checker.model import Comparison, Threshold

NOT_MEASURED = "n/a"
LONGEST_TEXT = 2_000  # characters of one value; nobody reads more of it
_SIGNIFICANT = 3
_EXACT = 17  # significant digits that tell any two doubles apart
_LONG = 120  # seconds from which minutes are easier to read
_BARE = frozenset({"1", "ratio", "share"})
_WHOLES = {"%": 100.0, "ratio": 1.0, "share": 1.0}


def number(value: float, limits: Iterable[float] = ()) -> str:
    """`value` with 3 significant digits, and with as many more as keep it on its side of every limit.

    2.0000001 against the limit 2.0 is written `2.0000001`: a verdict must not seem to contradict its number.
    """
    sides = tuple(limits)
    if not math.isfinite(value):
        return NOT_MEASURED
    whole_digits = len(str(abs(int(value))))
    for digits in range(max(_SIGNIFICANT, whole_digits), _EXACT):
        rounded = float(f"{value:.{digits}g}")
        if all(_side(rounded, limit) == _side(value, limit) for limit in sides):
            return _decimal(rounded)
    return _decimal(value)


def _side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)


def _decimal(value: float) -> str:
    if value == 0:
        return "0"
    if not 1e-9 <= abs(value) < 1e15:
        return f"{value:g}"
    text = f"{Decimal(repr(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def with_unit(text: str, unit: str) -> str:
    """`1.73 s`; a share stands without a unit, and so does nothing at all of whatever is counted."""
    if text == NOT_MEASURED or unit in _BARE or (text == "0" and unit not in ("s", "%")):
        return text
    return f"{text} {unit}"


def value_text(value: float | None, unit: str, threshold: Threshold) -> str:
    """A measured value for people: `1.73 s`, `2.5 min` from 120 s on, `n/a` where nothing was measured."""
    if value is None:
        return NOT_MEASURED
    limits = _limits(threshold)
    if unit == "s" and _LONG <= value < math.inf:
        return with_unit(number(value / 60, [limit / 60 for limit in limits]), "min")
    return with_unit(number(value, limits), unit)


def value_in_unit(value: float | None, threshold: Threshold) -> str:
    """A measured value without its unit, in the SLO's own unit: `1.73`, `n/a` where nothing was measured."""
    return NOT_MEASURED if value is None else number(value, _limits(threshold))


def compact(text: str, unit: str) -> str:
    """`1.73s`, `0.21%`: without the space where the unit is a sign that can do without."""
    return f"{text}{unit}" if unit in ("s", "%") and text != NOT_MEASURED else with_unit(text, unit)


def _limits(threshold: Threshold) -> tuple[float, ...]:
    return (threshold.limit,) if threshold.warn_limit is None else (threshold.limit, threshold.warn_limit)


def threshold_text(threshold: Threshold, unit: str, limits: Iterable[float] = ()) -> str:
    """`≤ 2.0 s`, `≤ 2 min`, `= 0`. `limits` are those of all phases: they share their unit and decimals."""
    return f"{threshold.comparison.sign} {limit_text(threshold.limit, unit, limits)}"


def limit_text(limit: float, unit: str, limits: Iterable[float] = ()) -> str:
    """`2.0 s` beside 2.5 s and 1.8 s; minutes where every one of `limits` is 120 s or more and none gets fractions."""
    peers = {limit, *limits}
    if unit == "s" and all(peer >= _LONG and peer % 60 == 0 for peer in peers):
        return f"{limit / 60:g} min"
    decimals = max(_decimals(peer) for peer in peers)
    return with_unit(f"{limit:.{decimals}f}" if decimals else _decimal(limit), unit)


def _decimals(value: float) -> int:
    # 0.8 of 1.8 is 1.4400000000000002 in floating point, and nobody wrote that
    exponent = Decimal(f"{value:.12g}").normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def margin_percent(value: float | None, threshold: Threshold, unit: str) -> int | None:
    """How much is still free, in whole percent rounded down; negative past the threshold, None where it has no margin.

    A share of the threshold. For a `gte` of a share (unit `%`, `share` or `ratio`) it is the part of the error budget
    that is left, (value - limit) / (whole - limit): 99.8 % against ≥ 99.5 % is 60 %, where 0.3 % would say nothing.
    None for `eq`, for a threshold of 0, and where nothing finite was measured.
    """
    limit = threshold.limit
    if value is None or not math.isfinite(value) or limit == 0 or threshold.comparison is Comparison.EQ:
        return None
    free = value - limit if threshold.comparison is Comparison.GTE else limit - value
    # exactly at 80 % of the threshold is 20 %, and floating point says 19.999…
    percent = free / (error_budget(threshold, unit) or abs(limit)) * 100 + 1e-9
    return math.floor(percent) if math.isfinite(percent) else None


def error_budget(threshold: Threshold, unit: str) -> float | None:
    """What a `gte` of a share leaves up to the whole, in `unit`; None for other thresholds."""
    whole = _WHOLES.get(unit)
    if threshold.comparison is not Comparison.GTE or whole is None or threshold.limit >= whole:
        return None
    return whole - threshold.limit


def finite(value: float | None) -> float | None:
    """The value, None for what JSON cannot hold; 0.0 for -0.0, which is no other value."""
    return value + 0.0 if value is not None and math.isfinite(value) else None


def counted(count: int, noun: str, nouns: str = "") -> str:
    """`1 sample`, `1,200 samples`; `nouns` is the plural where it takes more than an s."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"


def plain(text: str) -> str:
    """`text` on one line, each character that could move a cursor or turn the text around written as an escape."""
    if text.isprintable():
        return text
    return "".join(map(escaped_character, text))


def escaped_character(character: str) -> str:
    """`\\x1b` for ESC, `\\u202e` for what turns text around, half of a pair too; itself where `is_harmless`."""
    return character if is_harmless(character) else character.encode("unicode_escape").decode("ascii")


def is_harmless(character: str) -> bool:
    """Whether a character only shows itself, or is a blank."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def shortened(text: str, most: int = LONGEST_TEXT) -> str:
    """`text`, or its first `most` characters and how many more there are."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"
