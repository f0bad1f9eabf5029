"""docs/review.md: every rule that tells a direction is in its table, and the commands it names are there."""

from __future__ import annotations

import re
from pathlib import Path

from checker.cli.review import FORMATS
from checker.governance.policy_rules import RULES

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs/review.md").read_text(encoding="utf-8")
# Rules of what is no place of the policy.
OTHERS = {"query-tree", "query-header", "query-text", "template-tree", "template-text", "signers", "engine", "no-rule"}


def test_every_rule_is_in_the_table_and_no_other() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([a-z][a-z-]+)`", row.split("|")[1])}
    assert told == {name for _, name, _ in RULES} | OTHERS


def test_the_formats_are_the_commands() -> None:
    assert f"--format {'|'.join(FORMATS)}" in TEXT


def test_what_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT):
        assert (ROOT / "docs" / target).is_file(), target
