"""Which policies lie below a folder: found by their names, through no link, and never without end."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from checker.errors import CannotDecide, UsageError
from checker.units import plain

POLICY = "policy.yaml"
NESTED = "policy"  # the folder that holds a policy which has a project of its own
MAX_TARGETS = 1_000
MAX_ENTRIES = 10_000  # of the folder: its names are all held
_LOOKED_FOR = f"NAME/{POLICY} or NAME/{NESTED}/{POLICY}"


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """A policy at `path` below the folder, '/' between its steps; `refused` says why it is not even read."""

    path: str
    refused: str | None = None


def find_policies(folder: Path) -> tuple[Found, ...]:
    """Every policy at `NAME/policy.yaml` or `NAME/policy/policy.yaml` below `folder`, by path; names with a dot aside.

    A policy behind a link is found, and refused. Raises UsageError where `folder` is none or holds too many,
    CannotDecide where it cannot be read, or holds none: nothing selected is never a pass.
    """
    found = sorted(policy for name in _names(folder) for policy in _policies(folder, name))
    if not found:
        raise CannotDecide(f"no policy below {plain(str(folder))}: expected {_LOOKED_FOR}; nothing was checked")
    if len(found) > MAX_TARGETS:
        told = f"{len(found):,} policies, at most {MAX_TARGETS:,} are checked at once; name a smaller folder"
        raise UsageError(f"--all {plain(str(folder))}: {told}")
    return tuple(found)


def _names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count == MAX_ENTRIES:
                    told = f"more than {MAX_ENTRIES:,} entries; name the folder that holds the policies alone"
                    raise UsageError(f"--all {plain(str(folder))}: {told}")
                if not entry.name.startswith("."):
                    yield entry.name
    except (FileNotFoundError, NotADirectoryError) as fault:
        raise UsageError(f"--all {plain(str(folder))}: {fault.strerror}; name the folder of policies") from fault
    except OSError as fault:
        raise CannotDecide(f"--all {plain(str(folder))}: cannot be read: {fault.strerror}") from fault


def _policies(folder: Path, name: str) -> Iterator[Found]:
    """Those of the entry `name`: in the folder itself, and in its folder `policy`."""
    for steps in ((name, POLICY), (name, NESTED, POLICY)):
        path = "/".join(steps)
        try:
            if _kind(folder / path) is None:
                continue
            places = ("/".join(steps[:count]) for count in range(1, len(steps) + 1))
            link = next((place for place in places if stat.S_ISLNK(_kind(folder / place) or 0)), None)
        except OSError as fault:
            yield Found(path, f"cannot be looked at: {fault.strerror}")
            continue
        yield Found(path, link and f"{plain(link)} is a link; put the folder or the file itself there")


def _kind(path: Path) -> int | None:
    """The mode of what lies there, of a link its own; None where nothing does. Raises OSError."""
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
