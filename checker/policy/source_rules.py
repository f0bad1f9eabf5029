"""What the collector's sources ask of each other and of the rest of the policy."""

from __future__ import annotations

from collections.abc import Iterator

from checker.policy.collecting import FILES, OTLP, OTLP_FILES, PROMETHEUS
from checker.policy.cursor import Cursor, unknown
from checker.policy.durations import DAY
from checker.policy.model import MAX_SOURCE_DEADLINE
from checker.schemas import Fault, listed, nearest

OWN_SOURCE, CARRIED = "collector", "carried"  # what the collector has to say, and what it read ahead of its window

_COMMON = ("name", "kind", "deadline", "alongside")
_KEYS = {  # by kind: the keys that go with it, those that must be there
    FILES: (("paths", "optional", "read_from"), ("paths",)),
    OTLP_FILES: (("paths", "optional", "read_from", "fields"), ("paths", "fields")),
    OTLP: (("listen", "max_request_mb", "fields"), ("fields",)),
    PROMETHEUS: (("url", "bearer_token_env", "metrics"), ("url", "metrics")),
}
_OF_A_METRIC = ("schema_version", "ts", "event", "name", "value")  # fields that no label may stand for
_ALWAYS = ("event", "phase")  # fields that every mapping must give: `ts` is the record's time where none is named


def source_faults(policy: Cursor) -> Iterator[Fault]:
    """Sources with keys of another kind, a name or an address that another has, or an SLO that there is not."""
    slos = tuple(policy.at("slos").entries)
    names: dict[str, int] = {}
    addresses: dict[str, int] = {}
    for index, source in enumerate(policy.at("collector", "sources").items):
        yield from _key_faults(source)
        yield from _label_faults(source)
        yield from _taken(source.at("name"), names, index, "name")
        if source.at("kind").text == OTLP:
            yield from _taken(source.at("listen"), addresses, index, "address", otherwise="the default address")
        if source.at("name").text in (OWN_SOURCE, CARRIED):
            yield source.at("name").fault(
                f"{source.at('name').text!r} is the collector's own word; choose another name"
            )
        slo = source.at("alongside")
        if slo.text is not None and slo.text not in slos:
            yield slo.fault(unknown("SLO", slo.text, slos, nearest(slo.text, slos)))
        if any(mark in (source.at("url").text or "") for mark in "@?#"):  # not shown: there may be a password in it
            told = "holds a user, a query or a fragment; a token comes from the environment (bearer_token_env)"
            yield source.at("url").fault(told)
        deadline = source.at("deadline")
        if deadline.duration and deadline.duration > MAX_SOURCE_DEADLINE:
            yield deadline.fault(f"{deadline.value} is longer than a cycle can wait for a source; write at most 5m")
    yield from _before_faults(policy.at("collector", "volume", "before"))


def _before_faults(before: Cursor) -> Iterator[Fault]:
    if before.duration and before.duration % DAY:
        yield before.fault("the same hour before lies whole days back; write 24h or 7d, say")


def _key_faults(source: Cursor) -> Iterator[Fault]:
    kind = source.at("kind").text
    if kind not in _KEYS:
        return
    own, needed = _KEYS[kind]
    for key, place in source.entries.items():
        if key not in (*_COMMON, *own) and any(key in keys for keys, _ in _KEYS.values()):
            told = f"a source of kind {kind!r} has no {key!r} (known: {listed((*_COMMON, *own))})"
            yield place.key_fault(told)
    for key in needed:
        if key not in source.entries:
            yield source.key_fault(f"a source of kind {kind!r} needs {key!r}")
    fields = source.at("fields")
    if "fields" in own and fields.entries:
        for name in _ALWAYS:
            if name not in fields.entries:
                yield fields.key_fault(f"every event has {name!r}; say where it comes from")


def _label_faults(source: Cursor) -> Iterator[Fault]:
    for metric in source.at("metrics").items:
        for field, label in metric.at("labels").entries.items():
            if field in _OF_A_METRIC:
                yield label.key_fault(f"{field!r} is what the event itself says; map the label to another field")


def _taken(place: Cursor, seen: dict[str, int], index: int, what: str, otherwise: str = "") -> Iterator[Fault]:
    value = place.text or otherwise
    if value and value in seen:
        told = f"{value!r} is already the {what} of sources[{seen[value]}]; choose another"
        yield place.fault(told) if place.text else place.key_fault(told)
    elif value:
        seen[value] = index
