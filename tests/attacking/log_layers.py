"""The layers that stop attacks on the logs, and what stands in their place when they are off."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from checker import regular
from checker.analyzer import batches, fixture, ingest, line_errors, lines, scan, typed, unpack
from tests.attacking.model import SwitchOff


def off(*places: tuple[Any, str, Any]) -> SwitchOff:
    """Puts something in the place of a layer, wherever it is named."""

    def switch(patch: pytest.MonkeyPatch) -> None:
        for owner, name, value in places:
            patch.setattr(owner, name, value)

    return switch


def _passes(*_: Any) -> None:
    """Refuses nothing."""


def _quadratic_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    return dict(pairs) if all(keys.count(key) == 1 for key in keys) else _object(pairs)


_object = lines._object
UNBOUNDED = 1 << 40
LAYERS: dict[str, SwitchOff] = {
    "only a regular file is opened": off((regular, "_refuse", _passes)),
    "no link is followed": off((regular, "OPEN_FLAGS", regular.OPEN_FLAGS & ~os.O_NOFOLLOW)),
    "no pipe is waited for": off((regular, "OPEN_FLAGS", regular.OPEN_FLAGS & ~os.O_NONBLOCK)),
    "one file is held": off((batches.HeldBatch, "path", property(lambda held: held.file.path))),
    "nothing changes while it is read": off((ingest, "check_unchanged", _passes)),
    "a window has one batch, named by its start": off((batches.LogFolder, "refused", lambda *_: {})),
    "few names are shown": off((batches, "MAX_NAMED", UNBOUNDED)),
    "a batch's size": off((unpack, "check_size", _passes), (batches, "check_size", _passes)),
    "how far a file unpacks": off((unpack, "_check_ratio", _passes)),
    "how many parts a file has": off((unpack, "_check_frames", _passes)),
    "how far a part looks back": off((unpack, "MAX_WINDOW_BYTES", 1 << 30)),
    "a batch's lines": off((scan, "_check_lines", _passes)),
    "a batch's broken lines": off((typed, "_check_broken", _passes)),
    "what an index keeps": off((ingest, "_check_indexed", _passes)),
    "a line's length": off(*((module, "MAX_LINE_BYTES", UNBOUNDED) for module in (lines, scan, typed))),
    "a line's depth": off((lines, "MAX_DEPTH", UNBOUNDED)),
    "strings are found in one go": off((lines, "_STRINGS", re.compile(r'"(?:[^"\\]|\\.)*"'))),
    "keys are counted in one go": off((lines, "_object", _quadratic_object)),
    "a line's errors": off((line_errors, "MAX_ERRORS", None)),
    "a fixture's size": off((fixture, "_check_size", _passes)),
    "a fixture's windows": off((fixture, "_check_windows", _passes)),
}
