"""What attacks on the logs put in the folder: files and what is none, lines, packed bytes, changes of a batch."""

from __future__ import annotations

import gzip
import os
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import zstandard

HEAD = b'{"schema_version":1,"ts":"2026-01-01T00:16:00Z","event":"x","phase":"B"'
SOUND = HEAD + b"}\n"


def _listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        directory = os.open(path.parent, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")  # a socket's path is short
        os.close(directory)


def _link_to_outside(path: Path) -> None:
    outside = path.parent.parent / "outside.jsonl"
    outside.write_bytes(HEAD + b"}\n")
    path.symlink_to(outside)


THINGS: Mapping[str, Callable[[Path], Any]] = {
    "a link to another batch": lambda path: path.symlink_to("20260101T000000Z.jsonl"),
    "a link out of the folder": _link_to_outside,
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a link to the environment": lambda path: path.symlink_to("/proc/self/environ"),
    "a directory": Path.mkdir,
    "a named pipe": os.mkfifo,
    "a socket": _listen,
    "a batch": lambda path: path.write_bytes(HEAD + b"}\n"),
    "a packed batch": lambda path: path.write_bytes(gzip.compress(HEAD + b"}\n")),
}


def bytes_of(part: Any) -> bytes:
    """A text as it is, `{repeat, times}` with `{0}` for the number of the turn, a list of parts one after the other."""
    if isinstance(part, list):
        return b"".join(map(bytes_of, part))
    if isinstance(part, str):
        return part.encode().replace(b"HEAD", HEAD)
    text = str(part["repeat"]).encode().replace(b"HEAD", HEAD)
    if b"{0}" not in text:
        return text * int(part["times"])
    return b"".join(text.replace(b"{0}", str(number).encode()) for number in range(int(part["times"])))


def _frame_of_window(log: int) -> bytes:
    """A Zstandard frame that asks for a window of 2**log bytes, and holds one raw block."""
    content = HEAD + b"}\n"
    return struct.pack("<IBB", 0xFD2FB528, 0, (log - 10) << 3) + (len(content) << 3 | 1).to_bytes(3, "little") + content


PACKED: Mapping[str, Callable[[], bytes]] = {
    "too much, not packed": lambda: SOUND + b" " * (2 << 20),
    "too much, gzip": lambda: gzip.compress(os.urandom(2 << 20)),
    "too much, zstd": lambda: zstandard.compress(os.urandom(2 << 20)),
    "gzip bomb": lambda: gzip.compress(SOUND + b" " * (800 << 10)),
    "zstd bomb": lambda: zstandard.compress(SOUND + b" " * (800 << 10)),
    "empty members": lambda: gzip.compress(b"") * 2000 + gzip.compress(SOUND),
    "skippable frames": lambda: struct.pack("<II", 0x184D2A50, 0) * 2000 + zstandard.compress(SOUND),
    "huge window": lambda: _frame_of_window(26),
}


def _grow(path: Path) -> None:
    with path.open("ab") as batch:
        batch.write(SOUND)


def _replace(path: Path) -> None:
    (path.parent / "new").write_bytes(SOUND)
    (path.parent / "new").replace(path)


def _become(thing: str) -> Callable[[Path], None]:
    def become(path: Path) -> None:
        path.unlink()
        THINGS[thing](path)

    return become


CHANGES: Mapping[str, Callable[[Path], None]] = {
    "grows": _grow,
    "is cut": lambda path: os.truncate(path, 100),
    "is replaced": _replace,
    "vanishes": Path.unlink,
}
SWAPS: Mapping[str, Callable[[Path], None]] = {
    "a link": _become("a link out of the folder"),
    "a named pipe": _become("a named pipe"),
}
