"""The files that a policy names: inside the project, not through a link, there, and none left over."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from checker.errors import Problem
from checker.policy.cursor import Cursor
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
        if os.path.islink(top):  # noqa: PTH114  Path.is_symlink raises where a folder may not be read
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


def _can_be_read(policy: Cursor, kind: str) -> bool:
    is_left_out = kind == "notices" and bool(policy.entries) and kind not in policy.entries
    return is_left_out or isinstance(policy.at(kind).value, dict)


def _named_faults(named: Cursor, folder: Folder, names: list[str]) -> Iterator[Fault]:
    if named.text is None or not is_inside(named.text):
        return
    place = folder.root / folder.base / named.text
    link = _link_on_the_way(folder.root, place)
    if link is not None:
        yield named.fault(f"{named.text!r} passes through the link {link!r}; put the file itself there")
    elif not os.path.isfile(place):  # noqa: PTH113  Path.is_file raises where a folder may not be read
        yield named.fault(f"{named.text!r} does not exist in {folder.shown_as}{nearest(named.text, names)}")


def is_inside(text: str) -> bool:
    """Whether `text` is a relative path of plain names that stays below where it starts."""
    return len(text) <= MAX_PATH_LENGTH and _PLAIN_PATH.fullmatch(text) is not None


def _link_on_the_way(root: Path, place: Path) -> str | None:
    steps = place.relative_to(root).parts
    for end in range(1, len(steps) + 1):
        step = root.joinpath(*steps[:end])
        if os.path.islink(step):  # noqa: PTH114  Path.is_symlink raises where a folder may not be read
            return step.relative_to(root).as_posix()
    return None
