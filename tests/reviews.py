"""Builders of reviews for tests that show them: a neutral one, a small one, a rich one, a hostile one, a huge one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from checker.governance.direction import Change, Direction, Place, worst
from checker.governance.reviewed import (
    Approvals,
    Consequences,
    Detection,
    FalseAlarms,
    Flip,
    GatePass,
    IncidentOutcome,
    PhaseReplay,
    Population,
    RenderedDiff,
    Required,
    Review,
    Side,
    Sight,
    Signed,
    Sweep,
    SweepPoint,
    ValueChange,
    VerdictFlip,
)
from checker.model import Comparison, Decision, Status, Threshold, Verdict, Window
from tests import decisions as build

POLICY = build.policy()
SINCE = datetime(2014, 3, 7, tzinfo=UTC)
LENGTH = timedelta(minutes=15)
BASE = Side("origin/main", "0123456789abcdef0123456789abcdef01234567", "1" * 64, "2" * 64)
HEAD = Side("working tree", None, "3" * 64, "4" * 64)
WHY = "a higher limit lets more pass"
SLO = "save_latency_p95"
HOSTILE = (
    "`|x`` @here [a](https://evil.example) ![i](https://evil.example/i.png) <img src=x onerror=alert(1)> --> "
    "</details></summary></script> <!-- ]]> &amp; ::error::pwn ##[error]pwn #1 GH-1 $x$ **b** http://evil.example"
    "\x1b[31m\u202egnp\x00\x07\r\n::warning file=x::y\n|||\u2028\ud800 %0A%25 \u200b"
)


def window(number: int) -> Window:
    """The window of that number, from 0."""
    start = SINCE + number * LENGTH
    return Window(start, start + LENGTH)


def change(direction: str = "loosening", subject: str = f"slos.{SLO}.threshold.C", **changes: Any) -> Change:
    """A threshold of phase C that goes from 1.8 s to 2.0 s, at line 31."""
    values: dict[str, Any] = {
        "kind": "policy",
        "subject": subject,
        "rule": "threshold",
        "direction": Direction(direction),
        "before": "≤ 1.8 s",
        "after": "≤ 2.0 s",
        "why": WHY,
        "place": Place("policy/policy.yaml", 31, 10),
        "phases": ("C",),
    }
    return Change(**(values | changes))


def flip(number: int, phase: str = "C", **changes: Any) -> Flip:
    """A judgement of the P95 that was a violation and no longer is."""
    values: dict[str, Any] = {
        "phase": phase,
        "window": window(number),
        "slo": SLO,
        "unit": "s",
        "before": Status.VIOLATION,
        "after": Status.WARN,
        "value_before": 1.91,
        "value_after": 1.91,
        "limit_before": 1.8,
        "limit_after": 2.0,
    }
    return Flip(**(values | changes))


def incident(name: str = "INC-1", base: int | None = 15, head: int | None = None, **changes: Any) -> IncidentOutcome:
    """A past incident of phase C; `base` and `head` are the windows in which they catch it, None where they do not."""
    values: dict[str, Any] = {
        "id": name,
        "title": "slow saves in March",
        "phase": "C",
        "start": SINCE + 12 * LENGTH,
        "end": SINCE + 20 * LENGTH,
        "is_in_span": True,
        "base": _detection(base),
        "head": _detection(head),
    }
    return IncidentOutcome(**(values | changes))


def _detection(number: int | None) -> Detection:
    return Detection(None, None) if number is None else Detection(window(number).end, (number - 11) * LENGTH)


def decision(number: int, value: float, limit: float, phase: str = "C") -> Decision:
    """A decision about one window whose P95 is `value`, with the other SLOs met."""
    threshold = Threshold(Comparison.LTE, limit, limit * 0.8)
    judged = build.judgement(
        SLO, value, POLICY, phase, window=window(number), threshold=threshold, status=threshold.judge(value, 1_200, 1)
    )
    others = build.judgements(POLICY, phase)[1:]
    is_violated = judged.status is Status.VIOLATION
    return build.decision(
        POLICY,
        phase=phase,
        window=window(number),
        judgements=(judged, *others),
        verdict=Verdict.ROLLBACK if is_violated else Verdict.HOLD,
        rollback_required=is_violated,
    )


def latency(number: int) -> float:
    """A P95 that goes up and down with the day, and past 1.8 s in windows 14 to 26 of each second day."""
    within = number % 192
    return 1.91 if 14 <= within <= 26 else 1.2 + 0.3 * abs((number % 96) - 48) / 48


def consequences(windows: int = 96, phases: str = "C", **changes: Any) -> Consequences:
    """A replay in which limits go from 1.8 s to 2.0 s, with the flips that follow from it."""
    replays = tuple(
        PhaseReplay(
            phase,
            phase,
            tuple(decision(number, latency(number), 1.8, phase) for number in range(windows)),
            tuple(decision(number, latency(number), 2.0, phase) for number in range(windows)),
        )
        for phase in phases
    )
    flipped = [(row.phase, base, head) for row in replays for base, head in zip(row.base, row.head, strict=True)]
    differing = [item for item in flipped if item[1].outcome is not item[2].outcome]
    violated = [item for item in differing if item[1].outcome is Status.VIOLATION]
    values: dict[str, Any] = {
        "since": SINCE,
        "until": SINCE + windows * LENGTH,
        "source": "tests/samples/autosave/logs",
        "events": 1_205 * windows,
        "replays": replays,
        "flips": tuple(flip(number_of(base), phase) for phase, base, _ in violated),
        "verdict_flips": tuple(
            VerdictFlip(phase, base.window, base.outcome, head.outcome, base.verdict, head.verdict)
            for phase, base, head in differing
        ),
        "gates": (
            GatePass("C", SINCE + timedelta(hours=30), SINCE + timedelta(hours=24)),
            GatePass("B", None, SINCE),
        ),
        "values": (),
        "populations": (),
        "incidents": (),
        "false_alarms": None,
        "not_replayed": {},
    }
    return Consequences(**(values | changes))


def number_of(made: Decision) -> int:
    """The number of a decision's window."""
    return (made.window.start - SINCE) // LENGTH


def approvals(missing: int = 1, **changes: Any) -> Approvals:
    """Two roles asked for; `missing` people of each are still to come."""
    values: dict[str, Any] = {
        "digest": "5" * 64,
        "required": (
            Required("Governance committee", 1, missing, "a threshold of phase C is loosened"),
            Required("SRE", 2, missing, "every loosening"),
        ),
        "present": (),
        "problems": (),
        "is_enough": missing == 0,
    }
    return Approvals(**(values | changes))


def review(*changed: Change, **changes: Any) -> Review:
    """A review of these changes; loosening and not approved where nothing else is said."""
    rows = changed or (change(),)
    values: dict[str, Any] = {
        "target": "autosave",
        "title": "AutoSave",
        "base": BASE,
        "head": HEAD,
        "engine": "2.0.1",
        "direction": worst(row.direction for row in rows),
        "changes": rows,
        "templates": (),
        "consequences": None,
        "sights": (),
        "sweeps": (),
        "approvals": approvals(),
        "not_looked_at": (),
    }
    return Review(**(values | changes))


def neutral() -> Review:
    """Nothing differs in meaning."""
    return replace(review(), direction=Direction.NEUTRAL, changes=(), approvals=approvals(0, required=()))


def small() -> Review:
    """One loosened threshold, 13 flips, an incident that is no longer caught."""
    return review(consequences=consequences(incidents=(incident(),)))


def rich(windows: int = 672, phases: str = "ABC") -> Review:
    """Every kind of thing that a review can tell."""
    told = consequences(
        windows,
        phases,
        incidents=(
            incident(),
            incident("INC-2", 14, 18, title="drift"),
            incident("INC-3", 14, 14, title="met by both"),
            incident("INC-4", None, None, is_in_span=False, title="long ago"),
        ),
        false_alarms=FalseAlarms(2, 5),
        values=(ValueChange("C", "failure_rate", "%", 412, window(33), 0.2101, 0.2109),),
        populations=(
            Population("slo/failure_rate.sql", "C", 1_204, 17),
            Population("slo/history_drift.sql", "C", None, None, "its filters read a window function"),
        ),
        not_replayed={"D": "base has no such phase"},
    )
    diff = "--- base\n+++ head\n@@ -9,3 +9,3 @@\n where\n-    event = 'autosave.save.error'\n+    not retryable\n"
    return review(
        change(),
        change(
            "unknown",
            "queries/slo/failure_rate.sql",
            kind="query",
            rule="query-tree",
            before=None,
            after=None,
            why="a filter differs, and which rows it lets in cannot be told",
            place=Place("queries/slo/failure_rate.sql", 14),
            phases=(),
            notes=("the filter of `errors` has another condition",),
            diff=diff,
        ),
        change(
            "tightening",
            "slos.history_drift.min_samples",
            before="1",
            after="4",
            rule="min-samples",
            place=Place("policy/policy.yaml", 52, side="base"),
        ),
        change("neutral", "notices.autosave-ok.channel", before=None, after="#autosave", place=Place("policy/p.yaml")),
        consequences=told,
        templates=(RenderedDiff("autosave-ok", "B", "every SLO is met", diff),),
        sights=(
            Sight("failure_rate", "C", 40, 0.025, 0.003, "saves that fail", True, "40 samples cannot tell 0.3 %"),
            Sight(SLO, "B", 1_200, 0.05, 0.05, "saves past 2 s", False),
            Sight("history_drift", "C", None, None, None, "", False, "nothing was measured"),
        ),
        sweeps=(
            Sweep(
                SLO,
                "C",
                "s",
                Comparison.LTE,
                2.0,
                tuple(
                    SweepPoint(limit, {Status.OK: 600 + number, Status.VIOLATION: 72 - number})
                    for number, limit in enumerate((1.6, 1.8, 2.0, 2.2))
                ),
            ),
        ),
        approvals=approvals(
            present=(
                Signed("SRE", "Ada Lovelace", "seen the replay", SINCE, SINCE + timedelta(days=14)),
                Signed(
                    "SRE",
                    "Bob",
                    "fine",
                    SINCE,
                    SINCE + timedelta(days=1),
                    "it is bound to another digest",
                    ("bo",),
                ),
            ),
            problems=("approvals/bob.json: bound to another digest",),
        ),
        not_looked_at=("docs/design/rollout.md differs; documents decide nothing",),
        warnings=("the logs end 3 days before the change",),
    )


def hostile() -> Review:
    """A review in which every text that can come from a repository is an attack."""
    row = change(
        subject=HOSTILE, before=HOSTILE, after=HOSTILE, why=HOSTILE, place=Place(HOSTILE, 3), phases=(HOSTILE,),
        notes=(HOSTILE,), diff=f"+{HOSTILE}\n ````````\n</details>\n@here\n", kind=HOSTILE, rule=HOSTILE,
    )  # fmt: skip
    flipped = replace(flip(3), slo=HOSTILE, unit=HOSTILE, phase=HOSTILE)
    told = consequences(
        4,
        source=HOSTILE,
        flips=(flipped,),
        values=(ValueChange(HOSTILE, HOSTILE, HOSTILE, 1, window(1), 1.0, 2.0),),
        populations=(Population(HOSTILE, HOSTILE, None, None, HOSTILE),),
        incidents=(replace(incident(HOSTILE), title=HOSTILE, phase=HOSTILE),),
        not_replayed={HOSTILE: HOSTILE},
    )
    return replace(
        review(row, consequences=told),
        target=HOSTILE,
        title=HOSTILE,
        base=replace(BASE, name=HOSTILE),
        engine=HOSTILE,
        templates=(RenderedDiff(HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        sights=(Sight(HOSTILE, HOSTILE, 1, 0.1, 0.1, HOSTILE, True, HOSTILE),),
        sweeps=(Sweep(HOSTILE, HOSTILE, HOSTILE, Comparison.LTE, 1.0, (SweepPoint(1.0, {}),)),),
        approvals=approvals(
            required=(Required(HOSTILE, 1, 1, HOSTILE),),
            present=(Signed(HOSTILE, HOSTILE, HOSTILE, SINCE, SINCE, HOSTILE, (HOSTILE,)),),
            problems=(HOSTILE,),
            digest=HOSTILE,
        ),
        not_looked_at=(HOSTILE,),
        warnings=(HOSTILE,),
    )


def huge() -> Review:
    """5,000 flips, and differences of 500 kB with characters that take two code units."""
    line = "+" + "𝕏`##[error]" * 12 + "\n"
    rows = [
        change(subject=f"slos.s{number}.threshold.C", diff=line * 4_000 if number < 3 else line * 5)
        for number in range(400)
    ]
    told = consequences(
        96, flips=tuple(flip(number) for number in range(5_000)), incidents=tuple(incident(f"I{n}") for n in range(300))
    )
    return review(*rows, consequences=told, not_looked_at=tuple("x" * 900 for _ in range(500)))


REVIEWS = {"neutral": neutral, "small": small, "rich": rich, "hostile": hostile, "huge": huge}
