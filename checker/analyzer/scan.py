"""The first pass over a batch: its digest, how many lines it has, and whether the fast path accepts them all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checker.analyzer.batches import BLOCK_BYTES, BatchFile, digest_of, plain_bytes
from checker.analyzer.lines import MAX_LINE_BYTES

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Scan:
    """`digest` is of the file as it lies there; `lines` counts its decompressed lines; `clean` says whether all of
    them follow the fast path's grammar, and then `colons` is at least the number of their keys."""

    digest: str
    lines: int
    clean: bool
    colons: int


def scan(connection: duckdb.DuckDBPyConnection, batch: BatchFile, pattern: str | None) -> Scan:
    """Read the batch once, in blocks. Raises OSError, EOFError or ValueError where it cannot be read."""
    plain = batch.path.name.endswith(".jsonl")
    sha256, newlines, colons, rest, clean, last = hashlib.sha256(), 0, 0, b"", pattern is not None, b"\n"
    with plain_bytes(batch) as stream:
        while block := stream.read(BLOCK_BYTES):
            if plain:
                sha256.update(block)
            newlines += block.count(b"\n")
            last = block[-1:]
            if clean:
                cut = block.rfind(b"\n") + 1
                colons += (rest[-1:] + block).count(b'":')
                clean = _has_short_lines(rest + block) and (
                    not cut or _matches(connection, pattern, rest + block[:cut])
                )
                rest = block[cut:] if cut else rest + block
    if clean and rest:
        clean = _matches(connection, pattern, rest)
    digest = sha256.hexdigest() if plain else digest_of(batch.path)
    return Scan(digest, newlines + (last != b"\n"), clean, colons)


def _has_short_lines(block: bytes) -> bool:
    """Whether no line in `block` is longer than a line may be; looks at one newline a megabyte."""
    position = 0
    while len(block) - position > MAX_LINE_BYTES:
        newline = block.rfind(b"\n", position, position + MAX_LINE_BYTES + 1)
        if newline < 0:
            return False
        position = newline + 1
    return True


def _matches(connection: duckdb.DuckDBPyConnection, pattern: str | None, block: bytes) -> bool:
    try:
        text = block.decode()
    except UnicodeDecodeError:
        return False
    row = connection.execute(f"select regexp_full_match($1, $pattern${pattern}$pattern$)", [text]).fetchone()
    return bool(row and row[0])
