"""Governed files that change while the loop runs: looked at in a process of their own, then taken over, or refused."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from checker.analyzer.cache import CachePlace, open_cache
from checker.analyzer.governed import Governed, governed_digest, load_governed
from checker.child.zygote import shut_down
from checker.errors import GovernedFilesInvalid, PhasegateError
from checker.pipeline import proved
from checker.running.errand import Errand
from checker.running.process import Say

LOOK_EVERY_S = 2.0
LOOK_DEADLINE_S = 120.0
MAX_SHOWN = 300


@dataclass(frozen=True, slots=True)
class News:
    """What came of a change: the sound files, or why they are refused; neither where the old ones are back."""

    digest: str
    governed: Governed | None = None
    refused: str = ""


@dataclass(slots=True)
class Renewal:
    """Watches the governed files. What was looked at once is not looked at again before it changes."""

    cache: CachePlace | None
    _look: Errand = field(default_factory=lambda: Errand(LOOK_DEADLINE_S))
    _seen: str = ""  # the digest that was looked at last
    _answer: str | None = None
    _looked_s: float = 0.0

    def look(self, governed: Governed) -> News | None:
        """What is new about the files that `governed` was read from; None where nothing is."""
        if not self._look.is_free:
            return self._listen(governed)
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return None
        self._looked_s = now_s
        digest = _digest(governed)
        if digest == self._seen or (not self._seen and digest == governed.governed_digest):
            return None
        self._seen, self._answer = digest, None
        if digest == governed.governed_digest:
            return News(digest)
        self._look.start(lambda say: _found(governed, self.cache, say))
        return None

    def _listen(self, governed: Governed) -> News | None:
        for message in self._look.tend():
            if message["kind"] == "looked":
                self._answer = message["refused"]
            elif message["kind"] == "fault" and self._answer is None:
                self._answer = f"looking at it {message['told']}"
            elif message["kind"] == "ended":
                return self._news(governed)
        return None

    def _news(self, governed: Governed) -> News:
        if self._answer:
            return News(self._seen, refused=self._answer)
        try:
            found = load_governed(governed.policy.path)
        except PhasegateError as fault:  # it was changed again: the next look tells more
            return News(self._seen, refused=_first(fault))
        finally:
            shut_down()
        self._seen = found.governed_digest
        return News(found.governed_digest, found)


def _digest(governed: Governed) -> str:
    """Digest of the files as they are now; of one that cannot be read, what it fails with."""
    try:
        return governed_digest(governed.policy)
    except (OSError, ValueError) as fault:
        return f"{type(fault).__name__} {fault}"


def _found(governed: Governed, cache: CachePlace | None, say: Say) -> None:
    """Say why the files on the disk are refused, empty where they are sound."""
    try:
        found = load_governed(governed.policy.path)
        if (found.policy.target, found.policy.window) != (governed.policy.target, governed.policy.window):
            say({"kind": "looked", "refused": "another target or window: stop the loop, and start it anew"})
            return
        for phase in found.policy.phase_names:
            with open_cache(cache) as opened:
                proved(found, phase, opened)
    except PhasegateError as fault:
        say({"kind": "looked", "refused": _first(fault)})
    else:
        say({"kind": "looked", "refused": ""})


def _first(fault: PhasegateError) -> str:
    """The first problem, and how many more there are."""
    if isinstance(fault, GovernedFilesInvalid):
        more = f" (and {len(fault.problems) - 1} more)" if len(fault.problems) > 1 else ""
        return f"{fault.problems[0]}"[:MAX_SHOWN] + more
    return str(fault)[:MAX_SHOWN]
