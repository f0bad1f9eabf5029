"""A change of the policy from its review to its merge: approved by SSH keys, in a real repository, as it is typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.batches import write_batches
from tests.commands import Done, phasegate
from tests.policy_repository import AUTHOR, POLICY_FILE, Edit, PolicyRepository, make_repository
from tests.signing import Key, make_key

LOOSER_A, LOOSER_C = Edit(POLICY_FILE, "A: 2.5, B", "A: 2.6, B"), Edit(POLICY_FILE, "C: 1.8}", "C: 1.9}")
AS_OF = "2026-01-01T02:05:00Z"
SIGNERS = "policy/allowed_signers"
Ask = Callable[..., Done]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Key]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder, name) for name in ("sre", "committee", "author", "stranger")}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, Key]) -> PolicyRepository:
    """A base whose SREs are sre@ and the change's author, and whose committee is committee@."""
    made = make_repository(tmp_path_factory.mktemp("approvals"), as_shipped=True)
    text = made.policy.read_text(encoding="utf-8")
    head, _, rest = text.partition("  people:")
    people = f"""  people:
    SRE: [sre@autosave.example, {AUTHOR}]
    Dev Lead: [lead@autosave.example]
    Governance committee: [committee@autosave.example]
"""
    after = rest[rest.index("  signed_phases:") :]
    made.policy.write_text(head + people + after, encoding="utf-8")
    lines = [keys[name].line(f"{name}@autosave.example") for name in ("sre", "committee", "author")]
    (made.root / SIGNERS).write_text("".join(lines), encoding="utf-8")
    made.commit("people")
    made.git("tag", "--force", "base")
    return made


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_batches(tmp_path_factory.mktemp("logs"), "C", ["met"] * 2)


@pytest.fixture
def ask(repository: PolicyRepository, logs: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Reviews what lies in the repository."""

    def asked(*more: str, base: str = "base", as_of: str = AS_OF) -> Done:
        where = ("--base", base, "--policy", repository.policy, "--logs", logs, "--as-of", as_of, "--no-cache")
        return phasegate(capsys, "review", *where, "--format", "json", *more)

    return asked


@pytest.fixture
def approve(repository: PolicyRepository, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Approves what lies in the repository."""

    def approved(key: Key, role: str, *more: str, base: str = "base", by: str = "Ada") -> Done:
        words = ("--role", role, "--by", by, "--reason", "measured twice", "--key", key.file)
        where = ("--base", base, "--policy", repository.policy, "--as-of", AS_OF)
        return phasegate(capsys, "approve", *words, *where, *more)

    return approved


def test_a_loosening_is_red_until_each_role_has_signed(
    repository: PolicyRepository, keys: dict[str, Key], ask: Ask, approve: Ask
) -> None:
    repository.change([LOOSER_C])
    first = ask()
    assert first.code == 1
    digest = first.document["approvals"]["digest"]
    done = approve(keys["sre"], "SRE", "--digest", digest[:12])
    assert done.code == 0, done.err
    assert (repository.root / f"policy/approvals/{digest}.yaml").is_file()
    second = ask()
    assert second.code == 1
    assert {row["role"]: row["missing"] for row in second.document["approvals"]["required"]} == {
        "SRE": 0,
        "Governance committee": 1,
    }
    assert approve(keys["committee"], "Governance committee").code == 0
    repository.commit("approved")
    third = ask()
    assert third.code == 0
    assert third.document["approvals"]["digest"] == digest
    assert [row["refused"] for row in third.document["approvals"]["present"]] == [None, None]


def approved_fully(repository: PolicyRepository, keys: dict[str, Key], ask: Ask, approve: Ask) -> Path:
    """LOOSER_C with both approvals; their file."""
    repository.change([LOOSER_C])
    approve(keys["sre"], "SRE")
    approve(keys["committee"], "Governance committee")
    done = ask()
    assert done.code == 0
    return repository.root / f"policy/approvals/{done.document['approvals']['digest']}.yaml"


@pytest.mark.parametrize(
    "path", [POLICY_FILE, "queries/slo/failure_rate.sql", "policy/templates/autosave-ok.j2", SIGNERS]
)
def test_any_byte_of_what_was_reviewed_voids_the_approvals(
    path: str, repository: PolicyRepository, keys: dict[str, Key], ask: Ask, approve: Ask
) -> None:
    approved_fully(repository, keys, ask, approve)
    place = repository.root / path
    comment = "{# more #}" if path.endswith(".j2") else "# more" if "queries" not in path else "-- more"
    place.write_text(f"{place.read_text(encoding='utf-8').rstrip()}\n{comment}\n", encoding="utf-8")
    done = ask()
    assert done.code == 1
    assert done.document["approvals"]["present"] == []
    assert "base or head has changed since; approve again" in " ".join(done.document["approvals"]["problems"])


def test_an_approval_is_used_up_by_the_merge_of_its_change(
    repository: PolicyRepository, keys: dict[str, Key], ask: Ask, approve: Ask
) -> None:
    """Taken back after the merge, because it did harm, and brought again: head and base are what they were."""
    approved_fully(repository, keys, ask, approve)
    repository.commit("merged")
    policy = repository.policy.read_text(encoding="utf-8")
    Edit(LOOSER_C.path, LOOSER_C.new, LOOSER_C.old).make(repository.root)
    reverted = repository.commit("taken back")
    repository.policy.write_text(policy, encoding="utf-8")
    done = ask(base=reverted)
    assert done.code == 1
    told = {row["refused"] for row in done.document["approvals"]["present"]}
    assert told == {"lies in the base: it was given for a change that was merged before; approve again"}
    again = {"base": reverted, "by": "Ada, once more"}
    assert approve(keys["sre"], "SRE", **again).out.startswith("approved: SRE, the change")
    assert approve(keys["committee"], "Governance committee", **again).code == 0
    assert ask(base=reverted).code == 0
    assert "already" in approve(keys["sre"], "SRE", **again).out


def test_an_approval_is_of_no_use_on_another_base(
    repository: PolicyRepository, keys: dict[str, Key], ask: Ask, approve: Ask
) -> None:
    approved_fully(repository, keys, ask, approve)
    repository.commit("approved")
    repository.git("branch", "--force", "approved")
    other = repository.change([Edit(POLICY_FILE, "title: Broad", "title: Wide")])
    repository.git("checkout", "--quiet", "--force", "approved")
    done = ask(base=other)
    assert done.code == 1
    assert done.document["approvals"]["present"] == []


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ("measured twice", "measured once", "the signature does not fit"),
        ('name: "Ada"', 'name: "Eve"', "the signature does not fit"),
        ('role: "SRE"', 'role: "Dev Lead"', "the signature does not fit"),
    ],
)
def test_an_approval_that_was_edited_is_refused(
    old: str, new: str, refused: str, repository: PolicyRepository, keys: dict[str, Key], ask: Ask, approve: Ask
) -> None:
    file = approved_fully(repository, keys, ask, approve)
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    done = ask()
    assert done.code == 1
    assert any(refused in (row["refused"] or "") for row in done.document["approvals"]["present"])


def test_an_approval_expires(repository: PolicyRepository, keys: dict[str, Key], ask: Ask, approve: Ask) -> None:
    approved_fully(repository, keys, ask, approve)
    assert ask("--until", AS_OF, "--since", "2026-01-01T00:00:00Z", as_of="2026-01-30T02:05:00Z").code == 0
    done = ask("--until", AS_OF, "--since", "2026-01-01T00:00:00Z", as_of="2026-02-01T02:05:00Z")
    assert done.code == 1
    assert all("expired" in row["refused"] for row in done.document["approvals"]["present"])


def test_the_author_cannot_approve_alone(
    repository: PolicyRepository, keys: dict[str, Key], ask: Ask, approve: Ask
) -> None:
    repository.change([Edit(POLICY_FILE, "B: 2.0, C: 1.8}", "B: 2.1, C: 1.8}")])  # asks for one SRE
    assert approve(keys["author"], "SRE", by="Author").code == 0
    done = ask()
    assert done.code == 1
    assert "somebody else must approve too" in " ".join(done.document["approvals"]["problems"])
    assert approve(keys["sre"], "SRE").code == 0
    assert ask().code == 0


def test_a_login_of_the_platform_is_an_author_too(
    repository: PolicyRepository, keys: dict[str, Key], ask: Ask, approve: Ask
) -> None:
    repository.change([Edit(POLICY_FILE, "B: 2.0, C: 1.8}", "B: 2.1, C: 1.8}")])
    approve(keys["sre"], "SRE")
    assert ask().code == 0
    assert ask("--author", "SRE@autosave.example").code == 1


@pytest.mark.parametrize(
    ("key", "role", "told"),
    [
        ("stranger", "SRE", "a key that policy/allowed_signers does not list"),
        ("sre", "Governance committee", "may not speak for 'Governance committee'"),
    ],
)
def test_who_may_not_approve_is_told_at_once(
    key: str, role: str, told: str, repository: PolicyRepository, keys: dict[str, Key], approve: Ask
) -> None:
    repository.change([LOOSER_C])
    done = approve(keys[key], role)
    assert done.code == 1
    assert told.replace("policy/", "") in done.err.replace("policy/", "")
    assert not (repository.root / "policy/approvals").exists()


def test_keys_that_the_change_itself_brings_are_of_no_use(
    repository: PolicyRepository, keys: dict[str, Key], approve: Ask
) -> None:
    own = Edit(SIGNERS, keys["sre"].line("sre@autosave.example"), keys["stranger"].line("sre@autosave.example"))
    repository.change([LOOSER_C, own])
    done = approve(keys["stranger"], "SRE")
    assert done.code == 1
    assert "does not list" in done.err


def test_what_was_not_reviewed_is_not_approved(
    repository: PolicyRepository, keys: dict[str, Key], approve: Ask
) -> None:
    repository.change([LOOSER_A])
    assert approve(keys["sre"], "SRE", "--digest", "0" * 12).code == 1
    assert approve(keys["sre"], "SRE", "--digest", "0" * 5).code == 2
    assert approve(keys["sre"], "SRE", "--incident", "INC-1").code == 2
    repository.change([Edit(POLICY_FILE, "C: 1.8}", "C: 1.7}")])
    done = approve(keys["sre"], "SRE")
    assert done.code == 1
    assert "there is nothing to approve" in done.err


def test_an_approval_of_today_holds_over_old_logs(
    repository: PolicyRepository, keys: dict[str, Key], logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.change([Edit(POLICY_FILE, "B: 2.0, C: 1.8}", "B: 2.1, C: 1.8}")])
    where = ("--base", "base", "--policy", repository.policy)
    words = ("--role", "SRE", "--by", "Ada", "--reason", "measured twice", "--key", keys["sre"].file)
    assert phasegate(capsys, "approve", *words, *where).code == 0
    span = ("--logs", logs, "--until", AS_OF, "--no-cache")
    assert phasegate(capsys, "review", *where, *span).code == 0


def committed_by(repository: PolicyRepository, who: str) -> None:
    """Commit all that lies here, as somebody else."""
    repository.git("add", "--all")
    repository.git("-c", f"user.email={who}", "commit", "--quiet", "--message", "by another")


def test_who_commits_an_approval_alone_is_no_author(
    repository: PolicyRepository, keys: dict[str, Key], ask: Ask, approve: Ask
) -> None:
    repository.change([Edit(POLICY_FILE, "B: 2.0, C: 1.8}", "B: 2.1, C: 1.8}")])
    approve(keys["sre"], "SRE")
    committed_by(repository, "sre@autosave.example")
    assert ask().code == 0


def test_who_commits_an_approval_with_a_change_is_an_author(
    repository: PolicyRepository, keys: dict[str, Key], ask: Ask, approve: Ask
) -> None:
    repository.change([])
    Edit(POLICY_FILE, "B: 2.0, C: 1.8}", "B: 2.1, C: 1.8}").make(repository.root)
    approve(keys["sre"], "SRE")
    committed_by(repository, "sre@autosave.example")
    done = ask()
    assert done.code == 1
    assert "authors alone" in " ".join(done.document["approvals"]["problems"])
