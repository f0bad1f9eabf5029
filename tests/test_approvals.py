"""Approvals of a policy change: who must give them, which count, and every way in which one does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from checker.acting import Person
from checker.analyzer.governed import load_governed
from checker.approving import Signing, approve_change
from checker.errors import PhasegateError, Refused, UsageError
from checker.governance.approval_document import Document, Entry, Found, document_text, file_name, read_document
from checker.governance.approval_files import (
    MAX_TOLD,
    add_approval,
    find_approvals,
    names_of_approvals,
    signers_of,
)
from checker.governance.approval_subjects import (
    Reviewed,
    Terms,
    advance_payload,
    base_digest,
    canonical,
    change_payload,
    incident_payload,
    signers_digest,
)
from checker.governance.approvals import NOBODY, approvals_of, required
from checker.governance.direction import Change, Direction, Place
from checker.governance.reviewed import Approvals, Signed
from checker.governance.signatures import sign, verifier
from checker.governance.validation import validate_governed
from checker.policy.governing import ApprovalRule, Governance
from checker.policy.model import Policy
from checker.reporter.notice_tells import template_faults
from checker.windows import parse_iso
from tests.rollouts import POLICY, governed_of
from tests.signing import NOW, Key, keygen, listing, make_key, signed_change, terms

SRE, COMMITTEE = "SRE", "Governance committee"
PEOPLE = {
    SRE: ("ada@x.example", "bob@x.example", "eve@x.example"),
    "Dev Lead": ("ada@x.example",),
    COMMITTEE: ("gov@x.example",),
}
BOTH = ("loosening", "unknown")
RULES = (
    ApprovalRule(BOTH, ("C",), {COMMITTEE: 1, SRE: 1}),
    ApprovalRule(BOTH, (), {SRE: 1}),
)
BASE = replace(governed_of(POLICY).policy, governance=Governance(people=PEOPLE, rules=RULES))
REVIEWED = Reviewed("a" * 64, "b" * 64, "c" * 64, "loosening", "1.5.0")
AUTHOR = frozenset({"eve@x.example", "eve-login"})


def change(
    direction: Direction = Direction.LOOSENING, *phases: str, subject: str = "slos.failure_rate.threshold"
) -> Change:
    return Change("policy", subject, "threshold", direction, "1 %", "2 %", "", Place("policy/policy.yaml", 1), phases)


IN_A = (change(Direction.LOOSENING, "A"),)
IN_C = (change(Direction.LOOSENING, "C"),)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((), {}),
        ((change(Direction.NEUTRAL, "C"), change(Direction.TIGHTENING, "C")), {}),
        (IN_A, {SRE: 1}),
        (IN_C, {COMMITTEE: 1, SRE: 1}),
        ((change(Direction.UNKNOWN),), {COMMITTEE: 1, SRE: 1}),  # no phases: all of them
        ((*IN_A, *IN_C), {COMMITTEE: 1, SRE: 1}),
        ((change(Direction.LOOSENING, "D"),), {SRE: 1}),  # a phase that head adds
    ],
)
def test_who_must_approve(changes: tuple[Change, ...], expected: Mapping[str, int]) -> None:
    found = required(BASE, changes)
    assert {row.role: row.count for row in found} == expected
    assert all(row.missing == row.count for row in found)


@pytest.mark.parametrize(
    ("rules", "changes", "expected"),
    [
        # per role the most counts, whichever rule asks for it
        ((ApprovalRule(BOTH, (), {SRE: 1}), ApprovalRule(BOTH, ("A",), {SRE: 3})), IN_A, {SRE: 3}),
        ((ApprovalRule(BOTH, (), {SRE: 3}), ApprovalRule(BOTH, ("A",), {SRE: 1})), IN_A, {SRE: 3}),
        # no rule fits: the approvers of the phase, each once
        ((), IN_A, {SRE: 1, "Dev Lead": 1}),
        ((), IN_C, {COMMITTEE: 1}),
        ((ApprovalRule(("loosening",), (), {"X": 2}),), (change(Direction.UNKNOWN, "B"),), {SRE: 1}),
        # it fits in one phase and not in another: both are asked
        ((ApprovalRule(BOTH, ("A",), {"X": 2}),), (change(Direction.LOOSENING, "A", "C"),), {"X": 2, COMMITTEE: 1}),
        # a phase that base has not, and no rule: every approver there is
        ((), (change(Direction.LOOSENING, "D"),), {SRE: 1, "Dev Lead": 1, COMMITTEE: 1}),
    ],
)
def test_rules_add_up_and_what_no_rule_speaks_of_is_not_free(
    rules: tuple[ApprovalRule, ...], changes: tuple[Change, ...], expected: Mapping[str, int]
) -> None:
    base = replace(BASE, governance=Governance(people=PEOPLE, rules=rules))
    assert {row.role: row.count for row in required(base, changes)} == expected


def test_why_is_told() -> None:
    by_rule, fallback = required(BASE, IN_A), required(replace(BASE, governance=Governance()), IN_A)
    assert by_rule[0].why == "governance.approvals[1]: slos.failure_rate.threshold (loosening, phase A)"
    assert fallback[0].why == (
        "no rule of governance.approvals fits slos.failure_rate.threshold (loosening, phase A), so every approver of"
        " phase A is asked; governance.people of the base lists nobody for it"
    )


def test_a_base_without_any_approver_lets_nothing_through() -> None:
    phases = tuple(replace(phase, approvers=()) for phase in BASE.phases)
    (asked,) = required(replace(BASE, phases=phases, governance=Governance()), IN_A)
    assert (asked.role, asked.missing) == (NOBODY, 1)


@dataclass
class Scene:
    """Keys, and the signers of the base."""

    folder: Path
    keys: Mapping[str, Key]
    signers: bytes

    def entry(self, key: str, words: Terms, reviewed: Reviewed = REVIEWED) -> Entry:
        """An approval with these words, signed with that key."""
        return Entry(words, signed_change(self.keys[key], reviewed, words))

    def judge(
        self,
        *entries: Entry,
        changes: tuple[Change, ...] = IN_A,
        authors: frozenset[str] = AUTHOR,
        reviewed: Reviewed = REVIEWED,
        signers: bytes | None = None,
        at: str = "2026-03-02T00:00:00Z",
    ) -> Approvals:
        """What the approvals in a file of theirs come to."""
        text = document_text(Document(reviewed.digest, reviewed, entries))
        found = read_document(text, f"policy/approvals/{file_name(reviewed.digest)}")
        verify = verifier(self.signers if signers is None else signers, parse_iso(at))
        return approvals_of(BASE, reviewed, changes, found, verify, authors, parse_iso(at))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("keys")
    names = ("ada", "ada-2", "bob", "eve", "gov", "mallory", "pattern")
    keys = {name: make_key(folder, name) for name in names}
    lines = {
        "ada@x.example,ada-login": keys["ada"],
        "Ada@X.example,ada@x.example": keys["ada-2"],
        "bob@x.example": keys["bob"],
        "eve@x.example,eve-login": keys["eve"],
        "gov@x.example": keys["gov"],
        "*@x.example": keys["pattern"],
    }
    return Scene(folder, keys, listing(lines))


def refusals(approvals: Approvals) -> list[str | None]:
    return [signed.refused for signed in approvals.present]


def test_what_is_asked_is_enough(scene: Scene) -> None:
    in_a = scene.judge(scene.entry("ada", terms()))
    assert (in_a.is_enough, in_a.problems, refusals(in_a)) == (True, (), [None])
    assert in_a.digest == REVIEWED.digest
    assert in_a.present == (
        Signed("SRE", "Ada", terms().reason, NOW, NOW + timedelta(days=7), None, ("ada@x.example", "ada-login")),
    )
    half = scene.judge(scene.entry("ada", terms()), changes=IN_C)
    assert (half.is_enough, {row.role: row.missing for row in half.required}) == (False, {COMMITTEE: 1, SRE: 0})
    whole = scene.judge(scene.entry("ada", terms()), scene.entry("gov", terms(COMMITTEE)), changes=IN_C)
    assert (whole.is_enough, whole.problems) == (True, ())


@pytest.mark.parametrize("direction", ["neutral", "tightening"])
def test_nothing_is_asked_of_what_only_tightens(direction: str) -> None:
    reviewed, changes = replace(REVIEWED, direction=direction), (change(Direction.TIGHTENING),)
    approvals = approvals_of(BASE, reviewed, changes, Found("x.yaml"), verifier(b"", NOW), frozenset(), NOW)
    assert (approvals.is_enough, approvals.required, approvals.problems) == (True, (), ())


@pytest.mark.parametrize("direction", ["loosening", "unknown"])
def test_a_direction_that_no_change_accounts_for_is_not_let_through(direction: str, scene: Scene) -> None:
    reviewed = replace(REVIEWED, direction=direction)
    approvals = scene.judge(scene.entry("ada", terms(), reviewed), changes=(), reviewed=reviewed)
    assert not approvals.is_enough
    assert "none of its parts says why" in approvals.problems[0]


Make = Callable[[Scene], Entry]
FORGED: dict[str, tuple[Make, str]] = {
    "with another's key": (
        lambda scene: scene.entry("mallory", terms()),
        "is signed with a key that policy/allowed_signers does not list (SHA256:",
    ),
    "for a role of another": (
        lambda scene: scene.entry("ada", terms(COMMITTEE)),
        "the key is that of ada@x.example, ada-login, who may not speak for 'Governance committee'"
        " (governance.people: gov@x.example)",
    ),
    "for no role at all": (
        lambda scene: scene.entry("ada", terms("Emperor")),
        "governance.people lists nobody for the role 'Emperor'",
    ),
    "by a pattern": (
        lambda scene: scene.entry("pattern", terms()),
        "its key is listed in policy/allowed_signers for a pattern alone (*@x.example); list the person by name",
    ),
    "copied from another base": (
        lambda scene: scene.entry("ada", terms(), replace(REVIEWED, base_digest="d" * 64)),
        "the signature does not fit: something was changed after it was signed, or it is of something else",
    ),
    "copied from another head": (
        lambda scene: scene.entry("ada", terms(), replace(REVIEWED, governed_digest="d" * 64)),
        "the signature does not fit",
    ),
    "copied from other signers": (
        lambda scene: scene.entry("ada", terms(), replace(REVIEWED, signers_digest="d" * 64)),
        "the signature does not fit",
    ),
    "copied from another direction": (
        lambda scene: scene.entry("ada", terms(), replace(REVIEWED, direction="neutral")),
        "the signature does not fit",
    ),
    "copied from another engine": (
        lambda scene: scene.entry("ada", terms(), replace(REVIEWED, engine="1.4.0")),
        "the signature does not fit",
    ),
    "of an advance": (
        lambda scene: Entry(
            terms(), sign(advance_payload("autosave", "C", NOW, "a" * 64, terms()), scene.keys["ada"].file)
        ),
        "the signature does not fit",
    ),
    "of an incident": (
        lambda scene: Entry(terms(), sign(incident_payload("autosave", "incident-1", terms()), scene.keys["ada"].file)),
        "the signature does not fit",
    ),
    "in git's namespace": (
        lambda scene: Entry(
            terms(),
            keygen(
                "-q", "-Y", "sign", "-n", "git", "-f", scene.keys["ada"].file, stdin=change_payload(REVIEWED, terms())
            ).decode(),
        ),
        "is signed in the namespace 'git', not 'phasegate'",
    ),
    "with no signature": (lambda _: Entry(terms(), "looks good to me\n"), "is no SSH signature"),
    "expired": (
        lambda scene: scene.entry("ada", terms(until="2026-03-02T00:00:00Z")),
        "expired at 2026-03-02T00:00:00Z (it is 2026-03-02T00:00:00Z); approve again",
    ),
    "still to come": (
        lambda scene: scene.entry("ada", terms(signed=parse_iso("2026-03-02T00:05:01Z"))),
        "was signed at 2026-03-02T00:05:01Z, which is still to come (it is 2026-03-02T00:00:00Z)",
    ),
    "for too long": (
        lambda scene: scene.entry("ada", terms(until="2026-03-31T12:00:01Z")),
        "would hold until 2026-03-31T12:00:01Z; governance.valid_for allows until 2026-03-31T12:00:00Z",
    ),
    "ended before it began": (
        lambda scene: scene.entry("ada", terms(until="2026-03-01T12:00:00Z")),
        "expires at 2026-03-01T12:00:00Z, before it was signed (2026-03-01T12:00:00Z)",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_does_not_count(name: str, scene: Scene) -> None:
    make, why = FORGED[name]
    approvals = scene.judge(make(scene))
    assert not approvals.is_enough
    assert [row.missing for row in approvals.required] == [1]
    assert str(refusals(approvals)[0]).startswith(why), refusals(approvals)


@pytest.mark.parametrize(
    "words",
    [
        terms(until="2026-03-02T00:00:01Z"),
        terms(until="2026-03-31T12:00:00Z"),  # exactly valid_for
        terms(signed=parse_iso("2026-03-02T00:05:00Z")),  # a clock that is five minutes ahead
    ],
)
def test_the_last_that_counts(words: Terms, scene: Scene) -> None:
    assert scene.judge(scene.entry("ada", words)).is_enough


@pytest.mark.parametrize("field", ["role", "name", "reason", "signed_at", "expires_at"])
def test_an_edited_word_voids_it(field: str, scene: Scene) -> None:
    entry = scene.entry("ada", terms())
    other = {"role": "Dev Lead", "name": "Adа", "reason": "", "signed_at": NOW + timedelta(seconds=1)}
    edited = replace(entry.terms, **{field: other.get(field, entry.terms.expires_at - timedelta(seconds=1))})
    edited = replace(edited, reason=edited.reason or "it is safe")
    found = scene.judge(Entry(edited, entry.signature))
    assert "the signature does not fit" in str(refusals(found)[0])


def test_every_byte_of_the_file_counts(scene: Scene) -> None:
    """Whatever byte is changed: nothing counts, or the file says the very same."""
    path = f"policy/approvals/{file_name(REVIEWED.digest)}"
    entry = scene.entry("ada", terms())
    text = document_text(Document(REVIEWED.digest, REVIEWED, (entry,)))
    verify, unknown = verifier(scene.signers, NOW), 0
    for place in range(text.index("schema_version"), len(text), 11):
        edited = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]
        found = read_document(edited, path)
        same = found.document is not None and found.document.entries == (entry,)
        approvals = approvals_of(BASE, REVIEWED, IN_A, found, verify, AUTHOR, NOW)
        assert approvals.is_enough is same, (place, edited)
        unknown += not same
    assert unknown > 60


def test_the_author_cannot_approve_alone(scene: Scene) -> None:
    eve, ada = scene.entry("eve", terms(name="Eve")), scene.entry("ada", terms())
    alone = scene.judge(eve)
    assert not alone.is_enough
    assert refusals(alone) == [None]
    assert alone.problems == (
        "1 approval of the change's own authors alone (eve-login, eve@x.example); somebody else must approve too",
    )
    assert scene.judge(eve, ada).is_enough
    assert scene.judge(eve, authors=frozenset({"other@x.example"})).is_enough


@pytest.mark.parametrize("author", ["EVE@X.EXAMPLE", "Eve-Login", "eve-login"])
def test_an_author_is_known_by_any_of_their_names(author: str, scene: Scene) -> None:
    assert not scene.judge(scene.entry("eve", terms()), authors=frozenset({author})).is_enough


def test_all_authors_together_are_still_the_authors(scene: Scene) -> None:
    entries = scene.entry("eve", terms()), scene.entry("ada", terms())
    assert not scene.judge(*entries, authors=AUTHOR | {"ada-login"}).is_enough


def test_where_the_author_is_not_known_nobody_can_tell(scene: Scene) -> None:
    found = scene.judge(scene.entry("ada", terms()), authors=frozenset({" "}))
    assert not found.is_enough
    assert "who made the change is not known" in found.problems[0]


def test_self_signed_by_adding_oneself_to_the_heads_signers(scene: Scene) -> None:
    """The base's signers are asked; head's are only digested, so that a change of them is seen."""
    mallory = scene.keys["mallory"]
    heads = scene.signers + mallory.line("bob@x.example").encode()
    reviewed = replace(REVIEWED, signers_digest=signers_digest(heads))
    entry = scene.entry("mallory", terms(), reviewed)
    assert not scene.judge(entry, reviewed=reviewed).is_enough
    assert scene.judge(entry, reviewed=reviewed, signers=heads).is_enough  # had it been asked of head


def test_a_person_counts_once_for_a_role(scene: Scene) -> None:
    base = replace(BASE, governance=Governance(people=PEOPLE, rules=(ApprovalRule(BOTH, (), {SRE: 2}),)))
    judge = partial(approvals_of, base, REVIEWED, IN_A, verify=verifier(scene.signers, NOW), authors=AUTHOR, as_of=NOW)

    def found(*entries: Entry) -> Found:
        return Found("x", Document(REVIEWED.digest, REVIEWED, entries))

    ada, again = scene.entry("ada", terms()), scene.entry("ada-2", terms(name="Ada Lovelace"))
    twice = judge(found=found(ada, ada))
    assert (twice.is_enough, twice.required[0].missing) == (False, 1)
    assert refusals(twice) == [None, "Ada has approved for 'SRE' already (ada@x.example, ada-login)"]
    assert refusals(judge(found=found(ada, again)))[1] is not None  # another key of the same person
    assert judge(found=found(ada, scene.entry("bob", terms(name="Bob")))).is_enough
    other_role = scene.entry("ada", terms("Dev Lead"))
    assert refusals(judge(found=found(ada, other_role))) == [None, None]
    bad = replace(ada, signature="none\n")
    assert refusals(judge(found=found(bad, ada)))[1] is None  # one that was refused takes nobody's place


def test_a_key_that_was_revoked(scene: Scene) -> None:
    ada = scene.keys["ada"]
    signers = ada.line("ada@x.example", 'valid-before="20260301235959"').encode()
    entry = scene.entry("ada", terms())
    assert scene.judge(entry, signers=signers, at="2026-03-01T23:59:59Z").is_enough
    late = scene.judge(entry, signers=signers, at="2026-03-02T00:00:00Z")
    assert str(refusals(late)[0]).startswith("policy/allowed_signers:1: key has expired")


def test_a_digest_is_of_everything_that_was_reviewed() -> None:
    digests = {
        Reviewed(words[0], signers_digest(signers), *words[1:]).digest
        for words in (
            ("a" * 64, "c" * 64, "loosening", "1.5.0"),
            ("d" * 64, "c" * 64, "loosening", "1.5.0"),
            ("a" * 64, "d" * 64, "loosening", "1.5.0"),
            ("a" * 64, "c" * 64, "unknown", "1.5.0"),
            ("a" * 64, "c" * 64, "loosening", "1.5.1"),
        )
        for signers in (b"", b"ada ssh-ed25519 A\n")
    }
    assert len(digests) == 10
    assert base_digest("a" * 64, b"") != base_digest("a" * 64, b"x") != base_digest("b" * 64, b"x")


def test_the_bytes_that_are_signed() -> None:
    assert canonical({"b": 1, "a": {"é": [1, None]}}) == b'{"a":{"\\u00e9":[1,null]},"b":1}'
    assert change_payload(REVIEWED, terms()) == (
        b'{"expires_at":"2026-03-08T12:00:00Z","name":"Ada","of":{"base_digest":"' + b"c" * 64 + b'","digest":"'
        + REVIEWED.digest.encode() + b'","direction":"loosening","engine":"1.5.0","governed_digest":"' + b"a" * 64
        + b'","signers_digest":"' + b"b" * 64 + b'"},"phasegate":1,"reason":"the canary is too slow to see it",'
        b'"role":"SRE","signed_at":"2026-03-01T12:00:00Z","subject":"policy_change"}'
    )  # fmt: skip


TEXT = document_text(Document(REVIEWED.digest, REVIEWED, (Entry(terms(), "none\n"),)))
NAME = f"policy/approvals/{file_name(REVIEWED.digest)}"
# as it stands in the file, what is put there, and what is told of it
FAULTS: tuple[tuple[str, str, str], ...] = (
    ("schema_version: 1", "schema_version: 2", ":2:17: schema_version: expected 1, found 2"),
    ("schema_version: 1\n", "", ":2:1: 'schema_version' is missing"),
    ("    name:", "  - name:", ":11:5: approvals[0]: 'name' is missing"),
    ("  - role", "  - rule", ":11:5: approvals[0].rule: unknown key 'rule'; did you mean 'role'?"),
    ("    name:", "    admin: true\n    name:", ":12:5: approvals[0].admin: unknown key 'admin'"),
    ("    name:", "    name: x\n    name:", ":13:5: approvals[0].name: "),
    ('name: "Ada"', "name: &ada Ada", ":12:"),
    ('name: "Ada"', "name: yes", ":12:11: approvals[0].name: 'yes' is read as true"),
    ("2026-03-08", "2026-02-30", ":15:17: approvals[0].expires_at: '2026-02-30T12:00:00Z' is no time"),
    ("2026-03-08T12:00:00Z", "in a week", ":15:17: approvals[0].expires_at: expected a UTC time such as"),
    (f'"{REVIEWED.digest}"', '"abc"', ":3:9: digest: expected a SHA-256 digest of 64 hexadecimal digits, found 'abc'"),
    (REVIEWED.digest, "e" * 64, f": lies under the wrong name: its digest is {'e' * 64}; no approval in it counts"),
    ('"loosening"', '"neutral"', ": was edited: what it says was reviewed comes to "),
    (TEXT, "", ":1:1: the file is empty"),
    (TEXT, "approvals: [", ":1:13: is no YAML: "),
    (TEXT, "[]", ":1:1: expected a mapping, found an empty list"),
    (TEXT, "{" * 100, ":1:"),
    ("approvals:", "--- \napprovals:", ":10:1: a second document starts here"),
)


@pytest.mark.parametrize(("old", "new", "told"), FAULTS)
def test_a_file_that_is_faulty_counts_for_nobody(old: str, new: str, told: str) -> None:
    assert TEXT.count(old) >= 1
    found = read_document(TEXT.replace(old, new, 1), NAME)
    assert found.document is None
    assert any(problem.startswith(f"{NAME}{told}") for problem in found.problems), found.problems
    approvals = approvals_of(BASE, REVIEWED, IN_A, found, verifier(b"", NOW), AUTHOR, NOW)
    assert (approvals.is_enough, approvals.problems, approvals.present) == (False, found.problems, ())


@pytest.mark.parametrize("name", ["Ada", 'Ada "the" \\ Countess', "Zoë 😀 Müller", "- x: #1", "yes", "' |"])
def test_what_is_written_is_read_back(name: str, scene: Scene) -> None:
    entries = (scene.entry("ada", terms(name=name)), Entry(terms(COMMITTEE, name), "none\n"))
    document = Document(REVIEWED.digest, REVIEWED, entries)
    assert read_document(document_text(document), NAME) == Found(NAME, document)


# ---- the folder beside the policy ----


@pytest.fixture
def head(tmp_path: Path) -> Policy:
    """The policy of a copy of the project."""
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(POLICY.parent.parent / folder, tmp_path / folder)
    return load_governed(tmp_path / "policy" / "policy.yaml").policy


def test_signers_and_approvals_are_no_part_of_the_governed_files(head: Policy, scene: Scene) -> None:
    before = load_governed(head.path)
    (head.path.parent / "allowed_signers").write_bytes(scene.signers)
    add_approval(head, REVIEWED, scene.entry("ada", terms()))
    after = load_governed(head.path)
    assert (after.governed_digest, after.judging_digest) == (before.governed_digest, before.judging_digest)
    assert validate_governed(head.path, template_faults).problems == ()


def test_approvals_are_added_one_after_the_other(head: Policy, scene: Scene) -> None:
    assert find_approvals(head, REVIEWED.digest) == Found(NAME)
    first, second = scene.entry("ada", terms()), scene.entry("bob", terms(name="Bob"))
    path = add_approval(head, REVIEWED, first)
    assert path == head.root / NAME
    add_approval(head, REVIEWED, second)
    document = find_approvals(head, REVIEWED.digest).document
    assert document is not None
    assert document.entries == (first, second)
    assert names_of_approvals(head) == {file_name(REVIEWED.digest)}


def test_a_faulty_file_is_neither_read_nor_written_over(head: Policy, scene: Scene) -> None:
    path = head.root / NAME
    path.parent.mkdir()
    path.write_text(TEXT.replace("role", "rule"))
    with pytest.raises(UsageError, match=r"unknown key 'rule'(.|\n)*nothing was written"):
        add_approval(head, REVIEWED, scene.entry("ada", terms()))
    assert path.read_text() == TEXT.replace("role", "rule")


def test_links_are_not_followed(head: Policy, scene: Scene, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / file_name(REVIEWED.digest)).write_text(TEXT)
    (head.path.parent / "approvals").symlink_to(elsewhere)
    found = find_approvals(head, REVIEWED.digest, known=())
    assert found.document is None
    assert "link" in found.problems[0]
    with pytest.raises(PhasegateError):
        add_approval(head, REVIEWED, scene.entry("ada", terms()))
    (head.path.parent / "allowed_signers").symlink_to(elsewhere / "signers")
    with pytest.raises(UsageError, match="policy/allowed_signers: is a link"):
        signers_of(head)


def test_a_file_of_something_else_is_told_of(head: Policy, scene: Scene) -> None:
    other = replace(REVIEWED, base_digest="d" * 64)
    add_approval(head, other, scene.entry("ada", terms(), other))
    folder = head.path.parent / "approvals"
    (folder / "mine.yaml").write_text(TEXT)
    (folder / "merged.yaml").write_text("of an earlier change")
    found = find_approvals(head, REVIEWED.digest, known={"merged.yaml"})
    assert sorted(found.problems) == sorted(
        [
            f"policy/approvals/{other.digest}.yaml: is of digest {other.digest}, not of what is reviewed here"
            f" ({REVIEWED.digest}): base or head has changed since; approve again",
            f"policy/approvals/mine.yaml: lies under the wrong name: its digest is {REVIEWED.digest};"
            " no approval in it counts",
        ]
    )
    assert find_approvals(head, REVIEWED.digest).problems == ()


def approve(head: Policy, scene: Scene, key: str | None, role: str = SRE, **more: object) -> str:
    person = Person(key or "nobody", str(more.get("reason", "seen")))
    signing = Signing(scene.keys[key].file if key else None, more.get("expires"))  # type: ignore[arg-type]
    return approve_change(BASE, head, REVIEWED, IN_C, scene.signers, role, person, signing, NOW)


def test_a_change_is_approved_into_its_file(head: Policy, scene: Scene) -> None:
    told = approve(head, scene, "ada")
    of = f"the change {REVIEWED.digest[:12]} ({REVIEWED.direction}, 1 change)"
    assert told == f"approved: SRE, {of}; still missing: {COMMITTEE}; commit {NAME} with it"
    again = approve(head, scene, "ada-2")
    assert again == f"ada-2 has approved the change for SRE already ({NAME}); nothing was written"
    approve(head, scene, "gov", COMMITTEE)
    found = find_approvals(head, REVIEWED.digest)
    verify = verifier(scene.signers, NOW)
    approvals = approvals_of(BASE, REVIEWED, IN_C, found, verify, AUTHOR, NOW)
    assert (approvals.is_enough, [signed.name for signed in approvals.present]) == (True, ["ada", "gov"])


@pytest.mark.parametrize(
    ("key", "more", "error", "told"),
    [
        ("mallory", {}, Refused, "would not count, and was not recorded: is signed with a key that"),
        ("ada", {"role": COMMITTEE}, Refused, "who may not speak for 'Governance committee'"),
        ("ada", {"role": "SRA"}, UsageError, "'SRA' is no approver of a change"),
        ("ada", {"expires": timedelta(days=31)}, UsageError, "--expires: it would hold until 2026-04-01T12:00:00Z"),
        ("ada", {"reason": ""}, UsageError, "--reason: say why"),
        (None, {}, UsageError, "give your SSH key with --key FILE"),
    ],
)
def test_an_approval_that_would_not_count_is_not_written(
    key: str | None, more: Mapping[str, object], error: type[Exception], told: str, head: Policy, scene: Scene
) -> None:
    with pytest.raises(error) as caught:
        approve(head, scene, key, **dict(more))  # type: ignore[arg-type]
    assert told in str(caught.value)
    assert not (head.root / NAME).exists()


def test_of_many_strangers_the_first_are_read_and_the_rest_are_counted(head: Policy) -> None:
    folder = head.path.parent / "approvals"
    folder.mkdir()
    for number in range(MAX_TOLD + 3):
        (folder / f"{number:05}.yaml").write_text("")
    (folder / f"{MAX_TOLD:05}.yaml").unlink()
    (folder / f"{MAX_TOLD:05}.yaml").mkdir()  # whose fault would be another
    found = find_approvals(head, REVIEWED.digest, known=())
    assert len({problem.partition(".yaml")[0] for problem in found.problems[:-1]}) == MAX_TOLD
    assert found.problems[-1] == "policy/approvals: 3 more new files, which were not read"
