"""Where signers and approvals lie beside the policy: `allowed_signers` and `approvals/<digest>.yaml`. The edge."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path

from checker.errors import NotRecorded, UsageError
from checker.governance.approval_document import (
    FOLDER,
    Document,
    Entry,
    Found,
    document_text,
    file_name,
    read_document,
)
from checker.governance.approval_subjects import Reviewed, Verified, Verify
from checker.governance.signatures import SIGNERS, verifier
from checker.policy.governed_text import Refused, governed_bytes, read_governed_text
from checker.policy.model import Policy
from checker.regular import is_link
from checker.units import counted, plain
from checker.whole_file import write_whole

MAX_FILES = 10_000
MAX_TOLD = 50  # new files that are read to say what they are; a change may bring any number


def signers_of(policy: Policy) -> bytes:
    """The bytes of the project's allowed_signers, beside its policy; none where there is no such file.

    Raises UsageError where it cannot be read: a link, say, or a file that is too large.
    """
    try:
        return governed_bytes(policy.path.parent, SIGNERS)
    except FileNotFoundError:
        return b""
    except Refused as refused:
        raise UsageError(f"{_shown(policy)}/{SIGNERS}: {refused}") from None
    except OSError as error:
        raise UsageError(f"{_shown(policy)}/{SIGNERS}: cannot be read: {error.strerror}") from error


def project_verifier(policy: Policy, as_of: datetime) -> Callable[[], Verify]:
    """Makes what says who signed by the project's own allowed_signers, which is read when it is called.

    Where it cannot be read nobody has signed: no verdict may hang on it.
    """

    def made() -> Verify:
        try:
            return verifier(signers_of(policy), as_of)
        except UsageError as fault:
            return functools.partial(_nobody, str(fault))

    return made


def _nobody(why: str, payload: bytes, signature: str) -> Verified:
    del payload, signature
    return Verified(refused=why)


def find_approvals(policy: Policy, digest: str, known: Collection[str] | None = None) -> Found:
    """The approvals of `digest` that lie beside `policy`. Raises nothing for what lies there.

    With `known`, the names of the approvals' files that base has, every other file is told of: an approval of something
    else, or under the wrong name.
    """
    path = f"{_shown(policy)}/{FOLDER}/{file_name(digest)}"
    found = Found(path)
    if os.path.lexists(policy.root / path):
        found = _read(policy.root, path)
    if known is None:
        return found
    strangers = tuple(_strangers(policy, digest, known))
    return Found(path, found.document, (*found.problems, *strangers))


def entries_of(policy: Policy, digest: str) -> tuple[Entry, ...]:
    """The approvals of `digest` that lie beside `policy`; none where the file cannot be used."""
    found = find_approvals(policy, digest)
    return found.document.entries if found.document else ()


def names_of_approvals(policy: Policy) -> frozenset[str]:
    """The names of what lies in the approvals' folder beside `policy`; none where there is no folder."""
    folder = policy.path.parent / FOLDER
    if is_link(folder):
        return frozenset()
    try:
        return frozenset(sorted(os.listdir(folder))[:MAX_FILES])  # noqa: PTH208  names are all that is wanted
    except OSError:
        return frozenset()


def add_approval(policy: Policy, reviewed: Reviewed, entry: Entry) -> Path:
    """Write `entry` to the approvals of `reviewed`, behind those that are there; the file is whole at any time.

    Raises UsageError where the file that is there cannot be used, NotRecorded where it cannot be written.
    """
    found = find_approvals(policy, reviewed.digest)
    if found.problems:
        raise UsageError("\n".join([*found.problems, "remove the file, or restore it; nothing was written"]))
    entries = found.document.entries if found.document else ()
    path = policy.root / found.path
    text = document_text(Document(reviewed.digest, reviewed, (*entries, entry)))
    if told := read_document(text, found.path).problems:
        raise UsageError("\n".join([*told, "nothing was written"]))
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise NotRecorded(f"{found.path}: cannot be written: {error.strerror}; nothing was recorded") from error
    return path


def _read(root: Path, path: str) -> Found:
    governed = read_governed_text(root, path)
    if governed.problems or governed.text is None:
        return Found(path, None, tuple(str(problem) for problem in governed.problems))
    return read_document(governed.text, path)


def _strangers(policy: Policy, digest: str, known: Collection[str]) -> Iterator[str]:
    """What the files are that base has not, but for the one of `digest`: the first by name, and how many more."""
    names = sorted(names_of_approvals(policy) - {file_name(digest), *known})
    for name in names[:MAX_TOLD]:
        path = plain(f"{_shown(policy)}/{FOLDER}/{name}")
        found = _read(policy.root, f"{_shown(policy)}/{FOLDER}/{name}")
        if found.document is None:
            yield from found.problems
        else:
            told = f"is of digest {found.document.digest}, not of what is reviewed here ({digest})"
            yield f"{path}: {told}: base or head has changed since; approve again"
    if len(names) > MAX_TOLD:
        yield f"{_shown(policy)}/{FOLDER}: {counted(len(names) - MAX_TOLD, 'more new file')}, which were not read"


def _shown(policy: Policy) -> str:
    return policy.path.parent.relative_to(policy.root).as_posix()
