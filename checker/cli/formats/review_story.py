"""What a review tells, as sections of cells, the most important first; each renderer escapes them as it must. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from checker.cli.formats.review_replay import replay_sections
from checker.cli.formats.review_section import Attachment, Row, Section
from checker.cli.formats.review_sights import sight_section, sweep_section
from checker.cli.formats.review_words import (
    NONE,
    Cells,
    Word,
    away,
    caught_later,
    concerned_unseen,
    gravest_first,
    minute,
    missing_roles,
    no_longer_caught,
    place_text,
    signer,
)
from checker.governance.direction import Change
from checker.governance.reviewed import Consequences, IncidentOutcome, Required, Review, Signed
from checker.reporter.shell import command_line

_MADE_UP = Word(" (over made-up values)")
_FORMATTED = Word(" (both formatted alike; not the file's own lines)")


def sections(review: Review) -> list[Section]:
    """Every section that has something to say, in the order of importance."""
    found = (
        _lost(review),
        _asked(review),
        _present(review),
        _changes(review),
        _warnings(review),
        _not_looked_at(review),
        *replay_sections(review),
        sight_section(review.sights if review.changes else ()),
        *map(sweep_section, review.sweeps),
    )
    return [section for section in found if section.lines or section.rows]


def attachments(review: Review) -> list[Attachment]:
    """The differences of the changes, the gravest first, then those of the notices."""
    told = [_attached(change) for change in gravest_first(review.changes) if change.notes or change.diff]
    return told + [
        Attachment(
            (Word("notice "), row.notice, Word(", phase "), row.phase, Word(": "), row.situation, _MADE_UP),
            (),
            row.diff,
        )
        for row in review.templates
    ]


def _attached(change: Change) -> Attachment:
    told = _FORMATTED if change.kind == "query" and change.diff else Word("")
    return Attachment((Word(f"{change.direction.value}: "), change.subject, told), change.notes, change.diff)


def _lost(review: Review) -> Section:
    """What the change stops catching, or catches later: first of all that is told."""
    lines = [_lost_line(row) for row in no_longer_caught(review)]
    lines += [_late_line(row) for row in caught_later(review)]
    return Section("lost", "Past incidents that this change no longer catches in time", tuple(lines), is_alarm=True)


def _lost_line(row: IncidentOutcome) -> Cells:
    told = f": no longer caught; base would have rolled back at {minute(row.base.caught_at)} UTC"
    return (*_named(row), Word(told))


def _late_line(row: IncidentOutcome) -> Cells:
    told = f": caught at {minute(row.head.caught_at)} UTC, by base at {minute(row.base.caught_at)}"
    return (*_named(row), Word(told))


def _named(row: IncidentOutcome) -> Cells:
    return (row.id, Word(" (phase "), row.phase, Word(", "), row.title, Word(")"))


def _asked(review: Review) -> Section:
    heads = ("role", "asked for", "missing", "why")
    rows = tuple(map(_required, review.approvals.required))
    digest = (Word("An approval is bound to "), review.approvals.digest)
    lines = (digest, *_to_type(review), *((Word("Problem: "), problem) for problem in review.approvals.problems))
    return Section("approvals", "Approvals asked for", lines if rows or len(lines) > 1 else (), heads, rows)


def _to_type(review: Review) -> Iterator[Cells]:
    """The command that gives what is missing, for each role."""
    base, digest = review.base.name, review.approvals.digest[:12]
    for role in missing_roles(review):
        words = ("phasegate", "approve", "--base", base, "--digest", digest, "--role", role)
        yield Word("To approve: "), f"{command_line(words)} --reason … --key FILE"


def _required(row: Required) -> Row:
    return row.role, Word(row.count), Word(row.missing) if row.missing else Word("none"), row.why


def _present(review: Review) -> Section:
    heads = ("role", "who", "signed", "until", "counts", "reason")
    rows = tuple(map(_signed, review.approvals.present))
    return Section("present", "Approvals present", (), heads, rows)


def _signed(row: Signed) -> Row:
    counts = Word("yes") if row.refused is None else f"no: {row.refused}"
    return row.role, signer(row), minute(row.signed_at), minute(row.expires_at), counts, row.reason


def _changes(review: Review) -> Section:
    heads = ("direction", "what", "before", "after", "where", "why")
    rows = tuple(_change(change) for change in gravest_first(review.changes))
    return Section("changes", "Changes", (), heads, rows)


def _change(change: Change) -> Row:
    phases = f" (phase{'s' * (len(change.phases) > 1)} {', '.join(change.phases)})" if change.phases else ""
    return (
        Word(change.direction.value),
        change.subject + phases,
        NONE if change.before is None else change.before,
        NONE if change.after is None else change.after,
        place_text(change.place),
        change.why,
    )


def _warnings(review: Review) -> Section:
    return Section("warnings", "Warnings", tuple((text,) for text in review.warnings))


def _not_looked_at(review: Review) -> Section:
    return Section("not-looked-at", "What was not looked at", tuple(_unseen(review)))


def _options(phase: str, told: Consequences, *, is_concerned: bool) -> Cells:
    """The options that have a phase judged by the events of one that was replayed."""
    lent = next((row.events_of for row in told.replays if row.base or row.head), None)
    if not is_concerned or lent is None or any(row.phase == phase for row in told.replays):
        return ()
    return Word("; to see what the change does there: "), command_line(("--phase", phase, "--events-of", lent))


def _unseen(review: Review) -> Iterator[Cells]:
    yield from ((text,) for text in review.not_looked_at)
    told = review.consequences
    if told is None:
        if review.changes:
            yield (Word("no past logs were replayed: nothing is known of the consequences"),)
        return
    concerned = concerned_unseen(review)
    for phase, why in told.not_replayed.items():
        yield (
            Word("phase "),
            phase,
            Word(" was not replayed: "),
            why,
            *_options(phase, told, is_concerned=phase in concerned),
        )
    for row in told.incidents:
        if not row.is_in_span:
            yield *_named(row), Word(": "), *away(row, review)
