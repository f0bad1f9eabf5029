"""Attacks of a value on whoever reads the output: a runner, a terminal, an XML or a Markdown reader."""

from __future__ import annotations

import html
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checker.cli import main
from checker.cli.formats import junit, layout, markdown
from checker.cli.formats.show import Screen, show
from checker.model import CheckResult, GateResult, InputCounts, Notice, Status
from checker.policy.model import Policy
from tests import decisions as build
from tests.attacking.model import Attack
from tests.attacking.readers import acted_on, commands_taken, made_of_markdown, rows_of_markdown, xml_of
from tests.commands import ROOT, saved, write_batch
from tests.ledgers import LedgerBuilder

POLICY = build.policy()
SLO_TITLE = "SLO's title"
BUFFERED = {"errors": "surrogateescape", "encoding": "utf-8", "newline": ""}


def seen(act: Callable[[], object], *, styled: bool = False) -> str:
    """What `act` writes, and what each reader makes of it; an exit code where it exits."""
    streams = [io.TextIOWrapper(io.BytesIO(), **BUFFERED) for _ in range(2)]  # type: ignore[call-overload]
    ended: object = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        try:
            act()
        except SystemExit as stopped:
            ended = stopped.code
    out, err = (stream.buffer.getvalue().decode("utf-8", "surrogateescape") for stream in streams)
    return f"exit {ended}\n{out}{err}\n{told(out, err, styled=styled)}"


def told(out: str, err: str, *, styled: bool = False) -> str:
    """What each reader makes of the two streams, a line each."""
    commands, acts = commands_taken(out) + commands_taken(err), acted_on(out + err, styled=styled)
    lines = [f"runner takes {len(commands)}: {commands}", f"terminal acts on {len(acts)}: {acts[:9]}"]
    lines.append(f"longest line: {max(map(len, (out + err).splitlines()), default=0)}")
    lines.append(f"lines: {(out + err).count(chr(10))}")
    if out.startswith("<?xml"):
        lines.append(f"XML: {'broken' if xml_of(out) is None else 'sound'}")
    if out.startswith("## "):
        lines.append(f"page makes {made_of_markdown(out)}; cells {sorted(set(rows_of_markdown(out)))}")
    return "\n".join(lines) + "\n"


def value(attack: Attack) -> str:
    """The hostile value: `value` as it is, or `times` over."""
    return str(attack.does["value"]) * int(attack.does.get("times", 1))


PLACES: dict[str, Callable[[str], CheckResult]] = {
    SLO_TITLE: lambda _: build.result(build.decision(POLICY)),
    "title": lambda text: build.result(build.decision(POLICY, title=text)),
    "reason": lambda text: build.result(build.decision(POLICY, reasons=(text,))),
    "criterion": lambda text: build.result(
        build.decision(POLICY, gate=build.gate(criteria=(replace(build.gate().criteria[0], criterion=text),)))
    ),
    "criterion's reason": lambda text: build.result(
        build.decision(POLICY, gate=build.gate(criteria=(replace(build.gate().criteria[0], reason=text),)))
    ),
    "gate's error": lambda text: build.result(
        build.decision(POLICY, gate=GateResult("B", "gate/x.sql", error=text), next_phase="C")
    ),
    "gate's query": lambda text: build.result(build.decision(POLICY, gate=GateResult("B", text, error="failed"))),
    "query's error": lambda text: build.result(
        build.decision(
            POLICY, judgements=(build.judgement("failure_rate", None, POLICY, status=Status.ERROR, reason=text),)
        )
    ),
    "broken line": lambda text: build.result(build.decision(POLICY, inputs=InputCounts(1, 1, 0, 0, 0, 1, {text: 1}))),
    "notice": lambda text: build.result(
        build.decision(POLICY), notices=(Notice("ok", "#rollout", text, True, "B", build.window()),)
    ),
    "channel": lambda text: build.result(
        build.decision(POLICY), notices=(Notice("ok", text, "fine", True, "B", build.window()),)
    ),
}


def shown(attack: Attack, _: Path) -> str:
    """A result with the value at one `place`, as `check` shows it in one `format`."""
    screen = Screen(bool(attack.does.get("colour")), 80)
    policy = titled(value(attack)) if attack.does["place"] == SLO_TITLE else POLICY
    result = PLACES[attack.does["place"]](value(attack))
    return seen(lambda: show(attack.does["format"], result, policy, screen), styled=screen.colour)


def titled(title: str) -> Policy:
    """The policy, with the failure rate called otherwise."""
    limits = {phase: threshold.limit for phase, threshold in POLICY.slos["failure_rate"].thresholds.items()}
    return build.policy(slos=POLICY.slos | {"failure_rate": build.slo("failure_rate", limits, "%", title=title)})


def called(attack: Attack, folder: Path) -> str:
    """A command with the value in an argument (`{value}`), the files that the case names being there."""
    return run(folder, [str(part).replace("{value}", value(attack)) for part in attack.does["arguments"]])


def named(attack: Attack, folder: Path) -> str:
    """A check of a log folder called `folder` that holds nothing but a file called `file`."""
    logs = folder / attack.does.get("folder", "logs")
    logs.mkdir()
    (logs / attack.does.get("file", "x.jsonl")).touch()
    return run(folder, ["check", "--phase=A", f"--logs={logs}", "--as-of=2026-01-01T00:20:00Z", "--no-cache"])


def logged(attack: Attack, folder: Path) -> str:
    """A command on a log with one line that holds the value."""
    logs = folder / "logs"
    line = saved("2026-01-01T00:01:00Z", attack.does.get("duration", 900.0), value(attack), phase="A")
    write_batch(logs, "20260101T000000Z", [line])
    given = [f"--logs={logs}", "--as-of=2026-01-01T00:20:00Z", "--no-cache"]
    return run(folder, [*attack.does["arguments"], *given])


def recorded(attack: Attack, folder: Path) -> str:
    """`status` on a ledger in which somebody paused the rollout with the value as the reason."""
    built = LedgerBuilder().phase_change("off", "A", at="2026-01-01T00:00:00Z")
    built.record("pause", {"by": "Ada", "reason": value(attack)}, at="2026-01-01T00:01:00Z")
    path = built.write(folder / "ledger.jsonl")
    given = [f"--logs={folder}", f"--ledger={path}", "--as-of=2026-01-01T00:20:00Z", "--no-cache"]
    return run(folder, ["status", *attack.does["arguments"], *given])


def run(folder: Path, arguments: list[str]) -> str:
    """`phasegate` with these arguments on this repository's policy; `folder` takes what it would write."""

    def typed() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["phasegate", *arguments])
            patch.setenv("PHASEGATE_CACHE", str(folder / "cache"))
            patch.chdir(ROOT)
            main()

    return seen(typed)


KINDS = {"shown": shown, "called": called, "named": named, "logged": logged, "recorded": recorded}


def _as_it_is(text: str, *_: Any, **__: Any) -> str:
    return text


def _replaced(*places: str, by: Any = _as_it_is) -> Callable[[pytest.MonkeyPatch], None]:
    def switch_off(patch: pytest.MonkeyPatch) -> None:
        for place in places:
            patch.setattr(place, by)

    return switch_off


def _markup(*parts: tuple[str, str]) -> Any:
    from rich.text import Text

    return Text.from_markup("".join(text for text, _ in parts))


def _with_markup(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("rich.text.Text.assemble", _markup)


def _unserialised(patch: pytest.MonkeyPatch) -> None:
    serialised = junit.tostring
    patch.setattr(junit, "tostring", lambda root, **how: html.unescape(serialised(root, **how)))


LAYERS = {
    "the sink escapes what a terminal acts on": _replaced("checker.cli.say._without_controls"),
    "the sink defuses what a runner acts on": _replaced("checker.cli.say._runner_safe"),
    "JSON escapes what a terminal acts on": _replaced("checker.cli.say._json_escaped"),
    "JSON defuses what a runner acts on": _replaced("checker.cli.say._runner_safe_json"),
    "XML defuses what a runner acts on": _replaced("checker.cli.say._runner_safe_xml"),
    "a value stays on one line": _replaced("checker.units.escaped_character"),
    "a long value is cut": _replaced(
        *(f"{module.__name__}.shortened" for module in (layout, markdown, junit)), "checker.cli.say.shortened"
    ),
    "XML holds only characters of XML": _replaced("checker.cli.formats.junit.xml_text"),
    "XML is written by a serialiser": _unserialised,
    "an annotation's property is escaped": _replaced("checker.cli.say._property"),
    "an annotation's message is escaped": _replaced("checker.cli.say._data"),
    "an annotation holds no command": _replaced("checker.cli.say._said"),
    "Markdown shows values as code": _replaced("checker.cli.formats.markdown.code"),
    "Markdown's code has no end in a value": lambda patch: patch.setattr(markdown, "_ESCAPES", {}),
    "a fence is longer than any in it": _replaced("checker.cli.formats.markdown.fence_of", by=lambda _: "```"),
    "a terminal's text knows no markup": _with_markup,
}
