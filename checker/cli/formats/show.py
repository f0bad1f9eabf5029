"""The formats of a check, by name: each renders the one result, and says it in its own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from checker.cli import say
from checker.model import CheckResult
from checker.policy.model import Policy


@dataclass(frozen=True, slots=True)
class Screen:
    """What a table is fitted to: colour, columns, and the options that a command suggested in it must repeat."""

    colour: bool
    width: int
    source: tuple[str, ...] = ()


def show(name: str, result: CheckResult, policy: Policy, screen: Screen) -> None:
    """Write `result` to stdout as the format called `name`, a key of FORMATS."""
    FORMATS[name](result, policy, screen)


def _table(result: CheckResult, policy: Policy, screen: Screen) -> None:
    from checker.cli.formats.table import render_table

    shown = render_table(result, policy, colour=screen.colour, width=screen.width, source=screen.source)
    say.text(shown, styled=screen.colour)


def _json(result: CheckResult, policy: Policy, _: Screen) -> None:
    from checker.cli.formats.json_document import to_json

    say.document(to_json(result, policy))


def _junit(result: CheckResult, policy: Policy, _: Screen) -> None:
    from checker.cli.formats.junit import to_junit

    say.xml(to_junit(result, policy))


def _github(result: CheckResult, policy: Policy, _: Screen) -> None:
    from checker.cli.formats.github import to_annotations

    say.workflow_commands(to_annotations(result, policy))


def _markdown(result: CheckResult, policy: Policy, _: Screen) -> None:
    from checker.cli.formats.markdown import to_markdown

    say.text(to_markdown(result, policy))


FORMATS: dict[str, Callable[[CheckResult, Policy, Screen], None]] = {
    "table": _table,
    "json": _json,
    "junit": _junit,
    "github": _github,
    "markdown": _markdown,
}
