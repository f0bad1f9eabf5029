"""Reads a ledger back: every line checked against its schema and the chain, all faults told at once.

`docs/ledger.md` describes the format. The hash of a line is that of its bytes without the newline.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from checker.errors import LedgerInvalid, Problem
from checker.schemas import dotted, shown, tool_schema, validate
from checker.windows import iso, parse_iso

GENESIS = "0" * 64
_TOLD_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `at` and `window_start` are UTC; `data` has the shape that the schema gives to `kind`.

    `id` names what the record speaks of; records of the same incident or rollback share it.
    """

    seq: int
    at: datetime
    kind: str
    phase: str
    window_start: datetime | None
    id: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The records that exist, oldest first. `torn` tells of a last line that a crash cut off; it does not count."""

    records: tuple[Record, ...] = ()
    torn: str | None = None


def read_ledger(path: Path, as_of: datetime) -> Ledger:
    """The ledger in `path` as it stood at `as_of` (with a zone): records made later do not exist.

    A missing file is an empty ledger. The whole file is checked, whatever `as_of` is. Raises LedgerInvalid with every
    fault: a broken line, a record that does not follow its schema, a gap, a wrong hash, a time that runs backwards.
    """
    name = _shown_name(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Ledger()
    except OSError as error:
        raise LedgerInvalid(f"{name}: cannot be read: {error.strerror}; nothing was decided") from error
    return parse_ledger(content, name, as_of)


def parse_ledger(content: bytes, name: str, as_of: datetime) -> Ledger:
    """Like `read_ledger`, for the bytes of a file that is called `name` in errors."""
    lines, torn = _split(content)
    records: list[Record] = []
    problems: list[Problem] = []
    before = _Link(0, None, GENESIS)
    for number, line in enumerate(lines, start=1):
        record, faults, before = _read_line(line, before)
        problems.extend(Problem(name, number, 0, fault) for fault in faults)
        if record is not None:
            records.append(record)
    if problems:
        _refuse(problems)
    known = tuple(record for record in records if record.at <= as_of)
    return Ledger(known, None if torn is None else _torn_message(torn, name, len(lines) + 1))


@dataclass(frozen=True, slots=True)
class _Link:
    """What a line must follow on: number, time and hash of the line before it."""

    seq: int
    at: datetime | None
    digest: str


def _shown_name(path: Path) -> str:
    """The name given; of an absolute path its last two parts, since errors show no folder of the machine."""
    return "/".join(path.parts[-2:]) if path.is_absolute() else path.as_posix()


def _split(content: bytes) -> tuple[Sequence[bytes], bytes | None]:
    """Whole lines, and the torn last one: without its newline, or with one although its JSON is cut off."""
    *lines, tail = content.split(b"\n")
    if tail:
        return lines, tail
    if lines and _is_cut_off(lines[-1]):
        return lines[:-1], lines[-1]
    return lines, None


def _torn_message(line: bytes, name: str, number: int) -> str:
    start = shown(line.decode(errors="replace"))
    return f"{name}:{number}: the last line is torn ({len(line)} bytes: {start}); it is set aside and does not count"


def _read_line(line: bytes, before: _Link) -> tuple[Record | None, Sequence[str], _Link]:
    digest = hashlib.sha256(line).hexdigest()
    try:
        document = _parse(line)
        faults = _schema_faults(document)
    except ValueError as error:
        faults = [f"expected a JSON object, found {shown(line.decode(errors='replace'))}: {error}"]
    if faults:
        return None, faults, _Link(before.seq + 1, before.at, digest)
    record = _record(document)
    return record, list(_chain_faults(record, document["prev"], before)), _Link(record.seq, record.at, digest)


def _parse(line: bytes) -> Any:
    """The document of a line. Raises ValueError where the line is no JSON, nests too deeply or has a key twice."""
    import orjson

    document = orjson.loads(line)
    try:
        # only a line that is its own compact rendering is known to have no key twice
        if orjson.dumps(document) != line:
            json.loads(line, object_pairs_hook=_object_without_doubles)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise ValueError("it nests too deeply") from error
    return document


def _is_cut_off(line: bytes) -> bool:
    """Whether the line ends before its JSON does; damage inside a line is something else, and is refused."""
    import orjson

    try:
        orjson.loads(line)
    except orjson.JSONDecodeError as error:
        # where the line is not UTF-8, orjson names position 0 of an empty text
        return 0 < error.pos == len(error.doc)
    return False


def _object_without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a key stands twice")
    return document


@functools.cache
def _validator() -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(tool_schema("ledger"), validate_formats=True)


def _schema_faults(document: object) -> list[str]:
    if _validator().is_valid(document):
        return []
    faults = [_told(fault.path, fault.message) for fault in validate(document, tool_schema("ledger"))]
    # a day that no calendar has is a matter of format, which the explaining validator does not look at
    return faults or [_told(tuple(error.instance_path), error.message) for error in _validator().iter_errors(document)]


def _told(path: tuple[str | int, ...], message: str) -> str:
    return f"{dotted(path)}: {message}" if path else message


def _record(document: Mapping[str, Any]) -> Record:
    start = document["window_start"]
    return Record(
        seq=int(document["seq"]),
        at=parse_iso(document["at"]),
        kind=document["kind"],
        phase=document["phase"],
        window_start=None if start is None else parse_iso(start),
        id=document["id"],
        data=document["data"],
    )


def _chain_faults(record: Record, prev: str, before: _Link) -> Iterator[str]:
    if record.seq != before.seq + 1:
        yield f"seq: expected {before.seq + 1}, found {record.seq}; a line was taken out, put in or moved"
    if prev != before.digest:
        yield f"prev: expected {before.digest}, found {prev}; the line before was changed, taken out or moved"
    if before.at is not None and record.at < before.at:
        yield f"at: expected {iso(before.at)} or later, found {iso(record.at)}; time does not run backwards in a ledger"


def _refuse(problems: Sequence[Problem]) -> NoReturn:
    lines = [str(problem) for problem in problems[:_TOLD_AT_MOST]]
    if len(problems) > _TOLD_AT_MOST:
        lines.append(f"… and {len(problems) - _TOLD_AT_MOST} more")
    noun = "problem" if len(problems) == 1 else "problems"
    lines.append(f"{len(problems)} {noun} in the ledger; nothing was decided")
    lines.append("records are only ever appended: put back the last good copy of the file")
    raise LedgerInvalid("\n".join(lines))
