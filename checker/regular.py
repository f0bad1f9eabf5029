"""Opening what others put there: a regular file or nothing, whatever its name points at by then."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Of what is swapped in after the look at it: no link is followed, no pipe waited for, no terminal taken over.
OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_KINDS = {
    stat.S_IFLNK: "Is a link",
    stat.S_IFDIR: "Is a directory",
    stat.S_IFIFO: "Is a named pipe",
    stat.S_IFSOCK: "Is a socket",
    stat.S_IFCHR: "Is a device",
    stat.S_IFBLK: "Is a device",
}


class NotRegular(ValueError):
    """What lies there is no regular file, and was not read."""


def kind_told(mode: int) -> str | None:
    """What a file of this mode is, in words, where it is anything but a regular file."""
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "Is no regular file")


def is_regular(state: os.stat_result) -> bool:
    """Whether it is a file that holds bytes: no folder, link, pipe, socket or device."""
    return kind_told(state.st_mode) is None


@contextmanager
def open_regular(path: Path | str, folder: int | None = None) -> Iterator[int]:
    """A descriptor of the regular file at `path`, below the folder of the descriptor `folder` where one is given.

    Raises OSError, and NotRegular for a link, folder, pipe, socket or device; folders on the way may be links.
    """
    descriptor = _opened(path, folder)
    try:
        _refuse(os.fstat(descriptor).st_mode)
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(path: Path | str, folder: int | None) -> int:
    _refuse_named(path, folder)
    return os.open(path, OPEN_FLAGS, dir_fd=folder)


def _refuse_named(path: Path | str, folder: int | None) -> None:
    state = os.stat(path, dir_fd=folder, follow_symlinks=False)
    _refuse(state.st_mode)  # before it is opened: to open a device is to do something


def _refuse(mode: int) -> None:
    if told := kind_told(mode):
        raise NotRegular(f"{told}; only a regular file is read: put the file itself there")


def is_link(path: Path) -> bool:
    """Whether a link lies at `path`; where that may not be looked at, no."""
    return os.path.islink(path)  # noqa: PTH114  Path.is_symlink raises where a folder may not be read


def link_below(root: Path, place: Path) -> str | None:
    """The first link on the way from `root`, which may be one itself, down to `place`, relative to `root`."""
    steps = place.relative_to(root).parts
    ways = (root.joinpath(*steps[:end]) for end in range(1, len(steps) + 1))
    return next((way.relative_to(root).as_posix() for way in ways if is_link(way)), None)


def same_file(path: Path, descriptor: int) -> bool:
    """Whether `path` still names the file that `descriptor` holds open; what is gone is not the same."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False


def signature_of(state: os.stat_result) -> tuple[int, int, int, int]:
    """Size, times (ns) and inode: while they stay, the content is taken to be the same."""
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino
