"""The one place that calls git: names of revisions, their files as data, who wrote them. Nothing of a repository runs.

Hooks, file-system monitors, filters of a diff and replaced objects are switched off, and nothing is fetched.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from checker.errors import CannotDecide, GovernedFilesInvalid, Problem, UsageError

_DEADLINE_S = 60
_QUIET = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "log.showSignature=false", "core.quotePath=false")
_ENVIRONMENT = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
MAX_FILES, MAX_BYTES = 5_000, 64 << 20
_BLOBS = {"100644", "100755"}


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of a revision: its path below the project, and its bytes."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository that a project lies in; `prefix` is the project's path in it, "" or with a slash at its end."""

    top: Path
    prefix: str

    def commit(self, revision: str) -> str:
        """The full hash of the commit that `revision` names. Raises UsageError where there is none."""
        found = self._run(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"])
        if found is None:
            raise UsageError(
                f"--base {revision!r}: git knows no such commit here; fetch it first (in CI: fetch-depth: 0), or name "
                "another one"
            )
        return found.decode().strip()

    def merge_base(self, base: str, head: str) -> str | None:
        """Where two commits parted; None where they share nothing."""
        found = self._run(["merge-base", base, head])
        return found.decode().strip() if found else None

    def blobs(self, commit: str, below: Sequence[str]) -> Iterator[Blob]:
        """The files of `commit` in the project's folders `below`.

        Raises GovernedFilesInvalid for links and submodules among them, and where they are too many or too large.
        """
        entries = list(self._entries(commit, below))
        linked = [path for mode, _, _, path in entries if mode not in _BLOBS]
        problems = [Problem(path, 0, 0, f"is a link or a submodule in {commit[:12]}") for path in linked]
        if len(entries) > MAX_FILES or sum(size for _, _, size, _ in entries) > MAX_BYTES:
            problems.append(Problem(self.prefix or ".", 0, 0, f"{len(entries)} governed files in {commit[:12]}"))
        if problems:
            raise GovernedFilesInvalid(problems)
        wanted = "".join(f"{name}\n" for _, name, _, _ in entries).encode()
        output = self._need(["cat-file", "--batch"], wanted)
        for _, _, size, path in entries:
            begin = output.index(b"\n") + 1
            yield Blob(path, output[begin : begin + size])
            output = output[begin + size + 1 :]

    def _entries(self, commit: str, below: Sequence[str]) -> Iterator[tuple[str, str, int, str]]:
        paths = [f"{self.prefix}{folder}" for folder in below]
        listed = self._need(["ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *paths])
        for line in filter(None, listed.split(b"\0")):
            told, _, path = line.partition(b"\t")
            mode, _, name, size = told.decode().split()
            yield mode, name, int(size) if size.isdigit() else 0, os.fsdecode(path).removeprefix(self.prefix)

    def authors(self, base: str, head: str) -> frozenset[str]:
        """E-mail addresses of who wrote and who committed what head has and base lacks."""
        listed = self._need(["log", "--format=%ae%n%ce", "--end-of-options", f"{base}..{head}"])
        return frozenset(line for line in listed.decode(errors="replace").splitlines() if line)

    def own_address(self) -> str | None:
        """The e-mail address that commits here would carry."""
        found = self._run(["config", "--get", "user.email"])
        return found.decode(errors="replace").strip() or None if found else None

    def changed_paths(self, base: str, head: str | None) -> tuple[str, ...]:
        """Files below the project that differ between base and head (None: the working tree, what is new in it too)."""
        sides = [base, head] if head else [base]
        options = ["--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", "-z"]
        listed = self._need(["diff", *options, *sides, "--", self.prefix or "."])
        if head is None:
            listed += self._need(
                ["ls-files", "--others", "--exclude-standard", "-z", "--full-name", "--", self.prefix or "."]
            )
        names = {os.fsdecode(name).removeprefix(self.prefix) for name in listed.split(b"\0") if name}
        return tuple(sorted(names))

    def _need(self, arguments: Sequence[str], given: bytes = b"") -> bytes:
        output = self._run(arguments, given)
        if output is None:
            raise CannotDecide(f"git {arguments[0]} failed in {self.top.name}; look with the same command there")
        return output

    def _run(self, arguments: Sequence[str], given: bytes = b"") -> bytes | None:
        return _git(self.top, arguments, given)


def repository_of(root: Path) -> Repository:
    """The repository that the project `root` lies in. Raises UsageError where there is none."""
    found = _git(root, ["rev-parse", "--show-toplevel", "--show-prefix"])
    if found is None:
        raise UsageError(
            f"{root.name}: lies in no git repository (or git takes it for another user's); --base needs one"
        )
    top, _, prefix = os.fsdecode(found).partition("\n")
    return Repository(Path(top), prefix.strip("\n"))


def _git(folder: Path, arguments: Sequence[str], given: bytes = b"") -> bytes | None:
    """What git answers; None where it fails. Raises UsageError where there is no git, CannotDecide for a deadline."""
    settings = [part for setting in _QUIET for part in ("-c", setting)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | _ENVIRONMENT
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "--no-pager", *settings, *arguments],
            input=given,
            capture_output=True,
            env=environment,
            timeout=_DEADLINE_S,
            check=False,
        )
    except FileNotFoundError:
        raise UsageError("git is not installed; a review compares two revisions of it") from None
    except subprocess.TimeoutExpired:
        raise CannotDecide(f"git {arguments[0]} took more than {_DEADLINE_S} s") from None
    return done.stdout if done.returncode == 0 else None
