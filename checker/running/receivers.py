"""The receivers that a policy's sources ask for, served side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from checker.collector.places import Places
from checker.policy.collecting import Collector, OtlpRule
from checker.running.serving import Address, serve


@dataclass(slots=True)
class Receivers:
    """Open receivers by the name of their source; where each listens."""

    apps: dict[str, Any] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """What each receiver has counted, by source."""
        return {name: app.counts() for name, app in self.apps.items()}


@contextmanager
def open_receivers(collector: Collector, places: Places) -> Iterator[Receivers]:
    """Serve every OTLP source of the policy. Raises UsageError where an address is taken."""
    opened = Receivers()
    with ExitStack() as stack:
        for rule in collector.sources:
            if isinstance(rule, OtlpRule):
                raise NotImplementedError((stack, serve, Address, places))
        yield opened
