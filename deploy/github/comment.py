"""Write a policy review into the comment of its pull request; the comment is made once, and renewed after that.

Called by action.yml with a review of the same job, and by .github/workflows/policy-gate-comment.yml with one of a run
that a stranger may have bent. The second call has a token that may write, so the review and the number are data: no
link is followed, sizes are bounded, mentions reach nobody, and the number must be that of an open pull request with the
head that GitHub says the run had. Python's standard library and `gh`, so that there is nothing to install.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

MARKER = "<!-- phasegate-review -->"
READ_BYTES = 1_000_000
SHOWN_UNITS = 60_000  # of UTF-16, in which GitHub counts the 65,536 that it takes
PAGE = 100
PAGES = 30
ZERO_WIDTH_SPACE = "\u200b"
# also as HTML spells the sign: GitHub looks for mentions in what Markdown has become
AT = re.compile(r"@|&(#0*64(?!\d)|#[xX]0*40(?![\da-fA-F])|commat);?")


class Refused(Exception):
    """What is not written, and why."""


def api(path: str, method: str = "GET", body: dict[str, str] | None = None) -> Any:
    """What GitHub answers; `gh` finds the token in GH_TOKEN."""
    sent = [] if body is None else ["--input", "-"]
    called = subprocess.run(
        ["gh", "api", "--method", method, path, *sent],
        input=None if body is None else json.dumps(body),
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return json.loads(called.stdout)


def pages(path: str) -> list[Any]:
    """All that a list holds, oldest first."""
    found: list[Any] = []
    for number in range(1, PAGES + 1):
        page = api(f"{path}?per_page={PAGE}&page={number}")
        found += page
        if len(page) < PAGE:
            return found
    raise Refused(f"{path} has more than {PAGE * PAGES} entries")


def bounded(path: Path, limit: int) -> str:
    """The text of a regular file, at most `limit` bytes of it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refused(f"{path.name} is no file")
        return file.read(limit).decode("utf-8", "replace")


def number_of(text: str) -> int:
    """A pull request's number."""
    if not re.fullmatch(r"[1-9][0-9]{0,9}\n?", text, re.ASCII):
        raise Refused("that is no number of a pull request")
    return int(text)


def is_current(pull: Any, head_sha: str, head_repository: str) -> bool:
    """Whether this is the pull request that the run was for. Its head may have moved on; a later run tells of that."""
    head = pull["head"]
    ours = head["repo"] is not None and head["repo"]["full_name"] == head_repository
    return pull["state"] == "open" and head["sha"] == head_sha and ours


def changes_the_gate(repository: str, number: int) -> bool:
    """Whether the pull request brought a workflow of its own, which may have found whatever it liked."""
    files = pages(f"repos/{repository}/pulls/{number}/files")
    names = [name for file in files for name in (file["filename"], file.get("previous_filename", ""))]
    return any(name.startswith(".github/") for name in names)


def told(review: str) -> str:
    """What the review says below its marker, without characters that are not seen. Raises Refused for no review."""
    first, _, rest = review.partition("\n")
    if first.rstrip("\r") != MARKER:
        raise Refused(f"the review does not begin with {MARKER}")
    return "".join(letter for letter in rest if letter in "\n\t" or letter.isprintable())


def fitted(text: str) -> str:
    """The text, cut at a line's end where GitHub would not take it whole."""
    encoded = text.encode("utf-16-le")
    if len(encoded) <= 2 * SHOWN_UNITS:
        return text
    kept = encoded[: 2 * SHOWN_UNITS].decode("utf-16-le", "ignore").rpartition("\n")[0]
    return f"_This is its beginning; the whole is kept with the run._\n\n{kept}"


def silenced(text: str) -> str:
    """The text with mentions that reach nobody: who wrote it may not be who sends it."""
    return AT.sub(f"@{ZERO_WIDTH_SPACE}", text)


def write(repository: str, number: int, author: str, body: str) -> str:
    """Renew the comment that `author` made here before, or make one. Somebody else's marker is somebody else's text."""
    comments = pages(f"repos/{repository}/issues/{number}/comments")
    ours = [item["id"] for item in comments if is_of(item, author)]
    if ours:
        api(f"repos/{repository}/issues/comments/{int(ours[0])}", "PATCH", {"body": body})
        return "renewed"
    api(f"repos/{repository}/issues/{number}/comments", "POST", {"body": body})
    return "made"


def is_of(comment: Any, author: str) -> bool:
    """Whether `author` wrote this review's comment. One whose author is gone has none, and a text may be missing."""
    login = (comment.get("user") or {}).get("login")
    return login == author and (comment.get("body") or "").startswith(MARKER)


def body_of(call: argparse.Namespace, repository: str, number: int) -> str:
    """What the comment says."""
    if not call.head_sha:
        return f"{MARKER}\n{fitted(told(bounded(call.review, READ_BYTES)))}"
    source = f"[run]({call.run_url}) of {call.head_sha}"
    if changes_the_gate(repository, number):
        return (
            f"{MARKER}\n**Policy review: not shown.** This pull request changes `.github/`, so it may have changed the "
            f"gate itself. Whoever owns the policy reads the {source}, and those files first."
        )
    review = fitted(silenced(told(bounded(call.review, READ_BYTES))))
    return f"{MARKER}\n_The {source} found this._\n\n{review}"


def arguments() -> argparse.Namespace:
    """The call."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("review", type=Path)
    number = parser.add_mutually_exclusive_group(required=True)
    number.add_argument("--number", help="the pull request's number, where GitHub itself gave it")
    number.add_argument("--number-from", type=Path, help="a file with the number, which is held against --head-sha")
    parser.add_argument("--head-sha", default="", help="the commit that the run was for, as GitHub says")
    parser.add_argument("--head-repository", default="", help="where that commit is")
    parser.add_argument("--run-url", default="", help="the run")
    parser.add_argument("--author", default="github-actions[bot]", help="whose comment is renewed")
    call = parser.parse_args()
    if call.number_from and not (call.head_sha and call.head_repository and call.run_url):
        parser.error("--number-from is trusted with --head-sha, --head-repository and --run-url alone")
    return call


def main() -> None:
    """Exits with 0 where the comment is written or the run is out of date, with 1 where it was refused."""
    call = arguments()
    repository = os.environ["GITHUB_REPOSITORY"]
    try:
        number = number_of(call.number or bounded(call.number_from, 16))
        if call.head_sha:
            pull = api(f"repos/{repository}/pulls/{number}")
            if not is_current(pull, call.head_sha, call.head_repository):
                print(f"pull request {number} is closed, or has another head than the run: nothing is written")
                return
        done = write(repository, number, call.author, body_of(call, repository, number))
        print(f"the comment of pull request {number} is {done}")
    except (Refused, OSError) as refusal:
        sys.exit(f"nothing is written: {refusal}")
    except subprocess.CalledProcessError as failure:
        sys.exit(f"GitHub did not take it: gh exited with {failure.returncode}")


if __name__ == "__main__":
    main()
