"""Files that are there whole or not at all: written beside their place, on disk, and only then put there."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from checker.regular import is_link

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put `content` into the file `path`, whose folder is made where it is missing; a reader sees the old or the new.

    A link at `path` is replaced, never followed. Raises OSError, also where the folder itself is a link.
    """
    if is_link(path.parent):
        raise OSError(0, "the folder is a link; put the folder itself there", path.parent.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(scratch).replace(path)
    except BaseException:
        with suppress(OSError):
            os.unlink(scratch)  # noqa: PTH108  a Path has nothing to add
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the folder's entries on disk: a new file's name is one. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def safe_name(text: str) -> str:
    """`text` as the name of a file or folder: itself where it is harmless, else what is harmless of it and a digest."""
    if _SAFE_NAME.fullmatch(text):
        return text
    kept = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:80]
    return f"{kept or 'x'}-{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
