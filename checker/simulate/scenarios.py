"""The scenarios, as a table. Their numbers are telemetry, made to fall on one side of the shipped policy's limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from checker.model import Status
from checker.simulate.breakage import BREAKAGES
from checker.simulate.scenario import Condition, Copy, Episode, Scenario

_VIOLATED_LATENCY = Condition(p95_s=3.12, spread=0.0)
_NEAR_LATENCY = Condition(p95_s=1.73, spread=0.03)
_LATE = Condition(late=(1, 1, 1, 3))
_BYTE_COPY, _LATER_COPY, _EARLIER_COPY = Copy(), Copy(shift_ms=2_500), Copy(shift_ms=-2_500)
_COPIES = Condition(
    copies=(_BYTE_COPY, _LATER_COPY, _EARLIER_COPY, Copy(1), Copy(1, shift_ms=2_500), Copy(1, shift_ms=-2_500))
)
_WARMING = Condition(p95_s=1.66, spread=0.02)

# 27 h that end at noon: one violation long past, one missing batch, and load that rises towards the newest window.
_SAMPLE_EPISODES = (
    Episode(6, 1, Condition(p95_s=2.31, spread=0.0)),
    Episode(14, 1, Condition(late=(1, 1))),
    Episode(20, 1, Condition(failures=(1, 240))),
    Episode(31, 1, Condition(broken=("not_json",), saves_at_least=40)),
    Episode(40, 1, Condition(copies=(_BYTE_COPY, Copy(1)))),
    Episode(58, 1, Condition(broken=("torn",), saves_at_least=40)),
    Episode(66, 1, Condition(missing=True)),
    Episode(80, 1, Condition(late=(1,), copies=(_LATER_COPY,))),
    Episode(90, 1, Condition(broken=("no_zone",), saves_at_least=40, gc_events=1)),
    Episode(100, 4, _WARMING),
    Episode(104, 1, replace(_WARMING, p95_s=1.69, saves_at_least=120)),
    Episode(105, 1, Condition(p95_s=1.70, spread=0.01, failures=(1, 240))),
    Episode(106, 1, Condition(p95_s=1.71, spread=0.01, saves_at_least=200, late=(1, 1))),
    Episode(107, 1, Condition(p95_s=1.73, spread=0.0, failures=(1, 480), broken=("wrong_type",))),
)

_ALL = (
    Scenario("healthy", "every window meets every SLO, 25 h in a row", Status.OK, windows=100),
    Scenario(
        "sample",
        "the shipped sample: a violation and a missing batch long past, broken lines, now a warning",
        Status.WARN,
        _SAMPLE_EPISODES,
        start=datetime(2026, 1, 1, 9, tzinfo=UTC),
        windows=108,
    ),
    Scenario(
        "warning",
        "save latency between 80 % and 100 % of the limits of B and C",
        Status.WARN,
        (Episode(-2, 2, _NEAR_LATENCY),),
    ),
    Scenario(
        "violation-latency",
        "the newest window's save latency P95 is 3.12 s",
        Status.VIOLATION,
        (Episode(-1, 1, _VIOLATED_LATENCY),),
    ),
    Scenario(
        "violation-failure-rate",
        "one save in 25 fails in the newest window",
        Status.VIOLATION,
        (Episode(-1, 1, Condition(failures=(1, 25))),),
    ),
    Scenario(
        "violation-drift",
        "two history drifts after a garbage collection in the newest window",
        Status.VIOLATION,
        (Episode(-1, 1, Condition(drift_events=2, gc_events=1)),),
    ),
    Scenario(
        "violation-collector",
        "the newest batch is sealed 150 s after its window (a warning in A)",
        Status.VIOLATION,
        (Episode(-1, 1, Condition(collector_latency_s=150.0, spread=0.0)),),
    ),
    Scenario(
        "collector-180s",
        "the newest batch is sealed 180 s after its window: a warning in A, a violation in B and C",
        Status.VIOLATION,
        (Episode(-1, 1, Condition(collector_latency_s=180.0, spread=0.0)),),
    ),
    Scenario(
        "missing-batch",
        "one window has no batch; eight met windows follow",
        Status.OK,
        (Episode(-9, 1, Condition(missing=True)),),
    ),
    Scenario(
        "no-data",
        "the newest batch holds nothing but the collector's seal",
        Status.NO_DATA,
        (Episode(-1, 1, Condition(silent=True)),),
    ),
    Scenario(
        "late-events",
        "the slowest saves of a window arrive one or three batches later",
        Status.OK,
        (
            Episode(-12, 1, _LATE),
            Episode(-8, 1, Condition(p95_s=2.31, spread=0.0, late=(1, 1, 3))),
            Episode(-4, 1, _LATE),
            Episode(-2, 1, Condition(late=(1, 1))),
        ),
    ),
    Scenario(
        "too-late",
        "slow saves arrive more than 24 h after they happened, and count for nothing",
        Status.OK,
        (Episode(-3, 3, Condition(too_late=4)),),
        windows=108,
    ),
    Scenario(
        "duplicates",
        "second copies of saves, in the same batch and in the next, some with another ts",
        Status.OK,
        (Episode(-6, 6, _COPIES),),
    ),
    Scenario(
        "broken-lines",
        "one broken line of each kind in the newest batch, below 5 % of its lines",
        Status.OK,
        (
            Episode(-5, 1, Condition(broken=("torn", "not_json"), saves_at_least=60)),
            Episode(-1, 1, Condition(broken=tuple(BREAKAGES), saves_at_least=240)),
        ),
    ),
    Scenario(
        "flood-of-broken-lines",
        "one line in ten of the newest batches is broken: what is left is no basis for a verdict",
        Status.NO_DATA,
        (Episode(-2, 2, Condition(broken=("not_json", "wrong_type", "missing_field", "no_zone"), broken_share=0.12)),),
    ),
    Scenario(
        "torn-last-line",
        "the newest batch ends in half a seal",
        Status.NO_DATA,
        (Episode(-1, 1, Condition(torn_seal=True)),),
    ),
    Scenario(
        "release-change",
        "a new release from the 20th last window on",
        Status.OK,
        (Episode(-20, 20, Condition(release="1.5.0")),),
        windows=32,
    ),
    Scenario(
        "critical-alert",
        "a critical alert fires, and the SLOs are met all the same",
        Status.OK,
        (Episode(-3, 1, Condition(alert_severity="critical")),),
        windows=100,
    ),
    Scenario(
        "retry-exhausted",
        "the collector gives up on a source and seals the newest batch without it",
        Status.OK,
        (Episode(-1, 1, Condition(exhausted_source="eu-west")),),
    ),
    Scenario(
        "recovery",
        "three violated windows, then ten that meet every SLO again",
        Status.OK,
        (Episode(-13, 3, _VIOLATED_LATENCY),),
    ),
)

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
