"""The files that a policy names: inside the project, not through a link, there, and none left over."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from checker.errors import Problem
from checker.policy.cursor import Cursor
from checker.policy.governed_schema import schema_problems
from checker.policy.governed_text import read_governed_text
from checker.policy.yaml_text import MAX_BYTES
from checker.regular import is_link, is_regular, link_below
from checker.schemas import Fault, nearest

MAX_PATH_LENGTH = 200
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class Folder(NamedTuple):
    """A folder of governed files; paths in the policy are relative to `root` / `base`."""

    root: Path
    base: str
    suffix: str
    shown_as: str
    owners: str

    def names(self) -> list[str]:
        """Files of the folder with its suffix, relative to it and sorted; links to files are among them."""
        top = self.root / self.base
        if is_link(top):
            return []
        found = [
            (Path(folder) / name).relative_to(top).as_posix()
            for folder, _, names in os.walk(top)
            for name in names
            if name.endswith(self.suffix)
        ]
        return sorted(found)


def queries_of(root: Path) -> Folder:
    """The folder of the queries."""
    return Folder(root, "queries", ".sql", "queries", "SLO or gate")


def templates_of(root: Path, policy_folder: str) -> Folder:
    """The folder of the templates, beside the policy."""
    base = f"{policy_folder}/templates"
    return Folder(root, base, ".j2", base, "notice")


def file_faults(policy: Cursor, root: Path, policy_folder: str) -> Iterator[Fault]:
    """Files that the policy names and that are not there, or are reached through a link."""
    owners = [entry for kind in ("slos", "gates") for entry in policy.at(kind).entries.values()]
    yield from _missing([owner.at("query") for owner in owners], queries_of(root))
    notices = policy.at("notices").entries.values()
    yield from _missing([notice.at("template") for notice in notices], templates_of(root, policy_folder))
    yield from _named_faults(policy.at("event_schema"), Folder(root, "", ".json", "the project", ""), _schemas(root))


def _missing(named: list[Cursor], folder: Folder) -> Iterator[Fault]:
    names = folder.names()
    for place in named:
        yield from _named_faults(place, folder, names)


def _schemas(root: Path) -> list[str]:
    return [f"schemas/{name}" for name in Folder(root, "schemas", ".json", "schemas", "").names()]


def unused_files(policy: Cursor, root: Path, policy_folder: str, shown_as: str) -> Iterator[Problem]:
    """Queries and templates that nothing in the policy names, each at its own path."""
    for folder, kinds, key in (
        (queries_of(root), ("slos", "gates"), "query"),
        (templates_of(root, policy_folder), ("notices",), "template"),
    ):
        if not all(_can_be_read(policy, kind) for kind in kinds):
            continue
        used = {entry.at(key).text for kind in kinds for entry in policy.at(kind).entries.values()}
        for name in folder.names():
            if name not in used:
                message = f"no {folder.owners} of {shown_as} uses it; name it there or remove it"
                yield Problem(f"{folder.shown_as}/{name}", 0, 0, message)


def content_problems(policy: Cursor, root: Path, policy_folder: str) -> Iterator[Problem]:
    """What cannot be read, or is hidden, in the files that the policy names and that lie in their place."""
    kinds = (("slos", "query", "queries"), ("gates", "query", "queries"), ("notices", "template", None))
    places = {
        (folder or templates_of(root, policy_folder).base, entry.at(key).text)
        for kind, key, folder in kinds
        for entry in policy.at(kind).entries.values()
    }
    for base, name in sorted((base, name) for base, name in places if name is not None and is_inside(name)):
        if _lies_in_place(root, f"{base}/{name}"):
            yield from read_governed_text(root, f"{base}/{name}").problems
    schema = policy.at("event_schema").text
    if schema is not None and is_inside(schema) and _lies_in_place(root, schema):
        governed = read_governed_text(root, schema)
        yield from governed.problems
        if governed.text is not None and not governed.problems:
            yield from schema_problems(governed.text, schema)


def _lies_in_place(root: Path, relative: str) -> bool:
    place = root / relative
    return link_below(root, place) is None and os.path.lexists(place) and is_regular(place.lstat())


def strange_entries(policy: Cursor, root: Path, policy_folder: str) -> Iterator[Problem]:
    """Links, pipes and large files in the governed folders that the policy does not name: their bytes are digested."""
    owners = [entry for kind in ("slos", "gates") for entry in policy.at(kind).entries.values()]
    named = {f"queries/{owner.at('query').text}" for owner in owners}
    named |= {
        f"{policy_folder}/templates/{notice.at('template').text}" for notice in policy.at("notices").entries.values()
    }
    named |= {str(policy.at("event_schema").text)}
    for base in ("queries", f"{policy_folder}/templates", "schemas"):
        for relative, complaint in _strange_below(root, base):
            if not any(name == relative or name.startswith(f"{relative}/") for name in named):
                yield Problem(relative, 0, 0, complaint)


def _strange_below(root: Path, base: str) -> Iterator[tuple[str, str]]:
    if is_link(root / base):
        yield base, "is a link; put the folder itself there"
        return
    for folder, folders, names in os.walk(root / base):
        for name in (*folders, *names):
            place = Path(folder) / name
            state = place.lstat()
            if complaint := _complaint(state):
                yield place.relative_to(root).as_posix(), complaint


def _complaint(state: os.stat_result) -> str | None:
    if stat.S_ISLNK(state.st_mode):
        return "is a link; put the file itself there, or remove it"
    if stat.S_ISDIR(state.st_mode):
        return None
    if not is_regular(state):
        return "is no regular file; remove it"
    return f"is larger than {MAX_BYTES} bytes, the most that is read" if state.st_size > MAX_BYTES else None


def _can_be_read(policy: Cursor, kind: str) -> bool:
    is_left_out = kind == "notices" and bool(policy.entries) and kind not in policy.entries
    return is_left_out or isinstance(policy.at(kind).value, dict)


def _named_faults(named: Cursor, folder: Folder, names: list[str]) -> Iterator[Fault]:
    if named.text is None or not is_inside(named.text):
        return
    place = folder.root / folder.base / named.text
    link = link_below(folder.root, place)
    if link is not None:
        yield named.fault(f"{named.text!r} passes through the link {link!r}; put the file itself there")
    elif not os.path.lexists(place):
        yield named.fault(f"{named.text!r} does not exist in {folder.shown_as}{nearest(named.text, names)}")
    elif not is_regular(place.lstat()):
        yield named.fault(f"{named.text!r} is no regular file; put the file itself there")


def is_inside(text: str) -> bool:
    """Whether `text` is a relative path of plain names that stays below where it starts."""
    return len(text) <= MAX_PATH_LENGTH and _PLAIN_PATH.fullmatch(text) is not None
