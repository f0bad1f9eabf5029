"""The first passes over a batch: its digest and lines, and whether the fast path's grammar accepts all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checker.analyzer.batches import BLOCK_BYTES, HeldBatch, digest_of, plain_bytes
from checker.analyzer.fast_path import FastPath, literal
from checker.analyzer.lines import MAX_LINE_BYTES
from checker.analyzer.unpack import PLAIN

if TYPE_CHECKING:
    import duckdb

SCAN_BYTES = 256 << 10  # small enough to stay in a core's own cache
WHOLE_FILE_BYTES = 32 << 20  # larger files are matched block by block, in bounded memory
MAX_LINES = 20_000_000  # of a batch, before any is looked at: the shortest cost the most time for their bytes


@dataclass(frozen=True, slots=True)
class Scan:
    """`digest` is of the file as it lies there; `lines` counts its decompressed lines, of which none is too long where
    `has_short_lines`."""

    digest: str
    lines: int
    has_short_lines: bool


def scan(batch: HeldBatch) -> Scan:
    """Read the batch once. Raises OSError, EOFError or ValueError where it cannot be read, or not in time."""
    plain = batch.packing == PLAIN
    sha256, newlines, rest, short, last = hashlib.sha256(), 0, 0, True, b"\n"
    with plain_bytes(batch) as stream:
        while block := stream.read(SCAN_BYTES):
            if plain:
                sha256.update(block)
            newlines += block.count(b"\n")
            _check_lines(newlines)
            last = block[-1:]
            short = short and _has_short_lines(block, rest)
            rest = len(block) - block.rfind(b"\n") - 1 if b"\n" in block else rest + len(block)
    digest = sha256.hexdigest() if plain else digest_of(batch)
    return Scan(digest, newlines + (last != b"\n"), short)


def _check_lines(lines: int) -> None:
    if lines > MAX_LINES:
        raise ValueError(f"holds more than {MAX_LINES:,} lines, the most that is read; look at what wrote it")


def matching_columns(
    connection: duckdb.DuckDBPyConnection, batch: HeldBatch, fast_path: FastPath, candidates: Sequence[Sequence[str]]
) -> Sequence[str] | None:
    """The first of the `candidates` (lists of columns) whose grammar accepts every line, None where none does."""
    for columns in candidates:
        if {"ts", "event", "phase"} <= set(columns) and _matches(connection, batch, fast_path.pattern(columns)):
            return columns
    return None


def _has_short_lines(block: bytes, before: int) -> bool:
    """Whether no line in `block`, whose first began `before` bytes earlier, is too long; looks once a megabyte."""
    position = -before
    while len(block) - position > MAX_LINE_BYTES:
        newline = block.rfind(b"\n", max(position, 0), position + MAX_LINE_BYTES + 1)
        if newline < 0:
            return False
        position = newline + 1
    return True


def _matches(connection: duckdb.DuckDBPyConnection, batch: HeldBatch, pattern: str) -> bool:
    import duckdb

    match = f"regexp_full_match(content, $pattern${pattern}$pattern$)"
    if batch.packing == PLAIN and batch.size <= WHOLE_FILE_BYTES:
        try:
            row = connection.execute(f"select {match} from read_text({literal(str(batch.path))})").fetchone()
        except duckdb.InvalidInputException:  # not UTF-8
            return False
        return bool(row and row[0])
    try:
        return all(
            connection.execute(f"select {match} from (select $1 as content)", [block.decode()]).fetchone() == (True,)
            for block in _blocks(batch)
        )
    except UnicodeDecodeError:
        return False


def _blocks(batch: HeldBatch) -> Iterator[bytes]:
    """The batch in blocks of whole lines; only the last may end without a newline."""
    rest = b""
    with plain_bytes(batch) as stream:
        while block := stream.read(BLOCK_BYTES):
            block = rest + block
            cut = block.rfind(b"\n") + 1
            yield block[:cut]
            rest = block[cut:]
    yield rest
