"""`phasegate docs`: renews the tables that documents repeat from the policy, or says which are out of step."""

from __future__ import annotations

import os
from pathlib import Path

import click

from checker.cli import say
from checker.errors import Problem, UsageError


@click.command(name="docs")
@click.option(
    "--policy",
    "policy_path",
    type=click.Path(path_type=Path),
    default=Path("policy/policy.yaml"),
    show_default=True,
    help="The policy file.",
)
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit 1 where a table is out of step.")
def command(policy_path: Path, only_check: bool) -> None:
    """Renew the generated tables in docs/design/*.md from the policy.

    Only what stands between <!-- phasegate:NAME --> and <!-- /phasegate:NAME --> is written. The tables are phases,
    thresholds, gates and notices.
    """
    from checker.governance.documents import documents, outdated, read, renew
    from checker.policy.load import load_policy

    policy = load_policy(policy_path)
    found = {path.relative_to(policy.root).as_posix(): read(path) for path in documents(policy.root)}
    if not found:
        raise UsageError(
            "no document in docs/design/ holds a table; put <!-- phasegate:phases --> and its end into one"
        )
    if only_check:
        _report([problem for name, text in found.items() for problem in outdated(policy, text, name)], len(found))
        return
    renewed = {name: renew(policy, text, name) for name, text in found.items()}
    for name, text in renewed.items():
        if text != found[name]:
            _replace(policy.root / name, text)
            say.text(f"{name}: renewed")
        else:
            say.text(f"{name}: in step")


def _report(problems: list[Problem], count: int) -> None:
    """Say what is out of step; exit 1 where something is."""
    if not problems:
        say.text(f"{count} {'document is' if count == 1 else 'documents are'} in step with the policy")
        return
    for problem in problems:
        say.note(str(problem))
    raise click.exceptions.Exit(1)


def _replace(path: Path, text: str) -> None:
    """Write the whole file or nothing: a crash leaves the old one."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)  # a crash may have left it, and a stranger a link
    with beside.open("x", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
