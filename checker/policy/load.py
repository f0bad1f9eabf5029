"""`policy.yaml` → Policy: strict, every fault at its line, all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from checker.errors import GovernedFilesInvalid, Problem
from checker.policy.build import build_policy
from checker.policy.cross_checks import cross_check_faults
from checker.policy.cursor import Cursor
from checker.policy.files import content_problems, file_faults, strange_entries, unused_files
from checker.policy.governing_rules import governance_faults
from checker.policy.model import Policy
from checker.policy.rules import (
    command_faults,
    freeze_faults,
    gate_faults,
    limit_faults,
    notice_faults,
    one_line_faults,
    phase_faults,
    rollback_faults,
    span_faults,
)
from checker.policy.source_rules import source_faults
from checker.policy.thresholds import threshold_faults
from checker.policy.yaml_tree import Tree, read_yaml
from checker.regular import is_link
from checker.schemas import Fault, tool_schema, validate

RULES: tuple[Callable[[Cursor], Iterator[Fault]], ...] = (
    one_line_faults,
    phase_faults,
    gate_faults,
    notice_faults,
    span_faults,
    limit_faults,
    rollback_faults,
    freeze_faults,
    command_faults,
    threshold_faults,
    cross_check_faults,
    source_faults,
    governance_faults,
)


class Location(NamedTuple):
    """Where a policy lies: its file, its project, and its path as messages show it."""

    path: Path
    root: Path
    shown_as: str


def load_policy(path: Path) -> Policy:
    """The policy in the file `path`, whose folder's parent is the project's root.

    Raises GovernedFilesInvalid with every fault of the policy, and of the files that it names or forgets.
    """
    location = locate(path)
    tree = read_yaml(location.path, location.shown_as)
    problems = [*tree.problems, *_content_problems(tree, location)]
    if problems:
        raise GovernedFilesInvalid(problems)
    return build_policy(tree.value, location.path, location.root)


def locate(path: Path) -> Location:
    """Where the policy `path` lies; links above the project are followed, the policy's folder and file are none.

    Raises GovernedFilesInvalid where those links go in a circle, or the folder is a link: the project is its parent.
    """
    try:
        folder = path.parent.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise GovernedFilesInvalid([Problem(path.name, 0, 0, "its folder cannot be reached")]) from error
    if is_link(path.parent):
        raise GovernedFilesInvalid([Problem(f"{path.parent.name}", 0, 0, "is a link; put the folder itself there")])
    root = folder.parent
    place = folder / path.name
    return Location(place, root, place.relative_to(root).as_posix())


def _content_problems(tree: Tree, location: Location) -> Iterator[Problem]:
    if not tree.is_readable:
        return
    policy = Cursor(tree.value)
    policy_folder = location.path.parent.relative_to(location.root).as_posix()
    yield from tree.told_once(
        validate(tree.value, tool_schema("policy")),
        (fault for rule in RULES for fault in rule(policy)),
        file_faults(policy, location.root, policy_folder),
    )
    yield from unused_files(policy, location.root, policy_folder, location.shown_as)
    yield from strange_entries(policy, location.root, policy_folder)
    yield from content_problems(policy, location.root, policy_folder)
