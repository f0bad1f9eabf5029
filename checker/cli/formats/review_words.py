"""Words of a review that all its renderers share: cells, texts of values, the verdict in one line. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from checker.governance.direction import Change, Direction, Place
from checker.governance.reviewed import Flip, IncidentOutcome, Review, Signed, VerdictFlip
from checker.model import Comparison, Status, Threshold, Verdict, Window
from checker.reporter.shell import command_line
from checker.units import counted, limit_text, number, value_text, with_unit
from checker.windows import iso, stamp

FULL_PAGE = "phasegate review --format html"


class Word(str):
    """A text that is ours: it holds nothing from a repository, and every renderer may write it as it is."""

    __slots__ = ()


NONE = Word("–")


@dataclass(frozen=True, slots=True)
class WindowRef:
    """A window of a phase, which a reader can go to."""

    phase: str
    window: Window

    @property
    def text(self) -> str:
        """Its start, in UTC."""
        return f"{self.window.start:%Y-%m-%d %H:%M}"

    @property
    def anchor(self) -> str:
        """Its name in the page: `C-20140307T033000Z`."""
        return f"{quote(self.phase, safe='', errors='replace')}-{stamp(self.window.start)}"

    def command(self, source: tuple[str, ...] = ()) -> str:
        """The command that explains it; `source` are options that a command must repeat."""
        return command_line(
            ("phasegate", "explain", "--phase", self.phase, "--window", iso(self.window.start), *source)
        )


# A text is from the repository and is escaped, unless it is a Word.
Cell = str | WindowRef
Cells = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class ReviewOptions:
    """What a renderer is told beside the review: where its page will be, and what a terminal can show.

    `source` are the options that made the call look where it looked: a command to look further repeats them.
    """

    page_url: str | None = None
    colour: bool = False
    width: int = 80
    source: tuple[str, ...] = ()


def bare(cells: Cells) -> str:
    """Cells as one text, as they are: it is the caller's to escape."""
    return "".join(cell.text if isinstance(cell, WindowRef) else cell for cell in cells)


def verdict(review: Review) -> Cells:
    """`LOOSENING: approval missing (SRE)`, `LOOSENING: approved`, `TIGHTENING: no approval needed`."""
    head = review.direction.value.upper()
    if not review.changes:
        return (Word(f"{head}: nothing that was compared has changed"),)
    if not review.direction.needs_approval:
        return (Word(f"{head}: no approval needed"),)
    if review.passed:
        return (Word(f"{head}: approved"),)
    missing = missing_roles(review)
    if not missing:
        return (Word(f"{head}: not approved: nobody but the authors has approved"),)
    return (Word(f"{head}: approval missing ("), *_listed(missing), Word(")"))


def missing_roles(review: Review) -> dict[str, int]:
    """How many people of each role still have to approve."""
    missing: dict[str, int] = {}
    for row in review.approvals.required:
        if row.missing > 0:
            missing[row.role] = max(row.missing, missing.get(row.role, 0))
    return missing


def _with_commas(texts: list[str]) -> Iterator[Cell]:
    for position, text in enumerate(texts):
        yield from (Word(", "), text) if position else (text,)


def _listed(missing: dict[str, int]) -> Iterator[Cell]:
    for position, (role, count) in enumerate(missing.items()):
        yield from (Word(", "), role) if position else (role,)
        if count > 1:
            yield Word(f" × {count}")


def totals(review: Review) -> list[Cells]:
    """What follows from the change, counted: `3 changes`, `13 judgements flip`, `1 past incident no longer caught`.

    A phase that the change concerns and that was not replayed is named before anything that the replay shows.
    """
    changes = Word(counted(len(review.changes), "change"))
    if review.consequences is None:
        return [(changes,), (Word("nothing replayed"),)]
    unseen = concerned_unseen(review)
    return [(changes,), *([_unseen_text(unseen)] if unseen else []), *((Word(text),) for text in _counts(review))]


def totals_text(review: Review) -> str:
    """`totals` in one line, as they are: it is the caller's to escape."""
    return " · ".join(map(bare, totals(review)))


def _counts(review: Review) -> Iterator[str]:
    flips = len(review.consequences.flips) if review.consequences else 0
    none = "no judgement flips" + " in the phases that were replayed" * bool(concerned_unseen(review))
    yield f"{counted(flips, 'judgement')} {'flips' if flips == 1 else 'flip'}" if flips else none
    for word, count in rollback_changes(review).items():
        yield f"{counted(count, 'rollback')} {word}"
    for rows, word in ((no_longer_caught(review), "no longer caught"), (caught_later(review), "caught later")):
        if rows:
            yield f"{counted(len(rows), 'past incident')} {word}"


def _unseen_text(phases: list[str]) -> Cells:
    one = len(phases) == 1
    which, were = Word(", which this change concerns, "), Word("was not replayed" if one else "were not replayed")
    return (Word("phase " if one else "phases "), *_with_commas(phases), which, were)


def concerned_unseen(review: Review) -> list[str]:
    """The phases that a change concerns and that were not replayed: what it does there is not known."""
    left_out = review.consequences.not_replayed if review.consequences else {}
    judging = [change for change in review.changes if not _is_words(change)]
    concerned = {phase for change in judging for phase in change.phases or left_out}
    return [phase for phase in left_out if phase in concerned]


def _is_words(change: Change) -> bool:
    """Whether no replay of any phase could show what the change does."""
    return change.direction is Direction.NEUTRAL or change.kind in ("template", "signers")


def rollback_changes(review: Review) -> dict[str, int]:
    """How many windows ask for a rollback that did not, and the other way round; only what there is."""
    flips = review.consequences.verdict_flips if review.consequences else ()
    found = Counter(word for row in flips if (word := rollback_word(row)))
    return {word: found[word] for word in ("added", "gone") if found[word]}


def rollback_word(row: VerdictFlip) -> str:
    """`added`, `gone`, or nothing where both or neither ask for one."""
    before, after = row.verdict_before is Verdict.ROLLBACK, row.verdict_after is Verdict.ROLLBACK
    return "" if before is after else "added" if after else "gone"


def no_longer_caught(review: Review) -> tuple[IncidentOutcome, ...]:
    """Past incidents that base would have rolled back and head would not."""
    return tuple(row for row in _in_span(review) if row.base.caught_at and not row.head.caught_at)


def caught_later(review: Review) -> tuple[IncidentOutcome, ...]:
    """Past incidents that head catches later than base does."""
    found = ((row, row.base.caught_at, row.head.caught_at) for row in _in_span(review))
    return tuple(row for row, base, head in found if base and head and head > base)


def away(row: IncidentOutcome, review: Review) -> Cells:
    """Why an incident that is not in the span cannot be told."""
    if review.consequences and row.phase in review.consequences.not_replayed:
        return Word("phase "), row.phase, Word(" was not replayed")
    return (Word("outside of the logs replayed"),)


def _in_span(review: Review) -> Iterator[IncidentOutcome]:
    incidents = review.consequences.incidents if review.consequences else ()
    return (row for row in incidents if row.is_in_span)


def gravest_flips(rows: tuple[Flip, ...]) -> list[Flip]:
    """The flips, those between a violation and none first, then those of what cannot be told; equals by time."""
    return sorted(rows, key=lambda row: (_mildness(row), row.window, row.phase))


def _mildness(row: Flip) -> int:
    statuses = {row.before, row.after}
    return 0 if Status.VIOLATION in statuses else 1 if statuses & {Status.ERROR, Status.NO_DATA} else 2


def signer(row: Signed) -> str:
    """`sre@autosave.example (calls itself root)`: whose key it is; the name in an approval is only what it says."""
    return f"{', '.join(row.principals) or 'not known'} (calls itself {row.name})"


def gravest_first(changes: tuple[Change, ...]) -> list[Change]:
    """The changes, `unknown` first; equals in their own order."""
    return sorted(changes, key=lambda change: -change.direction.severity)


def needs(review: Review, direction: Direction) -> bool:
    """Whether a change of this direction still waits for an approval."""
    return direction.needs_approval and not review.passed


def place_text(place: Place) -> str:
    """`policy/policy.yaml:31`; ` (base)` where head has no such line."""
    line = f":{place.line}" if place.line else ""
    return f"{place.path}{line}{'' if place.side == 'head' else ' (base)'}"


def changed_text(change: Change) -> str:
    """`≤ 1.8 s → ≤ 2.0 s`; `added`, `removed` where one side has nothing."""
    match change.before, change.after:
        case None, None:
            return "changed"
        case None, after:
            return f"added: {after}"
        case before, None:
            return f"removed: {before}"
        case before, after:
            return f"{before} → {after}"


def status_word(status: Status) -> Word:
    """`no data` for `no_data`."""
    return Word(status.value.replace("_", " "))


def minute(instant: datetime | None) -> Word:
    """`2014-03-07 03:30`, `never`."""
    return Word(f"{instant:%Y-%m-%d %H:%M}" if instant else "never")


def span_text(length: timedelta | None) -> str:
    """`45 min`, `2 h 15 min`; a minus where it is negative, nothing where it is unknown."""
    if length is None:
        return ""
    minutes = round(length.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    parts = [f"{hours:,} h"] * bool(hours) + [f"{rest} min"] * (bool(rest) or not hours)
    return ("−" if minutes < 0 else "") + " ".join(parts)


def value_beside(value: float | None, unit: str, limit: float | None, other: float | None) -> str:
    """A value on its side of the limit, and told from the other side's value."""
    if value is not None and other is not None and value != other:
        limits = [other] if limit is None else [limit, other]
        return with_unit(number(value, limits), unit)
    return value_text(value, unit, Threshold(Comparison.LTE, limit)) if limit is not None else _bare(value, unit)


def _bare(value: float | None, unit: str) -> str:
    return str(NONE) if value is None else with_unit(number(value), unit)


def limit_beside(limit: float | None, unit: str, other: float | None) -> str:
    """A limit with the decimals of the other side's."""
    return str(NONE) if limit is None else limit_text(limit, unit, [limit if other is None else other])


def percent(share: float | None) -> str:
    """`5 %` of 0.05; `–` where there is none."""
    return str(NONE) if share is None else f"{number(share * 100)} %"


def arrow(before: str, after: str) -> str:
    """`1.8 s → 2.0 s`, or once what is the same."""
    return before if before == after else f"{before} → {after}"
