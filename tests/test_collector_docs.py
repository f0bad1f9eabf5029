"""What docs/collector.md shows of a policy is a policy, and the commands and files that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from checker.cli.app import COMMANDS, cli
from checker.policy.load import load_policy
from tests.looping import make_project

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "collector.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\ncollector:\n(.*?)```", TEXT, flags=re.DOTALL)
CALLS = [line.split("#")[0].split() for line in re.findall(r"^phasegate (.*)$", TEXT, flags=re.MULTILINE)]


def test_the_blocks_together_are_a_collector(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    text = project.policy.read_text(encoding="utf-8")
    head = text[: text.index("collector:\n")]
    project.policy.write_text(f"{head}collector:\n{''.join(BLOCKS)}", encoding="utf-8")
    collector = load_policy(project.policy).collector
    assert [source.name for source in collector.sources] == ["app", "otel", "exported", "metrics", "gc"]
    assert collector.volume is not None
    assert collector.exposure is not None


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_a_command_is_one(call: list[str]) -> None:
    name, *arguments = call
    assert name in COMMANDS
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, [*arguments], resilient_parsing=False, parent=click.Context(cli, **cli.context_settings))


def test_what_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
