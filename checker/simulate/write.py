"""Batches to disk: a folder with a file for each window, or one file for all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from checker.errors import UsageError
from checker.simulate.batches import Batch
from checker.windows import parse_stamp, stamp

_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: batches, lines and bytes."""

    batches: int = 0
    lines: int = 0
    size_bytes: int = 0

    def plus(self, batch: Batch) -> Written:
        """The same with `batch` added."""
        return Written(self.batches + 1, self.lines + batch.lines, self.size_bytes + len(batch.data))


def write_folder(folder: Path, batches: Iterable[Batch], replace: bool = False) -> Written:
    """Write each batch to `folder` under its window's name; the folder is made where there is none.

    Raises UsageError where the folder holds batches and `replace` is false, or cannot be written. With `replace` the
    batches in it are removed first, and nothing else.
    """
    present = batches_in(folder)
    if present and not replace:
        raise UsageError(
            f"{folder}: already holds {len(present)} batches ({present[0].name} …); expected a folder without any.\n"
            "Name another folder, or add --force to replace the batches (other files stay)."
        )
    written = Written()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in present:
            path.unlink()
        for batch in batches:
            (folder / f"{stamp(batch.window.start)}.jsonl").write_bytes(batch.data)
            written = written.plus(batch)
    except OSError as fault:
        raise _unwritable(folder, fault) from fault
    return written


def write_file(path: Path, batches: Iterable[Batch], replace: bool = False) -> Written:
    """Write all batches to the one file `path`, as `check --fixture` reads them.

    Raises UsageError where there is such a file and `replace` is false, or it cannot be written.
    """
    if path.exists() and not replace:
        raise UsageError(f"{path}: is already there. Name another file, or add --force to replace it.")
    written = Written()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            for batch in batches:
                stream.write(batch.data)
                written = written.plus(batch)
    except OSError as fault:
        raise _unwritable(path, fault) from fault
    return written


def batches_in(folder: Path) -> list[Path]:
    """The batch files in `folder`, plain or compressed, oldest first; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and _is_batch_name(path.name))


def _is_batch_name(name: str) -> bool:
    return any(name.endswith(suffix) and parse_stamp(name.removesuffix(suffix)) is not None for suffix in _SUFFIXES)


def _unwritable(path: Path, fault: OSError) -> UsageError:
    return UsageError(f"{fault.filename or path}: cannot be written: {fault.strerror or fault}. Name another place.")
