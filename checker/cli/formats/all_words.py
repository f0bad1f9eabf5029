"""Words for many targets, which table, Markdown and annotations share. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from checker.cli.formats.wording import gate_trouble, judged_text, time_beside
from checker.model import Status
from checker.reporter.shell import command_line
from checker.targets.model import (
    INVALID,
    MET,
    UNDECIDED,
    VIOLATED,
    AtRest,
    Checked,
    Judged,
    NotJudged,
    Target,
    counts,
    word_of,
)
from checker.units import counted
from checker.windows import iso

NONE = "–"
HEADS = ("target", "phase", "window", "outcome", "decision", "worst SLO")
_VERDICTS = {MET: "MET", VIOLATED: "VIOLATION", INVALID: "INVALID", UNDECIDED: "NOT DECIDED"}
_WORDS = {"violation": "violated"}


def counts_text(checked: Checked) -> str:
    """`200 targets: 9 violated · 1 not judged · 190 ok`, the worst first."""
    told = " · ".join(f"{count:,} {_WORDS.get(word, word)}" for word, count in counts(checked.targets).items())
    return f"{counted(len(checked.targets), 'target')}: {told}"


def verdict_text(checked: Checked) -> str:
    """The whole in a word or two, as the exit code has it."""
    if checked.exit_code == VIOLATED and checked.outcome is Status.WARN:  # --fail-on-warn
        return "WARN"
    return _VERDICTS.get(checked.exit_code, "INTERNAL ERROR")


def cells(target: Target, as_of: datetime) -> tuple[str, ...]:
    """A target's row: one cell for each of HEADS. A window's start has its date where that is not the clock's."""
    if not isinstance(target, Judged):
        return target.title, NONE, NONE, word_of(target), NONE, NONE
    decision = target.result.decision
    worst = target.worst
    phase = f"{decision.phase} (what-if)" if decision.what_if else decision.phase
    named = NONE if worst.status is Status.OK else target.policy.slos[worst.slo].title
    return target.title, phase, time_beside(decision.window.start, as_of), word_of(target), decision.verdict, named


def story(target: Target) -> Iterator[str]:
    """What a person needs to know of a target that is not met, a fact a line: each SLO, what is open, what failed."""
    match target:
        case NotJudged():
            yield from target.error.splitlines()
        case AtRest():
            if target.incident is not None:
                yield f"stands at {target.stands_at}, and incident {target.incident} is open: see phasegate status"
        case Judged():
            yield from _judged(target)


def _judged(target: Judged) -> Iterator[str]:
    policy, decision = target.policy, target.result.decision
    for row in sorted(decision.judgements, key=lambda row: -row.status.severity):
        if row.status is not Status.OK:
            slo = policy.slos[row.slo]
            yield f"{slo.title}: {row.status.value}: {judged_text(row, slo)}"
    if decision.incident is not None:
        yield f"incident open: {decision.incident}"
    if decision.gate.error is not None:
        yield f"gate: {gate_trouble(decision.gate)}"


def command_of(target: Target, folder: Path) -> str | None:
    """What to run next, as one line for a shell: the guarded rollback, or a look at it; None where neither is due."""
    if not isinstance(target, Judged):
        return None
    decision, at = target.result.decision, f"--policy={(folder / target.path).as_posix()}"
    if decision.rollback_required and decision.command:
        return command_line((*decision.command, at))
    if decision.outcome in (Status.NO_DATA, Status.ERROR):
        return command_line(("phasegate", "explain", f"--phase={decision.phase}", at, f"--as-of={iso(decision.as_of)}"))
    return None
