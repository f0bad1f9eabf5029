"""The loop itself: starts the parts, orders passes, renews the policy, and goes on whatever happens to any of them."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from checker.analyzer.cache import CachePlace
from checker.analyzer.governed import Governed
from checker.collector.cycle import left_out
from checker.running.errand import Errand
from checker.running.judging import Order
from checker.running.kept import Kept
from checker.running.orders import Orders
from checker.running.process import Message, Say, fork
from checker.running.renewal import Renewal
from checker.running.standing import Standing, write_standing
from checker.windows import floor_to_window

TICK_S = 0.5
STOP_DEADLINE_S = 120.0
PASS_DEADLINE_S = 300.0
WRITE_EVERY_S = 1.0
UNHEARD_S = 60.0  # a collector that has said nothing for so long is not waited for


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs in processes of its own: the collector, the pages (receivers and health), and a pass."""

    collect: Callable[[Governed, Say], None]
    serve: Callable[[Governed, Say], None]
    judge: Callable[[Governed, Order, Say], None]


@dataclass(slots=True)
class Supervisor:
    """The loop of one target. `own` is the collector's folder, `now` the clock, `seconds_until` the real time to wait.

    `tell` hears what people should see, a line at a time; while the collector catches up, `progress` hears (done, all)
    instead of a line for each window, where there is one. One that `is_new`, with no batch from before, has nothing to
    say of windows that were over when it began.
    """

    governed: Governed
    parts: Parts
    own: Path
    now: Callable[[], datetime]
    seconds_until: Callable[[datetime], float]
    stop: threading.Event
    tell: Callable[[str], None]
    cache: CachePlace | None = None
    is_new: bool = False
    progress: Callable[[int, int], None] | None = None
    standing: Standing = field(init=False)
    orders: Orders = field(init=False)
    renewal: Renewal = field(init=False)
    _collector: Kept = field(init=False)
    _pages: Kept = field(init=False)
    _pass: Errand = field(init=False)
    _written_s: float = 0.0
    _behind: int = 0  # windows of the catch-up that is under way
    _heard_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        policy = self.governed.policy
        now = self.now()
        self.standing = Standing(policy.target, policy.window.total_seconds(), now)
        self.standing.governed_digest = self.governed.governed_digest
        self.orders = Orders(policy, now)
        if self.is_new:
            self.orders.judged = self.orders.grid.newest(now).start
        self.renewal = Renewal(self.cache)
        self._collector = Kept("collector", lambda: fork(lambda say: self.parts.collect(self.governed, say)))
        self._pages = Kept("pages", lambda: fork(lambda say: self.parts.serve(self.governed, say)))
        self._pass = Errand(PASS_DEADLINE_S)

    def run(self) -> None:
        """Go on until `stop` is set; then every part finishes the step at hand."""
        while not self.stop.is_set():
            self.tick()
            self._wait()
        self._end()

    def tick(self) -> None:
        """Look at everything once."""
        for name, part in (("collector", self._collector), ("pages", self._pages), ("pass", self._pass)):
            for message in part.tend():
                self._hear(name, message)
        self._renew()
        self._order()
        self._write()

    def _order(self) -> None:
        is_unheard = time.monotonic() - self._heard_s > UNHEARD_S
        if self._pass.is_free and (order := self.orders.next(self.now(), is_unheard)) is not None:
            rollback = (
                self.governed.policy.rollback
            )  # of the policy that holds now: a pass may roll back, and wait for it
            own_s = rollback.deadline.total_seconds() if rollback.mode == "execute" else 0.0
            self._pass.deadline_s = PASS_DEADLINE_S + own_s
            self._pass.start(lambda say: self.parts.judge(self.governed, order, say))

    def _hear(self, name: str, message: Message) -> None:
        """Take in what a part said: for the orders, for the standing, and for people."""
        if name == "collector":
            self._heard_s = time.monotonic()
        self.orders.hear(name, message)
        self.standing.hear(name, message, self.now())
        if not self._caught_up(message):
            for line in told_of(name, message):
                self.tell(line)

    def _caught_up(self, message: Message) -> bool:
        """Show a step of a catch-up as progress, where that can be; a window that was sealed in time is none."""
        if self.progress is None or message.get("kind") != "sealed" or message["told"] or message["failures"]:
            return False
        self._behind = max(self._behind, message["behind"] + 1) if message["behind"] or self._behind > 1 else 0
        if self._behind < 2:
            return False
        self.progress(self._behind - message["behind"], self._behind)
        self._behind = 0 if not message["behind"] else self._behind
        return True

    def _renew(self) -> None:
        """Go by a policy that was changed on the disk, once it was found to be sound."""
        news = self.renewal.look(self.governed)
        if news is None:
            return
        if news.governed is not None:
            self.governed = news.governed
            self.orders.policy = news.governed.policy
            self.standing.governed_digest, self.standing.policy_refused = news.governed.governed_digest, ""
            for part in (self._collector, self._pages):
                for message in part.renew():
                    self._hear(part.name, message)
            self.tell(f"goes by the changed policy from now on (governed files {news.digest[:12]})")
        elif news.refused:
            self.standing.policy_refused = news.refused
            self.orders.concern(f"policy_refused/{news.digest[:12]}", f"goes by the policy as it was: {news.refused}")
            self.tell(f"the policy on the disk is refused, the old one stays: {news.refused}")
        else:
            self.standing.policy_refused = ""

    def _write(self) -> None:
        now_s = time.monotonic()
        if now_s - self._written_s < WRITE_EVERY_S:
            return
        self._written_s = now_s
        now, length = self.now(), self.governed.policy.window
        sealed = self.standing.sealed
        first = sealed + length if sealed else floor_to_window(self.standing.begun_at, length)
        self.standing.lag_s = max(0.0, (floor_to_window(now, length) - first).total_seconds())
        self.standing.silent_since = self.orders.silent_since(now)
        self.standing.parts = {part.name: part.starts for part in (self._collector, self._pages)}
        try:
            write_standing(self.own, self.standing, now)
        except OSError as fault:
            self.standing.faults["standing"] = f"cannot be written: {fault.strerror or fault}"

    def _wait(self) -> None:
        """Wait for a part to say something, for the next window to close, or for a tick."""
        pipes = [pipe for part in (self._collector, self._pages, self._pass) if (pipe := part.pipe) is not None]
        seconds = max(0.005, min(TICK_S, self.seconds_until(self.orders.next_closing(self.now()))))
        try:
            select.select(pipes, [], [], seconds)
        except InterruptedError:
            return

    def _end(self) -> None:
        """Have every part finish the step at hand, the collector and a pass side by side."""
        self._collector.ask_to_stop()
        for name, said in (
            ("pass", self._pass.wait()),
            ("collector", self._collector.stop(STOP_DEADLINE_S)),
            ("pages", self._pages.stop(STOP_DEADLINE_S)),
        ):
            for message in said:
                self._hear(name, message)
        self._written_s = 0.0
        self._write()


def told_of(name: str, message: Message) -> list[str]:
    """What people see of a message, a line each."""
    match message.get("kind"):
        case "sealed" | "slice":
            return [_sealed_line(message), *message["told"], *left_out(message["failures"])]
        case "given_up":
            return [f"source {message['source']}: given up after {message['attempts']} retries: {message['why']}"]
        case "fault":
            return [f"{name}: {message['told']}"]
        case "judged":
            return [*_verdict_lines(message), *message.get("concerns", ()), *message["faults"]]
        case _:
            return []


def _sealed_line(message: Message) -> str:
    what = "sealed" if message["kind"] == "sealed" else "sealed for the recovery"
    behind = f", {message['behind']} to go" if message["behind"] else ""
    quarantined = f", {message['quarantined']:,} quarantined" if message["quarantined"] else ""
    return (
        f"{what} {message['window']}: {message['accepted']:,} events{quarantined}, {message['latency_s']:.1f} s{behind}"
    )


def _verdict_lines(message: Message) -> list[str]:
    if "outcome" not in message:
        return []
    asks = ", ROLLBACK REQUIRED" if message["rollback_required"] else ""
    return [f"judged {message['window']}: {message['outcome']}, {message['decision']}{asks}"]
