"""Files of JSON lines that an application appends to, and rotates: by renaming, or by copying and truncating.

A position remembers each file by its inode and by fingerprints of what was read of it, so that a file is known under
another name, one that was truncated is begun anew, and a copy that a rotation made is not read twice.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from checker.collector.sources.base import Ask, Position, Sink, SourceFailed
from checker.collector.sources.copies import Read, copies_beside, holds, renamed_to
from checker.collector.sources.marks import Mark, begun, fits, moved
from checker.collector.sources.tail import Tail
from checker.policy.collecting import FilesRule
from checker.regular import NotRegular, open_regular
from checker.units import plain

MAX_FILES = 1000
PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip")  # what a rotation packed was read before, when it was plain

Transform = Callable[[bytes], bytes]  # one line as it stands in the file → the event lines that it holds


class FilesSource:
    """The files that the globs of `rule`, relative to `root`, name. `transform` makes events of a line that is none."""

    def __init__(self, rule: FilesRule, root: Path, transform: Transform | None = None) -> None:
        self.name = rule.name
        self._rule, self._root, self._transform = rule, root, transform

    def read(self, position: Position, ask: Ask, sink: Sink) -> Position:
        """Read every file on from where it was left; see `Source.read`."""
        del ask
        is_first = "files" not in position
        known = [Mark(**row) for row in position.get("files", ())]
        paths = self._paths(known)
        if not paths and not self._rule.optional:
            told = f"no file matches {', '.join(self._rule.paths)}; expected one that events are appended to"
            raise SourceFailed(told, {"files": []} if is_first else None)  # it was begun: what comes now is new
        from_end = is_first and self._rule.read_from == "end"
        reader = _Reader(known, sink, self._transform, from_end)
        marks = reader.read(paths, self._shown)
        lost = [mark for mark in known if mark.place not in reader.followed]
        places = {mark.place for mark in marks}
        for mark in lost:
            if not mark.is_gone:
                self._tell_loss(mark, mark.place in places, sink)
        return _position(marks, _gone(lost, marks))

    def skip(self, position: Position) -> Position:
        """Everything that was there at the last look counts as read; what came since is kept for a next read."""
        known = [Mark(**row) for row in position.get("files", ())]
        try:
            marks = [*_skipped(self._paths(known), known)]
        except (OSError, SourceFailed):
            return position
        return _position(marks, _gone(known, marks))

    def committed(self, position: Position) -> None:
        """Nothing is held for a position."""

    def _tell_loss(self, mark: Mark, is_there: bool, sink: Sink) -> None:
        """Say what of a file is gone: it was deleted, or truncated with no copy of it left."""
        shown = self._shown(Path(mark.path))
        if mark.offset < mark.size:
            sink.tell(f"{shown} is gone: {mark.size - mark.offset} bytes of it were not read")
        elif is_there and mark.offset:
            told = "lines that were written to it after the last look are lost, if there were any"
            sink.tell(f"{shown} was truncated or written anew, and no copy of it lies beside it: {told}")

    def _paths(self, known: Sequence[Mark]) -> list[Path]:
        """The files to look at: those that match, and those that were known and have got a name that does not."""
        found = {path for pattern in self._rule.paths for path in self._matching(pattern)}
        if len(found) > MAX_FILES:
            raise SourceFailed(
                f"{len(found):,} files match {', '.join(self._rule.paths)}, at most {MAX_FILES:,} are read"
            )
        places = {place for path in found if (place := _place(path))}
        strays = {mark.place: mark for mark in known if mark.place not in places}
        folders = {str(Path(mark.path).parent) for mark in strays.values()}
        found |= {path for folder in folders for path in _renamed(Path(folder), strays)}
        return sorted(found)

    def _matching(self, pattern: str) -> Iterator[Path]:
        whole = pattern if os.path.isabs(pattern) else os.path.join(glob.escape(str(self._root)), pattern)  # noqa: PTH117, PTH118
        yield from (Path(name) for name in glob.iglob(whole, recursive=True) if not name.endswith(PACKED))  # noqa: PTH207

    def _shown(self, path: Path) -> str:
        return plain(path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else path.name)


def _place(path: Path) -> tuple[int, int] | None:
    try:
        state = path.lstat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _renamed(folder: Path, strays: Mapping[tuple[int, int], Mark]) -> Iterator[Path]:
    """Files of `folder` that are those of `strays` under other names: not others that got their inodes."""
    inodes = {inode for _, inode in strays}
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.inode() in inodes and not entry.name.endswith(PACKED)]
    except OSError:
        return
    for path in (folder / name for name in names):
        mark = strays.get(_place(path) or (0, 0))
        if mark and (renamed_to(path.name, mark) or (mark.offset and holds(path, mark))):
            yield path


def _gone(known: Iterable[Mark], marks: Sequence[Mark]) -> list[Mark]:
    """Those of `known` whose files are not there, the newest first: one that comes back is not read again."""
    places = {mark.place for mark in marks}
    return [replace(mark, is_gone=True) for mark in known if mark.place not in places][:MAX_FILES]


def _position(marks: Sequence[Mark], gone: Sequence[Mark]) -> Position:
    return {"files": [asdict(mark) for mark in (*marks, *gone)]}


def _skipped(paths: Sequence[Path], known: Sequence[Mark]) -> Iterator[Mark]:
    """Marks at the ends that the files had when they were last looked at."""
    by_place = {mark.place: mark for mark in known}
    for path in paths:
        with _opened(path) as tail:
            mark = by_place.get(tail.place)
            at = min(mark.size, tail.size) if mark is not None and fits(mark, tail) else tail.size
            yield begun(tail, path, tail.start_of_line(at))


@contextmanager
def _opened(path: Path) -> Iterator[Tail]:
    """The file, held open. Raises SourceFailed where it is no regular file, or may not be read."""
    try:
        with open_regular(path) as descriptor:
            yield Tail(descriptor)
    except NotRegular as fault:
        raise SourceFailed(f"{plain(path.name)}: {fault}") from None
    except OSError as fault:
        raise SourceFailed(f"{plain(path.name)}: cannot be read: {fault.strerror or type(fault).__name__}") from None


class _Reader:
    """One read of all files: known ones go on, then new ones begin, unless they are copies of others."""

    def __init__(self, known: Sequence[Mark], sink: Sink, transform: Transform | None, from_end: bool) -> None:
        self._known = {mark.place: mark for mark in known}
        self._sink, self._transform, self._from_end = sink, transform, from_end
        self._copies = Read(known)
        self.followed: set[tuple[int, int]] = set()  # known places whose file goes on, there or as a copy

    def read(self, paths: Sequence[Path], shown: Callable[[Path], str]) -> list[Mark]:
        places = {path: place for path in paths if (place := _place(path))}
        known = [path for path, place in places.items() if place in self._known]
        new = [path for path, place in places.items() if place not in self._known]
        marks = {path: mark for path in (*known, *new) if (mark := self._one(path, shown(path)))}
        for path in self._elsewhere(marks):
            if mark := self._one(path, shown(path)):
                marks[path] = mark
        return [marks[path] for path in sorted(marks)]

    def _elsewhere(self, marks: Mapping[Path, Mark]) -> list[Path]:
        """Copies outside of the globs, of files that were truncated."""
        lost = [
            mark
            for place, mark in self._known.items()
            if mark.offset and place not in self.followed and not mark.is_gone
        ]
        return sorted({path for mark in lost for path in copies_beside(mark, PACKED)} - marks.keys())

    def _one(self, path: Path, shown: str) -> Mark | None:
        try:
            state = path.lstat()
        except FileNotFoundError:
            return None  # gone since it was listed, or renamed: then it is found under its new name the next time
        known = self._known.get((state.st_dev, state.st_ino))
        if known and (known.size, known.mtime_ns) == (state.st_size, state.st_mtime_ns) and known.is_at_end:
            self.followed.add(known.place)
            mark, goes_on = replace(known, path=str(path), is_gone=False), True
        else:
            with _opened(path) as tail:
                own = self._own(tail)
                mark, goes_on = self._on(self._begin(own, path, tail), path, shown, tail), own is not None
        self._copies.note(mark, goes_on)
        return mark

    def _own(self, tail: Tail) -> Mark | None:
        known = self._known.get(tail.place)
        if known is None or not fits(known, tail):
            return None
        self.followed.add(known.place)
        return known

    def _begin(self, own: Mark | None, path: Path, tail: Tail) -> Mark:
        """Where to go on: after all that was read of these bytes, here or in a file that this one is a copy of."""
        if (further := self._copies.furthest(tail, own)) is not None:
            offset, mark = further
            if self._known.get(mark.place) is mark:
                self.followed.add(mark.place)
            return replace(begun(tail, path, offset), has_ended_line=mark.has_ended_line and offset == mark.offset)
        return own or begun(tail, path, tail.start_of_line(tail.size) if self._from_end else 0)

    def _on(self, mark: Mark, path: Path, shown: str, tail: Tail) -> Mark:
        offset = mark.offset + (1 if mark.has_ended_line and tail.at(mark.offset, 1) == b"\n" else 0)
        for lines, length in tail.lines(offset):
            if self._sink.is_past(lines):
                return moved(mark, tail, path, offset)
            self._add(lines, shown, offset)
            offset += length
        rest = tail.rest(offset)
        was_renamed = mark.path != str(path)
        if rest and mark.has_rested(tail, offset) and (was_renamed or _is_whole(rest)):
            self._add(rest + b"\n", shown, offset)
            return replace(moved(mark, tail, path, offset + len(rest)), has_ended_line=True)
        return moved(mark, tail, path, offset)

    def _add(self, lines: bytes, shown: str, at: int) -> None:
        if self._transform is None:
            self._sink.add(lines, shown, at, is_verbatim=True)
            return
        for line in lines.splitlines(keepends=True):
            self._sink.add(self._transform(line), shown, at)
            at += len(line)


def _is_whole(line: bytes) -> bool:
    """Whether a line without a newline is a whole JSON object."""
    import orjson

    try:
        return isinstance(orjson.loads(line), dict)
    except ValueError:
        return False
