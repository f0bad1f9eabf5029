"""What base and head decide over the same logs: sections of a review. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from checker.cli.formats.review_section import Row, Section
from checker.cli.formats.review_words import (
    NONE,
    Cells,
    WindowRef,
    Word,
    arrow,
    gravest_flips,
    limit_beside,
    minute,
    rollback_changes,
    rollback_word,
    span_text,
    status_word,
    value_beside,
)
from checker.governance.reviewed import (
    Consequences,
    Detection,
    Flip,
    GatePass,
    IncidentOutcome,
    Population,
    Review,
    ValueChange,
    VerdictFlip,
)
from checker.units import counted

_FLIPS = ("window (UTC)", "phase", "SLO", "judgement", "value", "limit")
_DECISIONS = ("window (UTC)", "phase", "outcome", "decision", "rollback")
_INCIDENTS = ("incident", "phase", "what", "base", "head")
_GATES = ("gate of phase", "first passes under base", "under head", "difference")
_VALUES = ("SLO", "phase", "windows", "largest change", "in the window (UTC)")
_ROWS = ("query", "phase", "rows that entered", "rows that left")


def replay_sections(review: Review) -> Iterator[Section]:
    """The replay in short, then what differs, the most telling first; nothing where nothing was replayed."""
    told = review.consequences
    if told is None:
        return
    rows = sorted(told.verdict_flips, key=lambda row: not rollback_word(row))
    incidents = [row for row in told.incidents if row.is_in_span]
    yield Section("replay", "Replay", tuple(_summary(review, told)))
    yield Section("flips", "Judgements that flip", (), _FLIPS, tuple(map(_flip, gravest_flips(told.flips))))
    title = "Windows whose outcome or decision differs"
    yield Section("decisions", title, (), _DECISIONS, tuple(map(_verdict_flip, rows)))
    yield Section("incidents", "Past incidents", (), _INCIDENTS, tuple(map(_incident, incidents)))
    yield Section("gates", "Gates", (), _GATES, tuple(map(_gate, told.gates)))
    yield Section("values", "Values that differ", (), _VALUES, tuple(map(_value, told.values)))
    yield Section("populations", "Rows that the queries read", (), _ROWS, tuple(map(_population, told.populations)))


def _summary(review: Review, told: Consequences) -> Iterator[Cells]:
    windows = sum(max(len(row.base), len(row.head)) for row in told.replays)
    phases = counted(len(told.replays), "phase")
    span = f"{minute(told.since)} to {minute(told.until)} UTC"
    events = f"{counted(told.events, 'event')} of "
    yield Word(f"{counted(windows, 'window')} of {phases}, {span}, {events}"), told.source
    changes = [_rollbacks(word, count) for word, count in rollback_changes(review).items()]
    yield (Word(f"Rollbacks: {', '.join(changes) or 'the same windows ask for one'}"),)
    if told.false_alarms is not None:
        before, after = told.false_alarms.before, told.false_alarms.after
        alarms = "False alarms (rollbacks outside every past incident, a run of windows counts once)"
        yield (Word(f"{alarms}: {arrow(f'{before:,}', f'{after:,}')}"),)


def _rollbacks(word: str, count: int) -> str:
    """`1 window no longer asks for one`, `2 windows newly ask for one`."""
    how = "newly" if word == "added" else "no longer"
    return f"{counted(count, 'window')} {how} {'asks' if count == 1 else 'ask'} for one"


def _flip(row: Flip) -> Row:
    limits = row.limit_before, row.limit_after
    values = (
        value_beside(row.value_before, row.unit, row.limit_before, row.value_after),
        value_beside(row.value_after, row.unit, row.limit_after, row.value_before),
    )
    told = limit_beside(limits[0], row.unit, limits[1]), limit_beside(limits[1], row.unit, limits[0])
    judged = Word(arrow(status_word(row.before), status_word(row.after)))
    return WindowRef(row.phase, row.window), row.phase, row.slo, judged, arrow(*values), arrow(*told)


def _verdict_flip(row: VerdictFlip) -> Row:
    outcome = arrow(status_word(row.outcome_before), status_word(row.outcome_after))
    decision = arrow(row.verdict_before.value, row.verdict_after.value)
    return WindowRef(row.phase, row.window), row.phase, Word(outcome), Word(decision), Word(rollback_word(row))


def _incident(row: IncidentOutcome) -> Row:
    return row.id, row.phase, row.title, _detection(row.base), _detection(row.head)


def _detection(row: Detection) -> Word:
    late = span_text(row.late)
    return Word(f"caught {minute(row.caught_at)}{f', {late} late' if late else ''}" if row.caught_at else "not caught")


def _gate(row: GatePass) -> Row:
    return row.phase, minute(row.before), minute(row.after), Word(_gate_word(row))


def _gate_word(row: GatePass) -> str:
    match row.before, row.after:
        case None, None:
            return "never passes"
        case None, _:
            return "passes now, never before"
        case _, None:
            return "never passes now"
        case before, after:
            length = after - before
            late = span_text(abs(length))
            return "the same" if not length else f"{late} {'later' if after > before else 'earlier'}"


def _value(row: ValueChange) -> Row:
    values = arrow(
        value_beside(row.before, row.unit, None, row.after), value_beside(row.after, row.unit, None, row.before)
    )
    return row.slo, row.phase, Word(f"{row.windows:,}"), values, WindowRef(row.phase, row.largest_at)


def _population(row: Population) -> Row:
    if row.why:
        return row.query, row.phase, f"not known: {row.why}", NONE
    entered, left = (NONE if count is None else Word(f"{count:,}") for count in (row.entered, row.left))
    return row.query, row.phase, entered, left
