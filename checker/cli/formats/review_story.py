"""What a review tells, as sections of cells, the most important first; each renderer escapes them as it must. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from checker.cli.formats.review_replay import replay_sections
from checker.cli.formats.review_section import Attachment, Row, Section
from checker.cli.formats.review_sights import sight_section, sweep_section
from checker.cli.formats.review_words import (
    NONE,
    Cells,
    Word,
    caught_later,
    concerned_unseen,
    gravest_first,
    minute,
    missing_roles,
    no_longer_caught,
    place_text,
)
from checker.governance.direction import Change
from checker.governance.reviewed import IncidentOutcome, Required, Review, Signed


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
        sight_section(review.sights),
        *map(sweep_section, review.sweeps),
    )
    return [section for section in found if section.lines or section.rows]


def attachments(review: Review) -> list[Attachment]:
    """The differences of the changes, the gravest first, then those of the notices."""
    told = [_attached(change) for change in gravest_first(review.changes) if change.notes or change.diff]
    return told + [
        Attachment((Word("notice "), row.notice, Word(", phase "), row.phase, Word(": "), row.situation), (), row.diff)
        for row in review.templates
    ]


def _attached(change: Change) -> Attachment:
    return Attachment((Word(f"{change.direction.value}: "), change.subject), change.notes, change.diff)


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
    """The command that gives what is missing."""
    for role in missing_roles(review):
        words = ["phasegate", "approve", f"--base={review.base.name}", f"--digest={review.approvals.digest[:12]}"]
        yield Word("To approve: "), shlex.join([*words, f"--role={role}", "--reason=WHY", "--key=FILE"])
        return


def _required(row: Required) -> Row:
    return row.role, Word(row.count), Word(row.missing) if row.missing else Word("none"), row.why


def _present(review: Review) -> Section:
    heads = ("role", "who", "signed", "until", "counts", "reason")
    rows = tuple(map(_signed, review.approvals.present))
    return Section("present", "Approvals present", (), heads, rows)


def _signed(row: Signed) -> Row:
    counts = Word("yes") if row.refused is None else f"no: {row.refused}"
    return row.role, _who(row), minute(row.signed_at), minute(row.expires_at), counts, row.reason


def _who(row: Signed) -> str:
    """Whose key it is; the name in the approval is only what they call themselves."""
    return f"{', '.join(row.principals)} (as {row.name})" if row.principals else f"not known (as {row.name})"


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


def _unseen(review: Review) -> Iterator[Cells]:
    yield from ((text,) for text in review.not_looked_at)
    told = review.consequences
    if told is None:
        if review.changes:
            yield (Word("no past logs were replayed: nothing is known of the consequences"),)
        return
    yield from ((Word("phase "), phase, Word(" was not replayed: "), why) for phase, why in told.not_replayed.items())
    lent = next((row.events_of for row in told.replays if row.head), None)
    for phase in concerned_unseen(review) if lent else ():
        yield Word("to see what it does there: "), f"--phase={phase} --events-of={lent}"
    for row in told.incidents:
        if not row.is_in_span:
            away = row.phase in told.not_replayed
            yield *_named(row), Word(": its phase was not replayed" if away else ": outside of the logs replayed")
