"""What became of each target, and what that comes to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from checker.model import CheckResult, Judgement, Status
from checker.policy.model import Policy

MET, VIOLATED, INVALID, UNDECIDED, INTERNAL = 0, 1, 2, 3, 70
_WORST_FIRST = (VIOLATED, INTERNAL, INVALID, UNDECIDED)  # docs/decisions/0020-many-targets.md says why


@dataclass(frozen=True, slots=True)
class Judged:
    """A target that was checked: the policy at `path`, what it decided, and what `check` alone would have exited with.

    `torn` is what a crash cut off of its ledger, where something was.
    """

    path: str
    policy: Policy
    result: CheckResult
    exit_code: int
    torn: str | None = None

    @property
    def title(self) -> str:
        """Its name in prose."""
        return self.result.decision.title

    @property
    def outcome(self) -> Status:
        """The outcome of the window that decides; an error where its SLOs are met and its gate could not be asked."""
        return Status.ERROR if self.is_gate_broken else self.result.decision.outcome

    @property
    def is_gate_broken(self) -> bool:
        """Whether only the gate is why nothing can be decided."""
        decision = self.result.decision
        return decision.outcome.is_met and decision.gate.error is not None

    @property
    def worst(self) -> Judgement:
        """The judgement that says most of it: the worst status, of these the furthest past its threshold."""
        rows = self.result.decision.judgements
        return min(rows, key=lambda row: (-row.status.severity, -_past(row)))


@dataclass(frozen=True, slots=True)
class AtRest:
    """A target in no phase: its ledger says `off` or `complete`, so nothing is judged. `incident` is one still open."""

    path: str
    target: str
    title: str
    stands_at: str
    incident: str | None = None
    torn: str | None = None

    @property
    def exit_code(self) -> int:
        """0, but for one whose incident nobody has ended: of that nothing good can be said."""
        return MET if self.incident is None else UNDECIDED

    @property
    def outcome(self) -> Status | None:
        """None, for nothing is judged; `no_data` where something had to be known."""
        return None if self.incident is None else Status.NO_DATA


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A target that could not be checked, and why; `exit_code` is what `check` alone would have exited with."""

    path: str
    error: str
    exit_code: int

    @property
    def title(self) -> str:
        """The folder's name: the policy that says another could not be read, or is not believed."""
        return self.path.split("/")[0]

    @property
    def outcome(self) -> Status:
        """An error, whatever it is."""
        return Status.ERROR


Target = Judged | AtRest | NotJudged


@dataclass(frozen=True, slots=True)
class Checked:
    """All targets, by path, at one instant."""

    as_of: datetime
    targets: tuple[Target, ...]

    @property
    def exit_code(self) -> int:
        """The worst of the targets' (1, 70, 2, 3, 0, in this order); 3 where not one was judged."""
        codes = {target.exit_code for target in self.targets}
        if codes == {MET} and not any(isinstance(target, Judged) for target in self.targets):
            return UNDECIDED
        return min(codes, key=lambda code: (rank(code), -code), default=UNDECIDED)

    @property
    def outcome(self) -> Status:
        """The worst outcome; one that could not be judged is an error. `no_data` where every target is at rest."""
        outcomes = [target.outcome for target in self.targets if target.outcome is not None]
        return max(outcomes, key=lambda status: status.severity, default=Status.NO_DATA)

    @property
    def worst_first(self) -> tuple[Target, ...]:
        """The targets as a person must read them: by exit code, outcome and what it asks for, then by path."""
        return tuple(sorted(self.targets, key=_urgency))

    @property
    def not_met(self) -> tuple[Target, ...]:
        """Those that alone would not have been 0, the worst first."""
        return tuple(target for target in self.worst_first if target.exit_code != MET)


def rank(code: int) -> int:
    """How bad an exit code is among many targets, 0 the worst. One that nobody foresaw is an internal error."""
    if code == MET:
        return len(_WORST_FIRST)
    return _WORST_FIRST.index(code if code in _WORST_FIRST else INTERNAL)


def counts(targets: Sequence[Target]) -> dict[str, int]:
    """How many targets came to what, the worst first; what none came to is left out."""
    found = [word_of(target) for target in targets]
    order = ("violation", "not judged", "error", "gate error", "no_data", "warn", "ok", "off", "complete")
    words = sorted(set(found), key=lambda word: order.index(word) if word in order else len(order))
    return {word: found.count(word) for word in words}


def word_of(target: Target) -> str:
    """What a target came to, in a word: its outcome, `not judged`, or where it rests."""
    match target:
        case Judged():
            return "gate error" if target.is_gate_broken else target.outcome.value
        case AtRest():
            return target.stands_at
        case NotJudged():
            return "not judged"


def _urgency(target: Target) -> tuple[int, int, int, str]:
    severity = -1 if target.outcome is None else target.outcome.severity
    must_go_back = isinstance(target, Judged) and target.result.decision.rollback_required
    return rank(target.exit_code), -severity, -int(must_go_back), target.path


def _past(row: Judgement) -> float:
    """How far past its threshold a violation is; of others nothing is."""
    return row.threshold.excess(row.value) if row.status is Status.VIOLATION else 0.0
