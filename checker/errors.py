"""What a user can do wrong or meet. Each class carries the exit code of the contract."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault in a governed file: where it is, what was found, what was expected.

    `line` and `column` count from 1; 0 means that the fault has no line (a missing file, say).
    """

    path: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        position = "".join(f":{number}" for number in (self.line, self.column) if number)
        # a file's name may hold a line break, which would begin a line of its own
        return f"{self.path}{position}: {self.message}".replace("\n", "\\n")


class PhasegateError(Exception):
    """Base of every error that is told to the user without a traceback."""

    exit_code = 70


class UsageError(PhasegateError):
    """The command was called in a way that makes no sense: an unknown phase, say."""

    exit_code = 2


class GovernedFilesInvalid(PhasegateError):
    """Governed files are faulty; `problems` holds every fault, in the order of their places."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        lines = [str(problem) for problem in self.problems]
        super().__init__("\n".join([*lines, f"{count} {noun} in the governed files; nothing was checked"]))


class LedgerInvalid(PhasegateError):
    """The ledger cannot be trusted: a line is broken or does not follow its schema."""

    exit_code = 3


class NotRecorded(PhasegateError):
    """The ledger could not be written: another process writes it, or the disk is full. Nothing was acted upon."""

    exit_code = 4


class Refused(PhasegateError):
    """A person's command is not allowed as things stand; nothing was recorded but what the message says."""

    exit_code = 1


class CannotDecide(PhasegateError):
    """Nothing could be measured, so nothing can be said; never a pass."""

    exit_code = 3


class TooMuchToLoad(CannotDecide):
    """What a query would read does not fit into memory; a part of it may."""


class QueryFailed(PhasegateError):
    """A governed query failed when it ran, broke its contract or went over a limit.

    `line` is where in the query, from 1; 0 where that is not known.
    """

    exit_code = 3

    def __init__(self, message: str, line: int = 0) -> None:
        self.line = line
        super().__init__(message)


class QueryStopped(QueryFailed):
    """A governed query ended without an answer; smaller portions would as well, one after the other."""


class QueryTimedOut(QueryStopped):
    """A governed query was stopped at its deadline."""


class QueryDied(QueryStopped):
    """The process that ran a governed query died of it, or no longer answers as it should."""
