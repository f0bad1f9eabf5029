"""What of the things that are watched beside the SLOs people should hear of. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from checker.reporter.health import Concern
from checker.watching import Watched
from checker.windows import iso, stamp


def concerns_of(watched: Watched) -> Iterator[Concern]:
    """What is to be looked at in the newest closed window: a shortfall when it begins, an exposure once a day."""
    start = watched.window.start
    if watched.shortfall is not None and not watched.was_short:
        yield Concern(f"volume/{stamp(start)}", f"window {iso(start)}: only {watched.shortfall.told}", start)
    if watched.share is not None and watched.share.is_off(watched.rule):
        name = f"exposure/{watched.share.phase}/{start:%Y%m%d}"
        yield Concern(name, f"window {iso(start)}: {watched.share.told}", start)
    if watched.left is not None and watched.left.still_there(watched.rule):
        name = f"left/{watched.left.phase}/{stamp(watched.left.since)}"
        yield Concern(name, f"the phase that was left is still there: {watched.left.told}", start)
