"""The file `policy/approvals/<digest>.yaml`: text → approvals, every fault at its line, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from checker.errors import Problem
from checker.governance.approval_subjects import Reviewed, Terms
from checker.policy.cursor import Cursor, time_faults
from checker.policy.yaml_tree import parse_yaml
from checker.schemas import Fault, tool_schema, validate
from checker.windows import iso, parse_iso

FOLDER = "approvals"
_HEAD = "# Written by `phasegate approve`. Any word that is changed voids the signature below it.\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """One approval as it stands in the file: its words and its signature (armored text)."""

    terms: Terms
    signature: str


@dataclass(frozen=True, slots=True)
class Document:
    """The file's content. That `digest` is what `reviewed` comes to was checked when it was read."""

    digest: str
    reviewed: Reviewed
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at the place of the approvals: the document, or why it cannot be used; neither where nothing does.

    `path` is the file's place as it is shown.
    """

    path: str
    document: Document | None = None
    problems: tuple[str, ...] = ()


def file_name(digest: str) -> str:
    """The name of the file that holds the approvals of `digest`."""
    return f"{digest}.yaml"


def read_document(text: str, path: str) -> Found:
    """The approvals in `text`, a file called `path`; whatever is wrong with it is in `problems`, and nothing counts."""
    tree = parse_yaml(text, path)
    problems: list[Problem] = list(tree.problems)
    if tree.is_readable:
        faults = [*validate(tree.value, tool_schema("approvals"), at_most=100), *_time_faults(Cursor(tree.value))]
        problems += tree.told_once(dict.fromkeys(faults))
    if problems:
        return Found(path, None, tuple(str(problem) for problem in sorted(set(problems))))
    document = _document(tree.value)
    told = tuple(f"{path}: {complaint}" for complaint in _complaints(document, path))
    return Found(path, None if told else document, told)


def _time_faults(document: Cursor) -> Iterator[Fault]:
    """Times that no calendar has."""
    for approval in document.at("approvals").items:
        yield from time_faults((approval.at("signed_at"), approval.at("expires_at")), "2026-01-02T11:45:00Z")


def _document(value: Mapping[str, Any]) -> Document:
    entries = tuple(_entry(approval) for approval in value["approvals"])
    return Document(value["digest"], Reviewed(**value["reviewed"]), entries)


def _entry(approval: Mapping[str, Any]) -> Entry:
    times = parse_iso(approval["signed_at"]), parse_iso(approval["expires_at"])
    return Entry(Terms(approval["role"], approval["name"], approval["reason"], *times), approval["signature"])


def _complaints(document: Document, path: str) -> Iterator[str]:
    name = path.rpartition("/")[2]
    if name != file_name(document.digest):
        yield f"lies under the wrong name: its digest is {document.digest}; no approval in it counts"
    if document.reviewed.digest != document.digest:
        yield f"was edited: what it says was reviewed comes to {document.reviewed.digest}, not to its digest"


def document_text(document: Document) -> str:
    """The file's content, as `read_document` reads it."""
    reviewed = "".join(f"  {key}: {_quoted(value)}\n" for key, value in asdict(document.reviewed).items())
    entries = "".join(map(_entry_text, document.entries))
    return f"{_HEAD}schema_version: 1\ndigest: {_quoted(document.digest)}\nreviewed:\n{reviewed}approvals:\n{entries}"


def _entry_text(entry: Entry) -> str:
    terms = entry.terms
    words = {
        "role": terms.role,
        "name": terms.name,
        "reason": terms.reason,
        "signed_at": iso(terms.signed_at),
        "expires_at": iso(terms.expires_at),
    }
    lines = "".join(f"    {key}: {_quoted(value)}\n" for key, value in words.items())
    signature = "".join(f"      {line}\n" for line in entry.signature.splitlines())
    return f"  -{lines[3:]}    signature: |\n{signature}"


def _quoted(text: str) -> str:
    """A double-quoted YAML scalar: JSON's, which YAML reads the same where no character is written as two escapes."""
    return json.dumps(text, ensure_ascii=False)
