"""The ledger's file, line by line: a regular one, of bounded size, with a bounded number of bounded lines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from checker.errors import LedgerInvalid
from checker.regular import NotRegular, open_regular

MAX_LEDGER_BYTES = 256 << 20
MAX_RECORDS = 500_000
MAX_LINE_BYTES = 1 << 20


@contextmanager
def open_ledger(path: Path, name: str) -> Iterator[IO[bytes]]:
    """The bytes of the ledger in `path`, called `name` in errors.

    Raises FileNotFoundError where there is none; LedgerInvalid where it cannot be read, is not regular, or too large.
    """
    try:
        with open_regular(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
            _check_size(os.fstat(descriptor).st_size)
            yield file
    except FileNotFoundError:
        raise
    except NotRegular as refusal:
        raise _unreadable(name, str(refusal)) from None
    except OSError as error:
        raise _unreadable(name, str(error.strerror)) from error


def _check_size(size: int) -> None:
    if size > MAX_LEDGER_BYTES:
        raise NotRegular(f"It has {size:,} bytes, at most {MAX_LEDGER_BYTES:,} are read; begin a new ledger")


def _unreadable(name: str, why: str) -> LedgerInvalid:
    return LedgerInvalid(f"{name}: cannot be read: {why}; nothing was decided")


def lines_of(stream: IO[bytes]) -> Iterator[tuple[int, bytes, bool]]:
    """Each line with its number from 1, as it stands, and whether it is the last; of a long one the beginning."""
    number, line = 1, stream.readline(MAX_LINE_BYTES + 1)
    while line:
        following = stream.readline(MAX_LINE_BYTES + 1)
        yield number, line, not following
        number, line = number + 1, following


def excess(number: int, line: bytes) -> str | None:
    """What is too much about a line, so that none after it is read; None where nothing is."""
    return _long_line(line) or _many_records(number)


def _long_line(line: bytes) -> str | None:
    if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
        return None
    return f"the line has more than {MAX_LINE_BYTES:,} bytes, the most that is read"


def _many_records(number: int) -> str | None:
    if number <= MAX_RECORDS:
        return None
    return f"there are more than {MAX_RECORDS:,} records, the most that is read; begin a new ledger"
