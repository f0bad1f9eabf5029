"""A review from end to end: compare, replay, weigh, and ask who must approve. What it gives is a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from checker.analyzer.batches import LogFolder
from checker.analyzer.governed import Governed
from checker.errors import CannotDecide, UsageError
from checker.governance import approval_document
from checker.governance.approval_files import entries_of, find_approvals, names_of_approvals
from checker.governance.approval_subjects import Reviewed, base_digest, signers_digest
from checker.governance.approvals import approvals_of
from checker.governance.beside_policy import INCIDENTS
from checker.governance.flips import flips, gate_pass, samples_of, value_changes, verdict_flips
from checker.governance.incident_file import read_incidents
from checker.governance.past_incidents import PastIncident, outcomes
from checker.governance.reviewed import Approvals, Consequences, PhaseReplay, Review, Side, Sweep
from checker.governance.sight import sights
from checker.governance.signatures import SIGNERS, verifier
from checker.governance.sweep import default_limits, sweep
from checker.reviewing.compare import PINNED, Compared
from checker.reviewing.not_looked_at import judged_paths, not_looked_at
from checker.reviewing.replaying import Span, events_by_phase, populations, replayed, telemetry_of, with_cache
from checker.reviewing.revision import Revision
from checker.schemas import listed, nearest
from checker.windows import iso

_LONGEST_ENGINE = 500  # characters, as schemas/approvals.schema.json has it
NO_EVENTS = "the logs have no event of it; give --events-of to judge it by another phase's events"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a review is asked beside the two revisions.

    `changed` are the paths that differ between them, `authors` who made the change, `sweeps` SLOs by name, `incidents`
    a file of past incidents (None: the base's own, where it has one). `warnings` are passed on.
    """

    changed: tuple[str, ...]
    authors: frozenset[str]
    as_of: datetime
    sweeps: tuple[str, ...] = ()
    incidents: Path | None = None
    warnings: tuple[str, ...] = ()


def reviewed_of(compared: Compared) -> Reviewed:
    """What an approval of this change is given for."""
    base, head = compared.base, compared.head
    return Reviewed(
        governed_digest=compared.after.governed_digest,
        signers_digest=signers_digest(head.signers),
        base_digest=base_digest(compared.before.governed_digest, base.signers),
        direction=compared.direction.value,
        engine=_engine(compared),
    )


def _engine(compared: Compared) -> str:
    """The version that runs here; where a file pins another than base's does, what both pin as well."""
    pins = [change for change in compared.changes if change.kind == "engine" and change.place.path in PINNED]
    told = [f"{pin.place.path}: {pin.before or 'none'} to {pin.after or 'none'}" for pin in pins]
    text = "; ".join([compared.after.engine, *told])
    if len(text) > _LONGEST_ENGINE:
        return f"{compared.after.engine}; pins of SHA-256 {sha256(text.encode()).hexdigest()}"
    return text


def review(compared: Compared, span: Span | None, asked: Asked) -> Review:
    """The whole review. Without `span` nothing is replayed.

    Raises UsageError for an SLO or a phase that there is not, GovernedFilesInvalid for past incidents that are none,
    CannotDecide where nothing of the span could be replayed.
    """
    _check_names(compared, span, asked)
    consequences = None if span is None else consequences_of(compared, span, asked)
    replays = consequences.replays if consequences else ()
    policy = compared.after.policy
    sight = policy.governance.sight
    gate_queries = [change.subject for change in compared.changes if change.subject.startswith("queries/gate/")]
    judged = (
        judged_paths(compared.before)
        | judged_paths(compared.after)
        | {f"{policy.path.parent.name}/{name}" for name in (SIGNERS, INCIDENTS)}
    )
    return Review(
        target=policy.target,
        title=policy.title,
        base=_side(compared.base, compared.before),
        head=_side(compared.head, compared.after),
        engine=compared.after.engine,
        direction=compared.direction,
        changes=compared.changes,
        templates=compared.templates,
        consequences=consequences,
        sights=sights(policy, samples_of(replays), sight.confidence, sight.blind_past),
        sweeps=tuple(_sweeps(compared, replays, asked.sweeps)),
        approvals=_approvals(compared, asked),
        not_looked_at=tuple(
            not_looked_at(_others(asked.changed, policy.path.parent.name), judged, consequences, gate_queries)
        ),
        warnings=(*asked.warnings, *_begun_anew(compared)),
    )


def _begun_anew(compared: Compared) -> Iterator[str]:
    """What also a change that is proved to judge the same does to a rollout that is under way."""
    if compared.before.judging_digest != compared.after.judging_digest:
        yield (
            "the judging digest changes: once this is merged, streaks start anew, and approvals of an advance that "
            "were given before are void; a replay does not show it"
        )


def _side(revision: Revision, governed: Governed) -> Side:
    return Side(revision.name, revision.commit, governed.governed_digest, governed.judging_digest)


def _others(changed: Sequence[str], folder: str) -> list[str]:
    """The changed paths without the approvals, which are looked at for themselves."""
    return [path for path in changed if not path.startswith(f"{folder}/{approval_document.FOLDER}/")]


def _check_names(compared: Compared, span: Span | None, asked: Asked) -> None:
    policy = compared.after.policy
    phases = tuple(dict.fromkeys([*compared.before.policy.phase_names, *policy.phase_names]))
    given = (*span.phases, *([span.events_of] if span.events_of else [])) if span else ()
    for kind, names, known in (("--phase", given, phases), ("--sweep", asked.sweeps, tuple(policy.slos))):
        for name in names:
            if name not in known:
                raise UsageError(f"{kind}: the policy has no {name!r}{nearest(name, known)} (it has {listed(known)})")


def _approvals(compared: Compared, asked: Asked) -> Approvals:
    reviewed = reviewed_of(compared)
    base = compared.before.policy
    verify = verifier(compared.base.signers, asked.as_of)
    found = find_approvals(compared.after.policy, reviewed.digest, names_of_approvals(base))
    spent = entries_of(base, reviewed.digest)
    return approvals_of(base, reviewed, compared.changes, found, verify, asked.authors, asked.as_of, spent)


def consequences_of(compared: Compared, span: Span, asked: Asked) -> Consequences:
    """What base and head decide over the same logs. Raises CannotDecide where no window could be replayed."""
    before, after = compared.before, compared.after
    with with_cache(span) as shared:
        telemetry = telemetry_of(after, shared)
        seen = events_by_phase(after, shared, telemetry)
        is_read_alike = before.rules.digest == after.rules.digest
        was = seen if is_read_alike else events_by_phase(before, shared, telemetry_of(before, shared))
        phases, left_out = _phases(compared, shared, {**was, **seen})
        replays = tuple(replayed(before, after, shared, phase) for phase in phases)
        rows = tuple(populations(before, after, _changed_queries(compared), shared, telemetry, phases))
    if not any(replay.base or replay.head for replay in replays):
        raise CannotDecide(_nothing_replayed(span))
    units = {slo.name: slo.unit for slo in (*before.policy.slos.values(), *after.policy.slos.values())}
    if before.policy.window != after.policy.window:
        left_out = {**left_out, **dict.fromkeys(phases, "the window's length changed; no two windows can be compared")}
    incidents = _incidents(compared, asked)
    lateness = before.policy.lateness, after.policy.lateness
    met, false_alarms = outcomes(incidents, replays, lateness)
    return Consequences(
        since=span.since,
        until=span.until,
        source=span.source,
        events=sum(seen.values()),
        replays=replays,
        flips=tuple(flip for replay in replays for flip in flips(replay, units)),
        verdict_flips=tuple(flip for replay in replays for flip in verdict_flips(replay)),
        gates=tuple(gate_pass(replay, lateness) for replay in replays),
        values=tuple(row for replay in replays for row in value_changes(replay, units)),
        populations=rows,
        incidents=met,
        false_alarms=false_alarms if incidents else None,
        not_replayed=left_out,
    )


def _nothing_replayed(span: Span) -> str:
    """Why no window could be replayed: what was asked for, and what the logs hold."""
    starts = [batch.start for batch in LogFolder(span.logs).batches]
    there = f"its batches reach from {iso(starts[0])} to {iso(starts[-1])}" if starts else "it has no batch"
    asked = f"asked for was {iso(span.since)} to {iso(span.until)}, as of {iso(span.as_of)}"
    return f"no window of {span.source} could be replayed: {there}, {asked}; look at --since, --until and --phase"


def _phases(compared: Compared, span: Span, seen: Mapping[str, int]) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The phases to replay, and why others are not."""
    names = tuple(dict.fromkeys([*compared.before.policy.phase_names, *compared.after.policy.phase_names]))
    wanted = tuple(dict.fromkeys(span.phases or names))
    lacking = {name for name in wanted if not seen.get(span.events_of or name)}
    replayed_ones = tuple(name for name in wanted if name not in lacking)
    others = {name: NO_EVENTS for name in names if name in lacking}
    return replayed_ones, others | {name: "--phase leaves it out" for name in names if name not in wanted}


def _changed_queries(compared: Compared) -> list[tuple[str, str]]:
    """SLO queries whose tree changed, as base's path and head's."""
    changed = {change.subject for change in compared.changes if change.rule == "query-tree"}
    slos = compared.after.policy.slos.values()
    known = compared.before.policy.slos
    pairs = [(known[slo.name].query, slo.query) for slo in slos if slo.name in known]
    return [pair for pair in dict.fromkeys(pairs) if f"queries/{pair[1]}" in changed]


def _incidents(compared: Compared, asked: Asked) -> tuple[PastIncident, ...]:
    """The past incidents: of the file that was named, else the base's and what head adds to them.

    A change cannot make an incident unhappen, nor move it.
    """
    if asked.incidents is not None:
        return read_incidents(asked.incidents, str(asked.incidents))
    found: dict[str, PastIncident] = {}
    for revision in (compared.head, compared.base):
        place = revision.policy.parent / INCIDENTS
        if place.is_file():
            found |= {row.id: row for row in read_incidents(place, f"{place.parent.name}/{INCIDENTS}")}
    return tuple(sorted(found.values(), key=lambda row: (row.start, row.id)))


def _sweeps(compared: Compared, replays: Sequence[PhaseReplay], names: Sequence[str]) -> Iterator[Sweep]:
    policy = compared.after.policy
    for name in dict.fromkeys(names):
        for replay in replays:
            if replay.head:
                slo = policy.slos[name]
                limits = default_limits(slo, replay.phase, replay.head)
                yield sweep(policy, slo, replay.phase, replay.head, limits)
