"""Hostile words in a rollback's command: worded in a notice, copied from it, and really run by shells."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer import decide as deciding
from checker.analyzer.decide import Case, Standing, decide
from checker.analyzer.judge import JudgedWindow
from checker.model import Decision, InputCounts
from checker.policy.model import Policy
from checker.reporter import escape, facts, shell
from checker.reporter.render import notices_for
from tests import decisions as build
from tests.attacking.model import Attack, Carry, SwitchOff

SOURCES = {path.name: path.read_text("utf-8") for path in (build.PROJECT / "policy/templates").glob("*.j2")}
SHELLS = ("bash", "sh")
PROGRAM = f"#!{sys.executable} -ISs\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"


def decision_with(target: str, incident: str) -> tuple[Policy, Decision]:
    """What is decided while an incident of that name, as a ledger may hold it, asks for a rollback of `target`."""
    policy = build.policy(target=target)
    judged = JudgedWindow(build.window(), build.judgements(policy), build.decision(policy).outcome, InputCounts())
    standing = Standing(incident=incident, incident_requires_rollback=True)
    return policy, decide(
        Case(policy, "B", "B", build.decision(policy).as_of, (judged,), build.gate(), standing=standing)
    )


def copied(policy: Policy, made: Decision) -> dict[str, str]:
    """The command as it stands in the channel's text, and in the Runbook's code span."""
    shown = build.violation(policy, command=made.command, rollback_required=True)
    texts = {notice.channel: notice.text for notice in notices_for(policy, shown, (), SOURCES)}
    slack = re.search(r"rollback=(.*)\nrollback_required", texts["#incident-autosave"])
    runbook = re.search(r"`([^`]*)`", texts["runbook"])
    return {"slack": slack[1] if slack else "", "runbook": runbook[1] if runbook else ""}


def ran(line: str, folder: Path, program: str = "phasegate") -> dict[str, str]:
    """What each shell makes of the line: the arguments that the program was given, as JSON, and files that appeared."""
    place = folder / "bin" / program
    place.parent.mkdir(exist_ok=True)
    place.write_text(PROGRAM)
    place.chmod(0o755)
    environment = {"PATH": f"{place.parent}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    work = folder / "work"
    work.mkdir(exist_ok=True)
    (work / "a file").touch()
    return {name: _ran_by(name, line, work, environment) for name in SHELLS}


def _ran_by(name: str, line: str, work: Path, environment: dict[str, str]) -> str:
    bare = line.encode("utf-8", "surrogateescape")
    done = subprocess.run([name, "-c", bare], capture_output=True, cwd=work, env=environment, timeout=10, check=False)
    return f"{done.stdout.decode().strip()}{done.stderr.decode(errors='replace').strip()}"


def notice(attack: Attack, folder: Path) -> str:
    """The command from both notices, what every shell gave the program, and whether it is what was decided."""
    target = str(attack.more.get("target", "autosave"))
    policy, made = decision_with(
        target, str(attack.does).replace("\\0", "\0").encode().decode("utf-8", "surrogateescape")
    )
    seen = []
    for channel, line in copied(policy, made).items():
        seen.append(f"{channel}: {line}")
        shown = html.unescape(line) if channel == "slack" else line
        wanted = json.dumps([argument.replace("\0", "\ufffd") for argument in made.command or ()][1:])
        for name, given in ran(shown, folder).items():
            seen.append(f"{channel} by {name}: {'as decided' if given == wanted else 'OTHER'}: {given}")
    appeared = sorted(path.name for path in (folder / "work").iterdir())
    return "\n".join([*seen, f"files: {appeared}"])


def printed(attack: Attack, folder: Path) -> str:
    """An argument of bytes (given in hexadecimal) on the line that is shown, and what every shell gave the program."""
    argument = os.fsdecode(bytes.fromhex(str(attack.does)))
    line = shell.command_line(("phasegate", argument))
    wanted = json.dumps([argument])
    return "\n".join(
        [shlex.quote(line).encode("unicode_escape").decode()]
        + [
            f"{name}: {'the same' if given == wanted else 'OTHER'}: {given}"
            for name, given in ran(line, folder).items()
        ]
    )


KINDS: dict[str, Carry] = {"notice": notice, "printed": printed}


def _off(module: Any, name: str, value: Any) -> SwitchOff:
    return lambda patch: patch.setattr(module, name, value)


def _separate_values(case: Case, judged: JudgedWindow) -> tuple[str, ...]:
    del judged
    incident = f"{case.standing.incident}"
    return ("phasegate", "rollback", "--target", case.policy.target, "--phase", case.phase, "--reason", incident)


def _as_it_is(text: str) -> str:
    return text


def _replaced(character: str) -> bytes:
    return character.encode("utf-8", "replace")


def _bare_in_chats(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(facts, "LIVE_IN_COMMANDS", re.compile("(?!)"))


LAYERS: dict[str, SwitchOff] = {
    "quoting": _off(shell, "_quoted", _as_it_is),
    "what cannot be shown is written as octal bytes": _off(shell, "_can_be_shown", lambda _: True),
    "bytes stay bytes": _off(shell, "_bytes_of", _replaced),
    "NUL is replaced": _off(shell, "_without_nul", _as_it_is),
    "a value is part of its option": _off(deciding, "_command", _separate_values),
    "nothing that a chat acts on": _bare_in_chats,
    "a command keeps its characters": _off(facts, "Command", str),
    "entities": _off(escape, "_entities", _as_it_is),
}
