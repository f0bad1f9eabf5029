"""The text of a governed file: regular, inside the project, reached through no link, bounded, with nothing hidden.

Whoever reads a governed file reads it here, because a stranger may have put a pipe, a device or a link in its place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from checker.errors import Problem
from checker.policy.yaml_text import MAX_BYTES, GovernedText, decode
from checker.regular import NotRegular, link_below, open_regular

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def read_governed_text(root: Path, relative: str) -> GovernedText:
    """The text of the file `relative` ('/' between its steps) of the project `root`, at most MAX_BYTES of UTF-8.

    What is wrong with it is in `problems`, at `relative` and its line; raises nothing for what lies there. `root`
    itself may be reached through links, nothing below it may.
    """
    steps = PurePosixPath(relative).parts
    if not steps or steps[0] == "/" or ".." in steps or "\0" in relative:
        return _unreadable(relative, "leads out of the project; name a file inside it")
    return _read(root, steps, relative)


def read_text(path: Path, shown_as: str) -> GovernedText:
    """The text of `path`, called `shown_as` in problems, as `read_governed_text` reads it; its folder may be a link."""
    return _read(path.parent, (path.name,), shown_as)


def _read(root: Path, steps: tuple[str, ...], shown_as: str) -> GovernedText:
    try:
        content = _content(root, steps)
    except Refused as refusal:
        return _unreadable(shown_as, str(refusal))
    except FileNotFoundError:
        return _unreadable(shown_as, "does not exist")
    except OSError as error:
        link = link_below(root, root.joinpath(*steps[:-1]))
        behind = f"passes through the link {link!r}; put the file itself there"
        return _unreadable(shown_as, behind if link else f"cannot be read: {error.strerror}")
    return decode(content, shown_as)


class Refused(Exception):
    """What lies there is not read, because of what it is or how large."""


def governed_bytes(folder: Path, name: str) -> bytes:
    """The bytes of the file `name` in `folder`, as `read_governed_text` reads them. Raises Refused, OSError."""
    return _content(folder, (name,))


def _content(root: Path, steps: tuple[str, ...]) -> bytes:
    try:
        with (
            _folder(root, steps[:-1]) as folder,
            open_regular(steps[-1], folder) as descriptor,
            open(descriptor, "rb", closefd=False) as file,
        ):
            content = file.read(MAX_BYTES + 1)
    except NotRegular as refusal:
        told = str(refusal)
        raise Refused(told[:1].lower() + told[1:]) from None
    if len(content) > MAX_BYTES:
        raise Refused(f"is larger than {MAX_BYTES} bytes, the most that is read")
    return content


@contextmanager
def _folder(root: Path, steps: tuple[str, ...]) -> Iterator[int]:
    """A descriptor of the last step, each step opened from the one before, so that none can be swapped for a link."""
    folder = os.open(root, _FOLDER)
    try:
        for step in steps:
            below = os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def _unreadable(shown_as: str, message: str) -> GovernedText:
    return GovernedText(None, (Problem(shown_as, 0, 0, message),))
