"""Who is an author of a change, and what a stranger to `review` and `approve` is told who stumbles."""

from __future__ import annotations

from pathlib import Path

import pytest

from checker.errors import GovernedFilesInvalid
from checker.reviewing import git
from checker.reviewing.revision import authors_of, both_revisions
from tests.commands import phasegate
from tests.policy_repository import AUTHOR, POLICY_FILE, Edit, PolicyRepository, make_repository
from tests.signing import make_key

LOOSER = Edit(POLICY_FILE, "A: 2.5, B", "A: 2.6, B")
SRE = "sre@autosave.example"


@pytest.fixture
def repository(tmp_path: Path) -> PolicyRepository:
    return make_repository(tmp_path / "project", as_shipped=True)


def committed_by_sre(repository: PolicyRepository, *paths: str) -> None:
    for path in paths:
        place = repository.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x", encoding="utf-8")
    repository.git("add", "--all", "--force")
    repository.git("-c", f"user.email={SRE}", "commit", "--quiet", "--allow-empty", "--message", "by the SRE")


def authors(repository: PolicyRepository) -> frozenset[str]:
    with both_revisions(repository.policy, "base", "HEAD") as (found, before, after):
        return authors_of(found, before, after, ())


@pytest.mark.parametrize(
    ("paths", "is_author"),
    [
        (("policy/approvals/a.yaml",), False),
        (("policy/approvals/a.yaml", "policy/templates/more.j2"), True),
        (("policy/approvals.yaml",), True),
        ((), True),
    ],
)
def test_who_commits_approvals_alone_is_no_author(
    paths: tuple[str, ...], is_author: bool, repository: PolicyRepository
) -> None:
    repository.change([LOOSER])
    committed_by_sre(repository, *paths)
    assert authors(repository) == ({AUTHOR, SRE} if is_author else {AUTHOR})


def test_a_path_that_looks_like_a_commit_hides_nothing(tmp_path: Path) -> None:
    """The project's folder sorts before a commit's name, so that the path of the approval comes first."""
    made = make_repository(tmp_path / "top" / "!project", as_shipped=True)
    (made.root / ".git").rename(made.root.parent / ".git")
    made.commit("moved")
    made.git("tag", "--force", "base")
    first = made.change([LOOSER])
    committed_by_sre(made, "policy/approvals/a.yaml", f"../{first}", "../zzz.sql")
    assert authors(made) == {AUTHOR, SRE}


def test_approvals_are_counted_for_themselves(repository: PolicyRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    files = repository.git("ls-files", "policy", "queries", "schemas", "constraints.txt").splitlines()
    monkeypatch.setattr(git, "MAX_FILES", len(files))
    committed_by_sre(repository, "policy/approvals/a.yaml", "policy/approvals/b.yaml")
    assert authors(repository) == set()
    monkeypatch.setattr(git, "MAX_APPROVALS", 1)
    with pytest.raises(GovernedFilesInvalid, match="policy/approvals: 2 files of 0 MiB"):
        authors(repository)


def test_a_policy_that_is_not_there_is_told_as_that(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    done = phasegate(capsys, "review", "--base", "HEAD", "--policy", tmp_path / "nope.yaml")
    assert done.code == 2
    assert "nope.yaml: there is no such file" in done.err
    assert "git repository" not in done.err


def test_the_path_that_was_looked_for_in_a_revision_is_told(
    repository: PolicyRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    other = repository.root / "sub" / POLICY_FILE
    other.parent.mkdir(parents=True)
    other.write_bytes(repository.policy.read_bytes())
    done = phasegate(capsys, "review", "--base", "base", "--policy", other)
    assert done.code == 2
    assert "is not there in base, where sub/policy/policy.yaml was looked for" in done.err


def test_a_repository_that_git_does_not_open_is_told_with_the_way_out(
    repository: PolicyRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository.root / ".git/HEAD").unlink()
    done = phasegate(capsys, "review", "--base", "base", "--policy", repository.policy)
    assert done.code == 2
    assert 'git config --global --add safe.directory "$PWD"' in done.err
    assert str(repository.root) not in done.err


def test_a_base_without_keys_is_told_as_the_base(
    repository: PolicyRepository, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    key = make_key(tmp_path / "keys", "sre")
    repository.change([LOOSER])
    words = ("--role", "SRE", "--by", "Ada", "--reason", "seen", "--key", key.file)
    done = phasegate(capsys, "approve", *words, "--base", "base", "--policy", repository.policy)
    assert done.code == 1
    assert "policy/allowed_signers of the base is missing or empty" in done.err
    assert "merge your keys first, see docs/approvals.md" in done.err


def test_the_help_names_the_policy_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert "required with --base" in phasegate(capsys, "approve", "--help").out
    assert "a policy change" in " ".join(phasegate(capsys, "--help").out.split())
