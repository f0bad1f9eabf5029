"""What the receiver of OTLP logs has put into its spool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from checker.collector.otlp.spool import Damaged, blocks, segments
from checker.collector.sources.base import Ask, Position, Sink, SourceFailed
from checker.policy.collecting import OtlpRule


class OtlpSource:
    """Reads the spool in `folder`, whole requests at a time. A spool that is not there yet holds nothing."""

    def __init__(self, rule: OtlpRule, folder: Path) -> None:
        self.name = rule.name
        self._folder = folder

    def read(self, position: Position, ask: Ask, sink: Sink) -> Position:
        """Read on; see `Source.read`."""
        del ask
        segment, offset = str(position.get("segment", "")), int(position.get("offset", 0))
        try:
            for path, start in self._from(segment, offset):
                segment, offset = path.name, start
                for block in blocks(path, start):
                    if sink.is_past(block.lines):
                        return {"segment": segment, "offset": offset}
                    sink.add(block.lines, f"otlp:{segment}", block.start)
                    offset = block.end
        except Damaged as fault:
            raise SourceFailed(f"the spool is damaged: {fault}; move that segment away to go on") from None
        except OSError as fault:
            raise SourceFailed(f"the spool cannot be read: {fault.strerror or type(fault).__name__}") from None
        return {"segment": segment, "offset": offset}

    def skip(self, position: Position) -> Position:
        """What was received is kept, whether it is read now or later."""
        return position

    def committed(self, position: Position) -> None:
        """Remove the segments that were read to their end, but for the newest, which may still grow."""
        name = str(position.get("segment", ""))
        for path in segments(self._folder)[:-1]:
            if path.name < name:
                with suppress(OSError):
                    path.unlink()

    def _from(self, segment: str, offset: int) -> Iterator[tuple[Path, int]]:
        """The segments from the position on, each with where to begin in it."""
        for path in segments(self._folder):
            if path.name >= segment:
                yield path, offset if path.name == segment else 0
