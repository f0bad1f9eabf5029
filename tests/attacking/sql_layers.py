"""How the layers that stop hostile SQL are switched off."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest

from checker.analyzer import header, parser, queries, results, sandbox, spans
from checker.analyzer.sandbox import LockedEngine
from checker.child import kernel, wire, zygote
from checker.child.handle import Child
from checker.errors import QueryFailed
from checker.policy import files, governed_text

PATIENCE_S = 2  # of a command that watches no clock


def _off(place: Any, name: str, instead: Any) -> Any:
    """Switch a layer off, and let the next child be forked without it."""

    def switch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(place, name, instead)
        zygote.shut_down()

    return switch


def nothing(*_: Any, **__: Any) -> None:
    return None


def no_problems(*_: Any) -> list[Any]:
    return []


def _any_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whatever is no SELECT through as if it read nothing."""
    select = parser.Parser.select

    def unheard(self: parser.Parser, sql: str) -> Any:
        try:
            return select(self, sql)
        except parser.NotOneSelect:
            return select(self, "select 1")

    monkeypatch.setattr(parser.Parser, "select", unheard)


def _shared_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LockedEngine, "_session", lambda self: nullcontext(self._connection))
    zygote.shut_down()


def _unlocked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lock_settings", "check_settings"):
        monkeypatch.setattr(sandbox, name, nothing)
    zygote.shut_down()


def _pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take pickles, too, as a command would that its child could talk into anything."""
    plain = wire.from_json

    def from_anything(content: bytes) -> Any:
        try:
            return plain(content)
        except wire.Nonsense:
            return pickle.loads(content)

    monkeypatch.setattr(wire, "from_json", from_anything)


def _bulky(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (files, governed_text):
        monkeypatch.setattr(module, "MAX_BYTES", 1 << 30)


def _unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def length(self: header.Lookback, window: timedelta, parameters: Mapping[str, Any]) -> timedelta:
        amount = parameters[self.amount] if isinstance(self.amount, str) else self.amount
        return amount * (window if self.unit == "window" else timedelta(**{f"{self.unit}s": 1}))

    monkeypatch.setattr(header.Lookback, "length", length)


def _endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock is watched; what is left is the limit on CPU time."""
    asked = Child._asked

    def patient(self: Child, message: Any, _: float) -> Any:
        try:
            return asked(self, message, time.monotonic() + PATIENCE_S)
        except TimeoutError:
            raise QueryFailed(f"waited for {PATIENCE_S} s in vain") from None

    monkeypatch.setattr(Child, "_asked", patient)


LAYERS = {
    "one select": _any_statement,
    "size of a governed file": _bulky,
    "relations": _off(queries, "_relation_problems", no_problems),
    "functions": _off(queries, "_function_problems", no_problems),
    "structure": _off(queries, "_structure_problems", no_problems),
    "parameters": _off(queries, "_parameter_problems", no_problems),
    "locked settings": _unlocked,
    "plain answers": _pickles,
    "closed descriptors": _off(kernel, "keep_only", lambda kept: kept),
    "a connection each": _shared_session,
    "rows": _off(sandbox, "MAX_RESULT_ROWS", 10_000_000),
    "size of an answer": _off(wire, "MAX_ANSWER_BYTES", 1 << 62),
    "lookback": _unbounded,
    "a window alone": _off(spans, "_differs_alone", nothing),
    "evidence": _off(results, "MAX_EVIDENCE_CHARACTERS", 1 << 40),
    "samples": _off(results, "_MAX_SAMPLES", 1 << 100),
    "arithmetic": _off(sandbox, "_UNREADABLE", (ValueError, RuntimeError)),
    "deadline": _endless,
    "memory": _off(kernel, "limit_memory", nothing),
    "cpu": _off(kernel, "limit_cpu", nothing),
    "file size": _off(kernel, "limit_file_size", nothing),
    "processes": _off(kernel, "limit_processes", nothing),
    "descriptors": _off(kernel, "limit_descriptors", nothing),
    "nobody": _off(kernel, "drop_root", nothing),
    "no new privileges": _off(kernel, "no_new_privileges", nothing),
    "one thread": _off(kernel, "only_one_thread", nothing),
    "landlock": _off(kernel, "landlock", nothing),
    "environment": _off(kernel, "forget_environment", nothing),
}
