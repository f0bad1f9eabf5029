"""The three standard streams, which whoever starts the command may have closed, filled up or stopped reading."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

NOT_SHOWN = 70
_NAMES = ("stdin", "stdout", "stderr")


class NotShown(Exception):
    """What there is to say could not be written to stdout. No OSError: click ends with 1 for a closed pipe."""


def complete() -> None:
    """Put /dev/null in the place of each stream that is closed, so that no file that is opened later becomes one."""
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free, which is this
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  for good


@contextmanager
def showing(kind: type[OSError] = OSError) -> Iterator[None]:
    """Raises NotShown where what is written inside cannot be written, for a reason of this kind."""
    try:
        yield
    except kind as error:
        raise NotShown(f"the output could not be written: {error.strerror}") from error


def flushed(code: int) -> int:
    """The exit code, once the streams have taken all: NOT_SHOWN where stdout did not, whatever the verdict was."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            silence(stream)
            code = NOT_SHOWN if stream is sys.stdout else code
    return code


def silence(stream: TextIO) -> None:
    """Let what `stream` still holds, and what follows, go nowhere: Python would fail at it when it ends."""
    with contextlib.suppress(OSError, ValueError):  # no file is below it, so none is below what Python flushes
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
