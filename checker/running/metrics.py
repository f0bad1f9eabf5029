"""What the loop knows of itself, as Prometheus reads it; names follow its conventions (base units, `_total`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from checker.running.standing import Standing

VERDICTS = ("ok", "warn", "violation", "no_data", "error")


def metrics_text(standing: Standing | None, received: Mapping[str, Mapping[str, int]], now: datetime) -> bytes:
    """The exposition of the loop's standing (None before its first) and of each receiver's counts, by source."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(standing, received, now))
    return bytes(generate_latest(registry))


class _Families:
    def __init__(self, standing: Standing | None, received: Mapping[str, Mapping[str, int]], now: datetime) -> None:
        self._standing, self._received, self._now = standing, received, now

    def collect(self) -> Iterator[Any]:
        """The families, as prometheus_client asks for them."""
        if self._standing is not None:
            yield from _of_loop(self._standing, self._now)
            yield from _of_verdicts(self._standing)
        yield from _of_receivers(self._received)


def _of_loop(standing: Standing, now: datetime) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    target = [standing.target]
    gauges = {
        "phasegate_cycle_lag_seconds": ("Age of the oldest window that has ended and is not sealed.", standing.lag_s),
        "phasegate_outbox_notices": ("Notices that nobody has acknowledged.", standing.outbox),
        "phasegate_sources_failing": ("Sources that the last batch was sealed without.", len(standing.failing)),
        "phasegate_policy_refused": ("1 while the policy on the disk is refused.", int(bool(standing.policy_refused))),
        "phasegate_healthy": ("1 while the loop collects and comes to verdicts.", int(standing.is_healthy)),
    }
    if standing.latency_s is not None:
        told = "From the end of the newest sealed window to its seal."
        gauges["phasegate_seal_latency_seconds"] = (told, standing.latency_s)
    if standing.verdict_at is not None:
        told = "Time since the last verdict."
        gauges["phasegate_verdict_age_seconds"] = (told, (now - standing.verdict_at).total_seconds())
    for name, (told, value) in gauges.items():
        family = GaugeMetricFamily(name, told, labels=["target"])
        family.add_metric(target, value)
        yield family
    counts = {
        "phasegate_cycles": ("Windows that were sealed.", standing.cycles),
        "phasegate_recovery_slices": ("Slices that were sealed for recoveries.", standing.slices),
        "phasegate_passes": ("Passes of check, report and verify.", standing.passes),
        "phasegate_events": ("Events in sealed batches.", standing.accepted),
        "phasegate_duplicate_lines": ("Second copies that were dropped.", standing.duplicates),
        "phasegate_quarantined_lines": ("Broken lines that were set aside.", standing.quarantined),
    }
    for name, (told, value) in counts.items():
        counter = CounterMetricFamily(name, told, labels=["target"])
        counter.add_metric(target, value)
        yield counter
    starts = CounterMetricFamily("phasegate_part_starts", "How often a part was started.", labels=["target", "part"])
    for part, count in sorted(standing.parts.items()):
        starts.add_metric([standing.target, part], count)
    yield starts


def _of_verdicts(standing: Standing) -> Iterator[Any]:
    """The last judged window: 1 for the status that each SLO has, and the values that were measured."""
    from prometheus_client.core import GaugeMetricFamily

    phase = standing.last_pass.get("phase", "")
    status = GaugeMetricFamily(
        "phasegate_slo_status", "1 for the status of the last verdict.", labels=["target", "phase", "slo", "status"]
    )
    value = GaugeMetricFamily("phasegate_slo_value", "Value, in the SLO's unit.", labels=["target", "phase", "slo"])
    for slo, row in standing.last_pass.get("slos", {}).items():
        for verdict in VERDICTS:
            status.add_metric([standing.target, phase, slo, verdict], float(row["status"] == verdict))
        if row["value"] is not None:
            value.add_metric([standing.target, phase, slo], row["value"])
    yield status
    yield value


def _of_receivers(received: Mapping[str, Mapping[str, int]]) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily

    names = sorted({name for counts in received.values() for name in counts})
    for name in names:
        family = CounterMetricFamily(f"phasegate_receiver_{name}", f"Of receivers: {name}.", labels=["source"])
        for source, counts in sorted(received.items()):
            family.add_metric([source], counts.get(name, 0))
        yield family
