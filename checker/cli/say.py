"""The one place that writes to stdout and stderr, so that no value can speak to a terminal or a CI runner.

What a terminal acts on (control characters, those that turn text around) and what a runner acts on (`::name` at the
start of a line, `##[name]` anywhere) is written as an escape: visible in text, and the same value in JSON and XML.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO, TypeVar

import click

from checker.cli import streams
from checker.units import escaped_character, is_harmless, plain, shortened

Item = TypeVar("Item")
LONGEST_LINE = 10_000  # characters; a terminal and a log viewer choke on more
_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")
# GitHub's runner skips what .NET calls white space, and a style could stand before it
_STARTS_COMMAND = re.compile(r"^((?:\s|\x1b\[[0-9;]*m)*):(?=:)")
# `##[error]`, and the same of Azure (`##vso[…]`) and TeamCity (`##teamcity[…]`); a heading of Markdown has a blank
_HOLDS_COMMAND = re.compile(r"#(?=#[\w.-]*\[)")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A workflow command of GitHub: `level` (error, warning or notice), its properties, and what it says."""

    level: str
    message: str
    properties: dict[str, str] = field(default_factory=dict)


def text(shown: str, *, styled: bool = False) -> None:
    """Write lines for people to stdout; `styled` where they hold our own colours, which then stay."""
    _write(for_people(shown, styled=styled), sys.stdout)


def note(shown: str) -> None:
    """Write lines for people to stderr: errors, and what was passed over. Where that fails there is nobody to tell."""
    try:
        _write(for_people(shown), sys.stderr)
    except streams.NotShown:
        streams.silence(sys.stderr)


def progress(label: str, done: int, total: int) -> None:
    """Renew a counter on stderr, which is a terminal; its line ends with the last step."""
    click.echo(f"\r{label} {done}/{total}", nl=done == total, err=True)


@contextmanager
def bar(items: Iterable[Item], length: int, label: str) -> Iterator[Iterable[Item]]:
    """`items`, with a bar on stderr, a terminal, that grows as they are taken."""
    with click.progressbar(items, length=length, label=label, file=sys.stderr) as shown:
        yield shown


def growing_bar(label: str) -> Callable[[int, int], None]:
    """A bar on stderr, a terminal, for work that is told of from elsewhere: it takes (done, all), and ends with the
    last step."""
    shown: list[Any] = []

    def show(done: int, total: int) -> None:
        if not shown:
            shown.append(click.progressbar(length=total, label=label, file=sys.stderr))
            shown[0].__enter__()
        shown[0].update(done - shown[0].pos)
        if done >= total:
            shown.pop().__exit__(None, None, None)

    return show


def document(shown: str) -> None:
    """Write a JSON document, or lines of JSON, to stdout in UTF-8."""
    with streams.showing():
        click.echo(for_programs(shown).encode(), nl=False)


def xml(shown: str) -> None:
    """Write an XML document to stdout in UTF-8; its text must be `plain` already, for XML knows no other escape."""
    with streams.showing():
        click.echo(_runner_safe_xml(shown).encode(), nl=False)


def workflow_commands(shown: Iterable[Annotation]) -> None:
    """Write workflow commands to stdout, a line each: the only ones that a runner is to take."""
    for line in map(workflow_command, shown):
        _write(line, sys.stdout)


def fault(error: click.ClickException) -> None:
    """Write what click says of a wrong call to stderr; it quotes arguments."""
    told = io.StringIO()
    error.show(told)
    note(told.getvalue())


def for_people(shown: str, *, styled: bool = False) -> str:
    """`shown` with nothing that a terminal or a runner would act on but line breaks, and our styles where `styled`."""
    lines = shown.removesuffix("\n").split("\n")
    return "".join(f"{_runner_safe(_terminal_safe(line, styled))}\n" for line in lines)


def for_programs(shown: str) -> str:
    """JSON with the same value, without a character that a terminal or a runner would act on."""
    return _runner_safe_json(_terminal_safe_json(shown))


def workflow_command(annotation: Annotation) -> str:
    """An annotation on one line: no value can end a property, the line or the command, or hold another one."""
    given = ",".join(f"{key}={_property(value)}" for key, value in annotation.properties.items() if value)
    head = f"::{annotation.level} {given}".rstrip()
    return f"{head}::{_data(annotation.message)}\n"


def _write(shown: str, stream: TextIO) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with streams.showing():
        click.echo(shown.encode(encoding, "backslashreplace").decode(encoding), nl=False, file=stream, color=True)


def _terminal_safe(line: str, styled: bool) -> str:
    parts = _STYLE.split(line) if styled else [line]
    return "".join(
        part if styled and _STYLE.fullmatch(part) else _without_controls(shortened(part, LONGEST_LINE))
        for part in parts
    )


def _without_controls(part: str) -> str:
    return part if part.isprintable() else "".join(map(escaped_character, part))


def _runner_safe(line: str) -> str:
    return _HOLDS_COMMAND.sub(r"\\x23", _STARTS_COMMAND.sub(r"\1\\x3a", line))


def _terminal_safe_json(shown: str) -> str:
    return "\n".join(line if line.isprintable() else _json_escaped(line) for line in shown.split("\n"))


def _json_escaped(line: str) -> str:
    return "".join(character if is_harmless(character) else json.dumps(character)[1:-1] for character in line)


def _runner_safe_json(shown: str) -> str:
    return _HOLDS_COMMAND.sub(r"\\u0023", shown)


def _runner_safe_xml(shown: str) -> str:
    return _HOLDS_COMMAND.sub("&#35;", "\n".join(_STARTS_COMMAND.sub(r"\1&#58;", line) for line in shown.split("\n")))


def _data(value: str) -> str:
    return "%0A".join(_percent(_said(line), "%") for line in shortened(value).splitlines())


def _property(value: str) -> str:
    return _percent(_said(shortened(value)), "%:,")


def _said(value: str) -> str:
    # another runner than GitHub's looks for its own commands inside of ours
    return _HOLDS_COMMAND.sub(r"\\x23", plain(value))


def _percent(value: str, characters: str) -> str:
    return "".join(f"%{ord(each):02X}" if each in characters else each for each in value)
