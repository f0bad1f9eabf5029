"""Keeps documents in step with the policy: the tables between `<!-- phasegate:NAME -->` and its closing marker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from checker.errors import GovernedFilesInvalid, Problem, UsageError
from checker.governance.document_tables import TABLES
from checker.policy.governed_text import Refused, governed_bytes
from checker.policy.model import Policy
from checker.regular import link_below
from checker.schemas import listed, nearest
from checker.units import plain

_MARKER = re.compile(r"[ \t]*<!--[ \t]*(?P<closing>/?)phasegate:(?P<name>\S*)[ \t]*-->\s*")
_FENCE = re.compile(r"[ ]{0,3}(?P<fence>`{3,}|~{3,})")
_FOLDER = "docs/design"


@dataclass(frozen=True, slots=True)
class _Marker:
    line: int
    name: str
    closing: bool


@dataclass(frozen=True, slots=True)
class _Block:
    """A generated table: the lines of its markers, counted from 1."""

    name: str
    first: int
    last: int


def documents(root: Path) -> tuple[Path, ...]:
    """The Markdown files in `docs/design/` below `root` that hold a marker, sorted.

    Raises UsageError where one cannot be read, or their folder is reached through a link.
    """
    if link := link_below(root, root / _FOLDER):
        raise UsageError(f"{link}: is a link; put the documents themselves there")
    return tuple(path for path in sorted((root / _FOLDER).glob("*.md")) if any(_markers(_lines(read(path)))))


def read(path: Path) -> str:
    """The text of a document, its line ends as they are. Raises UsageError where it cannot be read."""
    shown = plain(f"{_FOLDER}/{path.name}")
    try:
        return governed_bytes(path.parent, path.name).decode()
    except Refused as refusal:
        raise UsageError(f"{shown}: {refusal}") from None
    except OSError as error:
        raise UsageError(f"{shown}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown}: is not UTF-8 (byte {error.start}); save it as UTF-8") from error


def outdated(policy: Policy, text: str, path: str) -> list[Problem]:
    """Every marker of the document `path` that is faulty, and every table that the policy no longer says."""
    lines = _lines(text)
    blocks, problems = _blocks(lines, path)
    stale = (block for block in blocks if "".join(lines[block.first : block.last - 1]) != _table(policy, block, lines))
    found = (
        Problem(path, block.first, 0, f"the table {block.name!r} is not what the policy says; run `phasegate docs`")
        for block in stale
    )
    return sorted([*problems, *found])


def renew(policy: Policy, text: str, path: str) -> str:
    """`text` with each table between markers made anew, and nothing else changed.

    Raises GovernedFilesInvalid where a marker is unknown, unclosed or has no beginning.
    """
    lines = _lines(text)
    blocks, problems = _blocks(lines, path)
    if problems:
        raise GovernedFilesInvalid(problems)
    for block in reversed(blocks):
        lines[block.first : block.last - 1] = [_table(policy, block, lines)]
    return "".join(lines)


def _lines(text: str) -> list[str]:
    """Lines with their ends; only line feeds end one, as in Markdown, not the rarer separators."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _table(policy: Policy, block: _Block, lines: list[str]) -> str:
    """The table with the document's own line ends, and the empty lines that Markdown needs after a comment."""
    table = f"\n{TABLES[block.name](policy)}\n"
    return table.replace("\n", "\r\n") if lines[block.first - 1].endswith("\r\n") else table


def _markers(lines: list[str]) -> Iterator[_Marker]:
    """The markers, each alone on its line; inside a code block they are an example, not a marker."""
    fence = ""
    for number, line in enumerate(lines, 1):
        opening = _FENCE.match(line)
        if opening and not fence:
            fence = opening["fence"]
        elif opening and opening["fence"].startswith(fence):
            fence = ""
        marker = None if fence else _MARKER.fullmatch(line)
        if marker:
            yield _Marker(number, marker["name"], bool(marker["closing"]))


def _blocks(lines: list[str], path: str) -> tuple[list[_Block], list[Problem]]:
    blocks: list[_Block] = []
    faults: list[tuple[_Marker, str]] = []
    opened: _Marker | None = None
    for marker in _markers(lines):
        if marker.name not in TABLES:
            hint = nearest(marker.name, TABLES) or f" (known: {listed(TABLES)})"
            faults.append((marker, f"unknown table {marker.name!r}{hint}"))
        elif not marker.closing:
            faults.extend(_unclosed(opened))
            opened = marker
        elif opened is None or opened.name != marker.name:
            faults.append((marker, f"closes {marker.name!r}, which is not open here"))
        else:
            blocks.append(_Block(marker.name, opened.line, marker.line))
            opened = None
    faults.extend(_unclosed(opened))
    return blocks, sorted(Problem(path, marker.line, 0, message) for marker, message in faults)


def _unclosed(marker: _Marker | None) -> Iterator[tuple[_Marker, str]]:
    if marker is not None:
        yield marker, f"the table {marker.name!r} is not closed; add <!-- /phasegate:{marker.name} -->"
