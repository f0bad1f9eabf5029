"""Which way a difference of two policies goes: a rule for each place of the policy. Pure.

A place without a rule is unknown, so that a new key of the policy is never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from checker.governance.direction import Direction
from checker.governance.policy_changes import Difference
from checker.governance.policy_tree import ORDER, Leaf, Node, Path, leaf_at
from checker.governance.rule_cases import (
    tell_allow_looser,
    tell_audience,
    tell_gate_of_phase,
    tell_min_samples,
    tell_notice,
    tell_parameter,
    tell_query,
    tell_slo,
    tell_template,
    tell_threshold,
    tell_warn_at,
    tell_warn_below,
)
from checker.governance.rule_kinds import (
    LOOSENING,
    NEUTRAL,
    NO_RULE,
    TIGHTENING,
    UNKNOWN,
    Rule,
    Sides,
    always,
    entry,
    members,
    more,
    ranked,
    some,
)


class Finding(NamedTuple):
    """A direction, the reason for it in a sentence, and the stable id of the rule that gave it."""

    direction: Direction
    why: str
    rule: str


def finding(difference: Difference, sides: Sides) -> Finding:
    """Which way `difference` goes, and why."""
    for pattern, name, told in RULES:
        if _fits(pattern, difference.path):
            direction, why = told(difference, sides)
            return Finding(direction, why, name)
    return Finding(*NO_RULE, "no-rule")


def _fits(pattern: str, path: Path) -> bool:
    parts = pattern.split(".")
    rest = parts[-1] == "**"
    parts = parts[:-1] if rest else parts
    if len(path) < len(parts) or (len(path) > len(parts) and not rest):
        return False
    return all(part in ("*", step) for part, step in zip(parts, path, strict=False))


_WORDS = always(NEUTRAL, "words for people; nothing is judged or done by them")
_COMMAND = always(UNKNOWN, "what a rollback runs, or who runs it, cannot be weighed")


RULES: tuple[tuple[str, str, Rule], ...] = (
    ("title", "words", _WORDS),
    ("phases.*.title", "words", _WORDS),
    ("phases.*.audience", "audience", tell_audience),
    ("phases.*.duty", "words", _WORDS),
    ("slos.*.title", "words", _WORDS),
    ("slos.*.note", "words", _WORDS),
    ("gates.*.title", "words", _WORDS),
    (
        "max_quarantined",
        "max-quarantined",
        more((LOOSENING, "more broken lines are put up with"), (TIGHTENING, "fewer broken lines are put up with")),
    ),
    ("allow_looser", "allow-looser", tell_allow_looser),
    (
        "phases.*",
        "phase",
        entry(
            (LOOSENING, "a phase was taken away"),
            (UNKNOWN, "one more phase: more gates, and other steps of exposure"),
            (UNKNOWN, "events, the ledger and commands know the phase by its name"),
        ),
    ),
    (f"phases.{ORDER}", "phase-order", always(UNKNOWN, "another order of exposure")),
    ("phases.*.approvers", "approvers", some("an approver")),
    ("phases.*.gate", "phase-gate", tell_gate_of_phase),
    ("slos.*", "slo", tell_slo),
    ("slos.*.query", "query-file", tell_query),
    ("slos.*.unit", "unit", always(UNKNOWN, "the values mean something else")),
    ("slos.*.comparison", "comparison", always(UNKNOWN, "the comparison is another one")),
    ("slos.*.threshold.*", "threshold", tell_threshold),
    ("slos.*.warn_at", "warn-at", tell_warn_at),
    ("slos.*.warn_below", "warn-below", tell_warn_below),
    ("slos.*.warn_below.*", "warn-below", tell_warn_below),
    ("slos.*.min_samples", "min-samples", tell_min_samples),
    ("slos.*.on_no_data", "on-no-data", ranked(("hold", "violation"), "a window without data")),
    ("slos.*.on_violation", "on-violation", ranked(("observe", "hold", "rollback"), "a violation")),
    (
        "gates.*",
        "gate",
        entry(
            (LOOSENING, "a gate was taken away"),
            (UNKNOWN, "one more gate; what it asks for is known to its query alone"),
            (NEUTRAL, "the same gate under another name"),
        ),
    ),
    ("gates.*.query", "query-file", tell_query),
    ("gates.*.parameters.*", "gate-parameter", tell_parameter),
    ("notices.*", "notice", tell_notice),
    ("notices.*.phases", "notice-phases", some("a phase in which people are told")),
    ("notices.*.automatic", "notice-automatic", some("a phase in which people are told unasked")),
    ("notices.*.repeat", "notice-repeat", ranked(("on_change", "every_window"), "an outcome that lasts")),
    (
        "notices.*.after_windows",
        "notice-after",
        more((LOOSENING, "people are told later"), (TIGHTENING, "people are told earlier")),
    ),
    ("notices.*.channel", "notice-channel", always(UNKNOWN, "other people are told")),
    ("notices.*.outcome", "notice-outcome", always(UNKNOWN, "people are told of something else")),
    ("notices.*.template", "template-file", tell_template),
    ("rollback.command", "rollback-command", _COMMAND),
    ("rollback.mode", "rollback-mode", _COMMAND),
    (
        "rollback.recovery.for",
        "recovery",
        more((TIGHTENING, "a recovery must hold for longer"), (LOOSENING, "a recovery must hold for less time")),
    ),
    ("freezes", "freezes", some("a freeze")),
    ("redact", "redact", some("a field that is not shown")),
    (
        "verification.agree_within",
        "agree-within",
        more((LOOSENING, "the dashboard may be further off"), (TIGHTENING, "the dashboard must be nearer")),
    ),
    (
        "collector.delay_limit",
        "delay-limit",
        more((LOOSENING, "a delay is told of later"), (TIGHTENING, "a delay is told of earlier")),
    ),
    (
        "collector.no_verdict_after",
        "no-verdict-after",
        more((LOOSENING, "a silent loop is told of later"), (TIGHTENING, "a silent loop is told of earlier")),
    ),
    (
        "collector.volume.warn_below",
        "volume",
        more((TIGHTENING, "a small volume is warned of earlier"), (LOOSENING, "a small volume is warned of later")),
    ),
    (
        "collector.sources.*",
        "source",
        entry(
            (LOOSENING, "a source was taken away"),
            (UNKNOWN, "one more source: other events are judged"),
            (UNKNOWN, "batches and positions know the source by its name"),
        ),
    ),
    (
        "governance.people.*",
        "people",
        members((LOOSENING, "others may speak for the role"), (LOOSENING, "more people may speak for the role")),
    ),
    ("governance.signed_phases", "signed-phases", some("a phase whose approvals are signed")),
    (
        "governance.valid_for",
        "valid-for",
        more((LOOSENING, "an approval holds for longer"), (TIGHTENING, "an approval holds for less time")),
    ),
)


def phases_of(difference: Difference, sides: Sides) -> Iterator[str]:
    """The phases that a difference concerns; none where it concerns all."""
    match difference.path:
        case ("phases", phase) if phase != ORDER:  # of every other it changes what comes before it or after it
            yield from dict.fromkeys(name for side in (sides.base, sides.head) for name in _phases(side))
        case ("slos", _, "threshold" | "warn_below", phase) | ("phases", phase, *_) if phase != ORDER:
            yield phase
        case ("gates", gate, *_):
            yield from dict.fromkeys([*_phases_with(sides.base, gate), *_phases_with(sides.head, gate)])
        case ("notices", notice, *_):
            leaves = (leaf_at(side, ("notices", notice, "phases")) for side in (sides.base, sides.head))
            yield from dict.fromkeys(name for leaf in leaves if leaf for name in leaf.same[1])


def _phases_with(side: Node, gate: str) -> Iterator[str]:
    for name, phase in _phases(side).items():
        leaf = leaf_at(phase, ("gate",))
        if leaf is not None and leaf.text == gate:
            yield name


def _phases(side: Node) -> Mapping[str, Node]:
    phases = {} if isinstance(side, Leaf) else side["phases"]
    return {} if isinstance(phases, Leaf) else {name: phase for name, phase in phases.items() if name != ORDER}
