"""The receivers that a policy's sources ask for, served side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from checker.collector.otlp.receiver import Receiver, check_installed
from checker.collector.places import Places
from checker.policy.collecting import Collector, OtlpRule
from checker.running.serving import Address, check_free, serve


@dataclass(slots=True)
class Receivers:
    """Open receivers by the name of their source; where each listens."""

    apps: dict[str, Receiver] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """What each receiver has counted, by source."""
        return {name: app.counts() for name, app in self.apps.items()}


def check_receivers(collector: Collector) -> None:
    """Raises UsageError where a receiver that the policy asks for could not be opened: what is missing, or taken."""
    for rule in collector.sources:
        if isinstance(rule, OtlpRule):
            check_installed(rule.name)
            check_free(Address(rule.host, rule.port))


@contextmanager
def open_receivers(collector: Collector, places: Places) -> Iterator[Receivers]:
    """Serve every OTLP source of the policy. Raises UsageError where an address is taken."""
    opened = Receivers()
    with ExitStack() as stack:
        for rule in collector.sources:
            if isinstance(rule, OtlpRule):
                app = Receiver(rule, places.spool(rule.name))
                stack.callback(app.close)
                address = Address(rule.host, rule.port)
                served = stack.enter_context(serve(app, address, max_body_bytes=rule.max_request_mb << 20))
                opened.apps[rule.name] = app
                opened.addresses[rule.name] = str(served)
        yield opened
