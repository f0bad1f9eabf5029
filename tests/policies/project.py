"""Small projects for the tests of the policy loader: a policy, with a file at each place that it names."""

from __future__ import annotations

import re
from pathlib import Path

from checker.errors import GovernedFilesInvalid
from checker.policy.load import load_policy

FOLDER = Path(__file__).parent
AUTOSAVE = (FOLDER / "autosave.yaml").read_text(encoding="utf-8")

_NAMED = (
    ("queries", r"query: ([\w./-]+)"),
    ("policy/templates", r"template: ([\w./-]+)"),
    ("", r"event_schema: (\S+)"),
)


def make_project(root: Path, policy: str = AUTOSAVE) -> Path:
    """Write `policy` and every file that it names below `root`; the path of the policy."""
    for folder, pattern in _NAMED:
        for name in re.findall(pattern, policy):
            place = root / folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    path = root / "policy" / "policy.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(policy, encoding="utf-8")
    return path


def problems_of(path: Path) -> list[str]:
    """Every problem of the policy `path`, as the user reads it; empty where it loads."""
    try:
        load_policy(path)
    except GovernedFilesInvalid as error:
        return [str(problem) for problem in error.problems]
    return []


def edited(old: str, new: str) -> str:
    """The AutoSave policy with the first `old` replaced; `old` must be there, so that no case is void."""
    assert old in AUTOSAVE, f"{old!r} is not in the policy"
    return AUTOSAVE.replace(old, new, 1)
