"""A revision's governed files, put down in a folder of their own, so that they are read as any project's are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from checker.analyzer.cache import no_room
from checker.errors import GovernedFilesInvalid, Problem, UsageError
from checker.governance import approval_document
from checker.governance.signatures import SIGNERS
from checker.policy.yaml_tree import read_yaml
from checker.reviewing.git import Blob, Repository, repository_of

WORKING_TREE = "working tree"
# What may lie in a project beside its policy's folder and counts for a review; then what is only held against it.
_FOLDERS = ("queries", "schemas", "constraints.txt", "requirements.txt")
_BESIDE = ("docs", "tests/queries")


@dataclass(frozen=True, slots=True)
class Revision:
    """A project at one revision: where its files lie, and which commit they are; None for the working tree.

    `signers` is who may sign, as OpenSSH's allowed_signers says it; empty where the revision has no such file.
    """

    name: str
    commit: str | None
    policy: Path
    signers: bytes

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.policy.parent.parent

    def text(self, path: str) -> str | None:
        """The text of a file of the project; None where there is none, or it is no text."""
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None


def _revision(name: str, commit: str | None, policy: Path) -> Revision:
    place = policy.parent / SIGNERS
    try:
        signers = b"" if place.is_symlink() else place.read_bytes()
    except OSError:
        signers = b""
    return Revision(name, commit, policy, signers)


@contextmanager
def revision_of(repository: Repository, name: str, policy: Path, option: str = "--base") -> Iterator[Revision]:
    """The project of `policy` at the revision `name`, given with `option`, for as long as the block takes.

    Raises UsageError for a revision that there is not, GovernedFilesInvalid where it has no policy, or links,
    CannotDecide where there is no room for its files.
    """
    commit = repository.commit(name, option)
    folder = policy.parent.name
    with tempfile.TemporaryDirectory(prefix="phasegate-review-") as made:
        root = Path(made).resolve()
        _put_down(repository.blobs(commit, (folder, *_FOLDERS), _BESIDE, f"{folder}/{approval_document.FOLDER}"), root)
        place = root / folder / policy.name
        if not place.is_file():
            looked_for = f"{repository.prefix}{folder}/{policy.name}"
            told = f"is not there in {name}, where {looked_for} was looked for; name another revision with {option}"
            raise GovernedFilesInvalid([Problem(f"{folder}/{policy.name}", 0, 0, f"{told}, or --policy")])
        schema = _event_schema(place)
        if schema is not None and not (root / schema).exists():
            _put_down(repository.blobs(commit, (schema,)), root)
        yield _revision(name, commit, place)


def _put_down(blobs: Iterable[Blob], root: Path) -> None:
    """Write the files below `root`. Raises CannotDecide where there is no room for them."""
    for blob in blobs:
        place = root / blob.path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(blob.content)
        except OSError as fault:
            raise no_room("put a revision's files down in", OSError(fault.errno, fault.strerror)) from fault


def _event_schema(policy: Path) -> str | None:
    """The path of the event schema that the policy names, which may lie in any folder; None where it names none inside
    the project."""
    document = read_yaml(policy, policy.name).value
    path = document.get("event_schema") if isinstance(document, dict) else None
    if not isinstance(path, str) or not path.endswith(".json") or "\0" in path:
        return None
    steps = PurePosixPath(path).parts
    return None if steps[0] == "/" or ".." in steps else path


def _repository(place: Path, policy: Path, head: str | None) -> Repository:
    """The repository of the policy at `place`, given as `policy`. Raises UsageError, first of all for a file that there
    is not: which the working tree must have, and a revision need not."""
    missing = UsageError(f"--policy {policy}: there is no such file; name the project's policy, as policy/policy.yaml")
    if head is None and not place.is_file():
        raise missing
    try:
        return repository_of(place.parent.parent)
    except UsageError:
        if place.is_file():
            raise
        raise missing from None


@contextmanager
def both_revisions(policy: Path, base: str, head: str | None) -> Iterator[tuple[Repository, Revision, Revision]]:
    """The repository, base and head; without `head` the working tree as it lies there.

    Raises as `revision_of` does, and UsageError for a policy that there is not.
    """
    place = policy.parent.resolve() / policy.name
    repository = _repository(place, policy, head)
    with revision_of(repository, base, place) as before:
        if head is None:
            yield repository, before, _revision(WORKING_TREE, None, place)
            return
        with revision_of(repository, head, place, "--head") as after:
            yield repository, before, after


def authors_of(repository: Repository, base: Revision, head: Revision, given: Sequence[str]) -> frozenset[str]:
    """Who wrote the change: of every commit that base lacks, of the working tree, and those named.

    Who adds an approval alone has changed nothing, and is no author of the change.
    """
    newest = head.commit or repository.commit("HEAD")
    approvals = f"{head.policy.parent.name}/{approval_document.FOLDER}"
    found = set(repository.authors(str(base.commit), newest, approvals)) | set(given)
    uncommitted = repository.changed_paths(newest, None) if head.commit is None else ()
    has_changed = any(not path.startswith(f"{approvals}/") for path in uncommitted)
    own = repository.own_address() if has_changed else None
    return frozenset(found | ({own} if own else set()))
