"""The first pass over a batch: its digest, and whether the fast path's grammar accepts all of its lines."""

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
    """`digest` is of the file as it lies there; `clean` says whether all lines follow the fast path's grammar.

    Where they do, `colons` counts `":` in them: at least the number of their keys, and more only for odd strings.
    """

    digest: str
    clean: bool
    colons: int


def scan(connection: duckdb.DuckDBPyConnection, batch: BatchFile, pattern: str | None) -> Scan:
    """Read the batch once, in blocks. Raises OSError, EOFError or ValueError where it cannot be read."""
    plain = batch.path.name.endswith(".jsonl")
    sha256, colons, rest, clean = hashlib.sha256(), 0, b"", pattern is not None
    with plain_bytes(batch) as stream:
        while (block := stream.read(BLOCK_BYTES)) and (plain or clean):
            if plain:
                sha256.update(block)
            if clean:
                block = rest + block
                cut = block.rfind(b"\n") + 1
                lines, rest = (block, b"") if cut == len(block) else (block[:cut], block[cut:])
                colons += lines.count(b'":')
                clean = _has_short_lines(block) and _matches(connection, pattern, lines)
    if clean and rest:
        colons += rest.count(b'":')
        clean = _matches(connection, pattern, rest)
    return Scan(sha256.hexdigest() if plain else digest_of(batch.path), clean, colons)


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
