"""What the receiver of OTLP logs has put into its spool."""

from __future__ import annotations

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
            there = segments(self._folder)
            if there and segment > there[-1].name:
                sink.tell(f"the spool was begun anew before {segment}: it is read from its beginning")
                segment, offset = "", 0
            for path in [path for path in there if path.name >= segment]:
                segment, offset = path.name, offset if path.name == segment else 0
                for block in blocks(path, offset, is_newest=path == there[-1]):
                    if sink.is_past(block.lines):
                        return {"segment": segment, "offset": offset}
                    sink.add(block.lines, f"otlp:{segment}", block.start)
                    offset = block.end
        except Damaged as fault:
            raise SourceFailed(f"the spool is damaged: {fault}; stop the receiver and move that segment away") from None
        except OSError as fault:
            raise SourceFailed(f"the spool cannot be read: {fault.strerror or type(fault).__name__}") from None
        return {"segment": segment, "offset": offset}

    def skip(self, position: Position) -> Position:
        """What was received is kept, whether it is read now or later."""
        return position

    def committed(self, position: Position) -> None:
        """Remove the segments that were read to their end, but for the newest, which may still grow.

        A position beyond that one is of a spool that is no more, and says nothing of this.
        """
        name = str(position.get("segment", ""))
        with suppress(OSError):  # what cannot be removed now is removed another time
            there = segments(self._folder)
            for path in there:
                if path.name < name <= there[-1].name:
                    path.unlink()
