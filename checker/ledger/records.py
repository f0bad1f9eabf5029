"""Reads a ledger back: every line checked against its schema and the chain, all faults told at once.

`docs/ledger.md` describes the format. The hash of a line is that of its bytes without the newline.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NoReturn

from checker.errors import LedgerInvalid, Problem
from checker.ledger.lines import excess, lines_of, open_ledger
from checker.schemas import dotted, shown, tool_schema, validate
from checker.windows import iso, parse_iso

GENESIS = "0" * 64
MAX_PROBLEMS = 200  # to explain one takes a thousand times as long as to read a line
MAX_FAULTY_BYTES = 4 << 20  # of lines that are explained: a long one takes a second
_TOLD_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `at` and `window_start` are UTC; `data` has the shape that the schema gives to `kind`.

    `id` names what the record speaks of; records of the same incident or rollback share it. `more` says that the next
    record was appended together with this one.
    """

    seq: int
    at: datetime
    kind: str
    phase: str
    window_start: datetime | None
    id: str
    data: Mapping[str, Any]
    more: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """What the next record must follow on: number, time and hash of the last one that counts, and where it ends."""

    seq: int = 0
    at: datetime | None = None
    digest: str = GENESIS
    size: int = 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """The records that exist, oldest first. `end` is that of all records that count, whenever they were made.

    `torn` tells of what a crash cut off: a last line, or the first of several records that belong together. It does not
    count, and lies behind `end`.
    """

    records: tuple[Record, ...] = ()
    torn: str | None = None
    end: End = field(default_factory=End)


def read_ledger(path: Path, as_of: datetime) -> Ledger:
    """The ledger in `path` as it stood at `as_of` (with a zone): records made later do not exist.

    A missing file is an empty ledger. The whole file is checked, whatever `as_of` is. Raises LedgerInvalid with every
    fault: a broken line, a record that does not follow its schema, a gap, a wrong hash, a time that runs backwards;
    also where it is no regular file, or goes over a limit of `checker.ledger.lines`.
    """
    name = shown_name(path)
    try:
        with open_ledger(path, name) as stream:
            return _read(stream, name, as_of)
    except FileNotFoundError:
        return Ledger()


def parse_ledger(content: bytes, name: str, as_of: datetime) -> Ledger:
    """Like `read_ledger`, for the bytes of a file that is called `name` in errors."""
    return _read(io.BytesIO(content), name, as_of)


def _read(stream: IO[bytes], name: str, as_of: datetime) -> Ledger:
    records: list[Record] = []
    problems: list[Problem] = []
    torn: str | None = None
    faulty_bytes = 0
    before = end = End()
    together: list[Record] = []
    for number, line, is_last in lines_of(stream):
        if too_much := excess(number, line):
            problems.append(Problem(name, number, 0, too_much))
            break
        content = line.removesuffix(b"\n")
        if is_last and (content == line or _is_cut_off(content)):
            torn = _torn_message(content, name, number)
            break
        record, more, faults, before = _read_line(content, before)
        problems.extend(Problem(name, number, 0, fault) for fault in faults)
        faulty_bytes += len(line) if faults else 0
        if _are_enough(problems, faulty_bytes):
            break
        together += [record] if record is not None else []
        if not more:
            records += together
            together, end = [], before
    if problems:
        _refuse(problems, _are_enough(problems, faulty_bytes))
    if together:
        torn = _incomplete_message(together, name, torn)
    return Ledger(tuple(record for record in records if record.at <= as_of), torn, end)


def _are_enough(problems: Sequence[Problem], faulty_bytes: int) -> bool:
    return len(problems) >= MAX_PROBLEMS or faulty_bytes > MAX_FAULTY_BYTES


def shown_name(path: Path) -> str:
    """The name given; of an absolute path its last two parts, since errors show no folder of the machine."""
    return Path(*path.parts[-2:]).as_posix() if path.is_absolute() else path.as_posix()


def _torn_message(line: bytes, name: str, number: int) -> str:
    start = shown(line.decode(errors="replace"))
    return f"{name}:{number}: the last line is torn ({len(line)} bytes: {start}); it is set aside and does not count"


def _incomplete_message(records: Sequence[Record], name: str, torn: str | None) -> str:
    first, count = records[0].seq, len(records)
    told = f"{name}:{first}: {count} record{'s' if count > 1 else ''} of several that were to be appended together"
    return f"{told}, and not the rest; set aside and not counted" + (f"; {torn}" if torn else "")


def _read_line(line: bytes, before: End) -> tuple[Record | None, bool, Sequence[str], End]:
    """The record, whether more follow that belong to it, its faults, and where it leaves the ledger."""
    digest = hashlib.sha256(line).hexdigest()
    size = before.size + len(line) + 1
    try:
        document = _parse(line)
        faults = schema_faults_of(document)
    except ValueError as error:
        faults = [f"expected a JSON object, found {shown(line.decode(errors='replace'))}: {error}"]
    if faults:
        return None, False, faults, End(before.seq + 1, before.at, digest, size)
    record = _record(document)
    chain = list(_chain_faults(record, document["prev"], before))
    return record, record.more, chain, End(record.seq, record.at, digest, size)


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


def schema_faults_of(document: object) -> list[str]:
    """What the ledger's schema finds wrong with a record's document."""
    if _validator().is_valid(document):
        return []
    found = validate(document, tool_schema("ledger"), at_most=MAX_PROBLEMS)
    faults = [_told(fault.path, fault.message) for fault in found]
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
        more=document.get("more", False),
    )


def _chain_faults(record: Record, prev: str, before: End) -> Iterator[str]:
    if record.seq != before.seq + 1:
        yield f"seq: expected {before.seq + 1}, found {record.seq}; a line was taken out, put in or moved"
    if prev != before.digest:
        yield f"prev: expected {before.digest}, found {prev}; the line before was changed, taken out or moved"
    if before.at is not None and record.at < before.at:
        yield f"at: expected {iso(before.at)} or later, found {iso(record.at)}; time does not run backwards in a ledger"


def _refuse(problems: Sequence[Problem], are_cut: bool) -> NoReturn:
    lines = [str(problem) for problem in problems[:_TOLD_AT_MOST]]
    if len(problems) > _TOLD_AT_MOST:
        lines.append(f"… and {len(problems) - _TOLD_AT_MOST} more")
    noun = "problem" if len(problems) == 1 else "problems"
    count = f"{len(problems)} {noun}" + (" and maybe more" if are_cut else "")
    lines.append(f"{count} in the ledger; nothing was decided")
    lines.append("records are only ever appended: put back the last good copy of the file")
    raise LedgerInvalid("\n".join(lines))
