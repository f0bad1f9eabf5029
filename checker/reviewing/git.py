"""The one place that calls git: names of revisions, their files as data, who wrote them. Nothing of a repository runs.

Hooks, file-system monitors, filters, drivers of a diff, grafts and replaced objects are switched off, and nothing is
fetched.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from checker.errors import CannotDecide, GovernedFilesInvalid, Problem, UsageError

_DEADLINE_S = 60
_QUIET = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "log.showSignature=false", "core.quotePath=false")
_ENVIRONMENT = {
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
MAX_FILES, MAX_BYTES = 5_000, 64 << 20
MAX_APPROVALS = 10_000  # files; they grow with every change that was approved, and are read beside the others
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

    def commit(self, revision: str, option: str = "--base") -> str:
        """The full hash of the commit that `revision`, given with `option`, names. Raises UsageError for none."""
        found = self._run(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"])
        if found is None:
            raise UsageError(
                f"{option} {revision!r}: git knows no such commit here; fetch it first (in CI: fetch-depth: 0), or "
                "name another one"
            )
        return found.decode().strip()

    def merge_base(self, base: str, head: str) -> str | None:
        """Where two commits parted; None where they share nothing."""
        found = self._run(["merge-base", base, head])
        return found.decode().strip() if found else None

    def blobs(
        self, commit: str, below: Sequence[str], beside: Sequence[str] = (), approvals: str | None = None
    ) -> Iterator[Blob]:
        """The files of `commit` in the project's folders `below` and `beside`; links in the latter are left out.

        What lies below `approvals`, a folder of one of them, is counted for itself, and bounded for itself.

        Raises GovernedFilesInvalid for links and submodules below, and where the files are too many or too large.
        """
        governed = list(self._entries(commit, below))
        others = self._entries(commit, beside) if beside else ()
        linked = [path for mode, _, _, path in governed if mode not in _BLOBS]
        entries = [*governed, *(entry for entry in others if entry[0] in _BLOBS)]
        problems = [Problem(path, 0, 0, f"is a link or a submodule in {commit[:12]}") for path in linked]
        given = [size for _, _, size, path in entries if _is_below(path, approvals)]
        others_sizes = [size for _, _, size, path in entries if not _is_below(path, approvals)]
        way_out = "keep the others in another folder"
        problems += _too_many(others_sizes, MAX_FILES, self.prefix or ".", commit, way_out)
        problems += _too_many(given, MAX_APPROVALS, approvals or ".", commit, "remove the oldest")
        if problems:
            raise GovernedFilesInvalid(problems)
        wanted = "".join(f"{name}\n" for _, name, _, _ in entries).encode()
        output = self._need(["cat-file", "--batch"], wanted)
        end = 0
        for _, _, size, path in entries:
            begin = output.index(b"\n", end) + 1
            yield Blob(path, output[begin : begin + size])
            end = begin + size + 1

    def _entries(self, commit: str, below: Sequence[str]) -> Iterator[tuple[str, str, int, str]]:
        paths = [f"{self.prefix}{folder}" for folder in below]
        listed = self._need(["ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *paths])
        for line in filter(None, listed.split(b"\0")):
            told, _, path = line.partition(b"\t")
            mode, _, name, size = told.decode().split()
            yield mode, name, int(size) if size.isdigit() else 0, os.fsdecode(path).removeprefix(self.prefix)

    def authors(self, base: str, head: str, but_for: str) -> frozenset[str]:
        """E-mail addresses of who wrote and who committed what head has and base lacks.

        Commits that touch nothing but the folder `but_for` of the project make nobody an author; merges, and commits
        that touch no file at all, do.

        Raises UsageError where a part of that history is not here: whoever made it could approve as somebody else.
        """
        if self._is_cut_off(base, head):
            raise UsageError(
                f"the history from {base[:12]} to {head[:12]} is cut off here (a shallow clone), so that who made the "
                "change cannot be told; fetch all of it (in CI: fetch-depth: 0)"
            )
        listed = self._need(["log", "--format=%H %ae%n%H %ce", "--end-of-options", f"{base}..{head}"])
        found = [line.partition(" ") for line in listed.decode(errors="replace").splitlines()]
        aside = self._touching_alone(dict.fromkeys(commit for commit, _, _ in found), f"{self.prefix}{but_for}/")
        return frozenset(name for commit, _, name in found if name and commit not in aside)

    def _touching_alone(self, commits: Iterable[str], folder: str) -> frozenset[str]:
        """Those of `commits` that touch files below `folder`, and no other file."""
        asked = "".join(f"{commit}\n" for commit in commits)
        options = ["-r", "--raw", "--no-renames", "--no-ext-diff", "--no-textconv", "--stdin", "-z"]
        touched: dict[str, list[str]] = {}
        names: list[str] = []
        parts = iter(self._need(["diff-tree", *options], asked.encode()).split(b"\0"))
        for part in parts:
            if part.startswith(b":"):  # a path follows; it may look like anything, like a commit's name too
                names.append(os.fsdecode(next(parts)))
            elif part.strip():
                names = touched.setdefault(part.decode().strip(), [])
        return frozenset(
            commit for commit, paths in touched.items() if paths and all(path.startswith(folder) for path in paths)
        )

    def _is_cut_off(self, base: str, head: str) -> bool:
        """Whether a commit that head has and base lacks has parents that are not here."""
        if self._need(["rev-parse", "--is-shallow-repository"]).strip() != b"true":
            return False
        place = os.fsdecode(self._need(["rev-parse", "--git-path", "shallow"]).removesuffix(b"\n"))
        cut = set((self.top / place).read_bytes().split())
        return not cut.isdisjoint(self._need(["rev-list", "--end-of-options", f"{base}..{head}"]).split())

    def own_address(self) -> str | None:
        """The e-mail address that commits here would carry."""
        found = self._run(["config", "--get", "user.email"])
        return found.decode(errors="replace").strip() or None if found else None

    def changed_paths(self, base: str, head: str | None) -> tuple[str, ...]:
        """Files below the project that differ between base and head (None: the working tree, what is new in it too)."""
        sides = [base, head] if head else [base]
        quiet = ["--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty"]
        filters = self._filters() if head is None else []
        listed = self._need(["diff", "--name-only", *quiet, "-z", *sides, "--", self.prefix or "."], settings=filters)
        if head is None:
            listed += self._need(
                ["ls-files", "--others", "--exclude-standard", "-z", "--full-name", "--", self.prefix or "."]
            )
        names = {os.fsdecode(name).removeprefix(self.prefix) for name in listed.split(b"\0") if name}
        return tuple(sorted(names))

    def _filters(self) -> list[tuple[str, str]]:
        """Settings that switch off every filter that is set up here: git runs them over files of the working tree."""
        keys = self._run(["config", "--null", "--name-only", "--get-regexp", r"^filter\..*\."]) or b""
        names = {os.fsdecode(key).rpartition(".")[0] for key in keys.split(b"\0") if key}
        off = (("clean", ""), ("process", ""), ("smudge", ""), ("required", "false"))
        return [(f"{name}.{part}", value) for name in sorted(names) for part, value in off]

    def _need(self, arguments: Sequence[str], given: bytes = b"", settings: Sequence[tuple[str, str]] = ()) -> bytes:
        output = _git(self.top, arguments, given, settings)
        if output is None:
            raise CannotDecide(f"git {arguments[0]} failed in {self.top.name}; look with the same command there")
        return output

    def _run(self, arguments: Sequence[str], given: bytes = b"") -> bytes | None:
        return _git(self.top, arguments, given)


def repository_of(root: Path) -> Repository:
    """The repository that the project `root` lies in. Raises UsageError where there is none."""
    top, prefix = (_git(root, ["rev-parse", option]) for option in ("--show-toplevel", "--show-prefix"))
    if top is None or prefix is None:
        if not any(os.path.lexists(folder / ".git") for folder in (root, *root.parents)):
            raise UsageError(f"{root.name}: lies in no git repository; --base needs one")
        raise UsageError(
            f"{root.name}: git does not open the repository that it lies in: git takes it for another user's, or it is "
            "damaged; where you trust it, go to the folder that holds its .git and allow it: "
            'git config --global --add safe.directory "$PWD"'
        )
    return Repository(Path(os.fsdecode(top.removesuffix(b"\n"))), os.fsdecode(prefix.removesuffix(b"\n")))


def _is_below(path: str, folder: str | None) -> bool:
    return folder is not None and path.startswith(f"{folder}/")


def _too_many(sizes: Sequence[int], most: int, place: str, commit: str, way_out: str) -> list[Problem]:
    """The problem of files of these `sizes` (bytes) at `place`, where they are more than are read; else none."""
    if len(sizes) <= most and sum(sizes) <= MAX_BYTES:
        return []
    told = f"{len(sizes)} files of {sum(sizes) >> 20} MiB to read in {commit[:12]}"
    return [Problem(place, 0, 0, f"{told}; at most {most} of {MAX_BYTES >> 20} MiB are read; {way_out}")]


def _git(
    folder: Path, arguments: Sequence[str], given: bytes = b"", more: Sequence[tuple[str, str]] = ()
) -> bytes | None:
    """What git answers under the settings `more`; None where it fails. Raises UsageError where there is no git,
    CannotDecide for a deadline."""
    settings = [part for setting in _QUIET for part in ("-c", setting)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | _ENVIRONMENT
    for index, (key, value) in enumerate(more):  # not with -c, which ends a key at its first '='
        environment |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    environment["GIT_CONFIG_COUNT"] = str(len(more))
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
