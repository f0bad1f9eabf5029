"""What a cross-check of the policy must say, and what it has no use for; all of it is for `verify` alone."""

from __future__ import annotations

from collections.abc import Iterator

from checker.policy.cursor import Cursor
from checker.policy.durations import parse_duration
from checker.schemas import Fault, listed

_OF_A_FIELD = ("largest", "smallest", "mean")
_NEEDS: dict[str, tuple[str, ...]] = {
    "quantile": ("field", "level"),
    **dict.fromkeys(_OF_A_FIELD, ("field",)),
    "share": ("among",),
    "count_per_window": (),
}
_ALWAYS = ("how", "events", "scale", "over")
MAX_WINDOWS = 10_000


def cross_check_faults(policy: Cursor) -> Iterator[Fault]:
    """Cross-checks that lack something, or say what their `how` has no use for; a span of no whole windows."""
    window = policy.at("window").duration
    for slo in policy.at("slos").entries.values():
        check = slo.at("cross_check")
        how = check.at("how").text
        if how in _NEEDS:
            yield from _key_faults(check, how)
        over = check.at("over")
        if window and over.duration and (over.duration % window or over.duration // window > MAX_WINDOWS):
            yield over.fault(f"is not a whole number of windows of {policy.at('window').text}, at most {MAX_WINDOWS:,}")
        yield from _among_faults(check)
    span = policy.at("verification", "span")
    if window and span.text is not None and (length := parse_duration(span.text)) and length < window:
        yield span.fault(f"is shorter than one window ({policy.at('window').text})")


def _key_faults(check: Cursor, how: str) -> Iterator[Fault]:
    needed = _NEEDS[how]
    for name in needed:
        if name not in check.entries:
            yield check.key_fault(f"'{name}' is missing; {how} needs {listed(('events', *needed))}")
    for name, entry in check.entries.items():
        if name not in (*_ALWAYS, *needed) and any(name in names for names in _NEEDS.values()):
            yield entry.key_fault(f"{how} has no use for it; remove it")


def _among_faults(check: Cursor) -> Iterator[Fault]:
    among = {item.text for item in check.at("among").items}
    for item in check.at("events").items:
        if among and item.text is not None and item.text not in among:
            yield item.fault(f"{item.text!r} is not in 'among'; a share is of all that are counted")
