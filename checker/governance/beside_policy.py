"""What lies beside the policy and is read by a review: who may sign, and past incidents. Every fault at its line."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from checker.errors import GovernedFilesInvalid, Problem, UsageError
from checker.governance.approval_files import signers_of
from checker.governance.incident_file import read_incidents
from checker.governance.signatures import SIGNERS
from checker.policy.model import Policy

INCIDENTS = "incidents.yaml"
_KEY_LINE = re.compile(r"\S.*?\s((?:ssh|ecdsa|sk)-\S+)\s+([A-Za-z0-9+/]+=*)(?:\s.*)?")
_EXPECTED = "is no key line; expected NAME[,NAME] [OPTIONS] KEYTYPE KEY, as in OpenSSH's allowed_signers"


def beside_problems(policy: Policy) -> Iterator[Problem]:
    """The faults of `allowed_signers` and `incidents.yaml` beside the policy; a file that is not there has none."""
    folder = policy.path.parent
    shown = folder.relative_to(policy.root).as_posix()
    try:
        yield from signer_problems(signers_of(policy), f"{shown}/{SIGNERS}")
    except UsageError as fault:
        yield Problem(f"{shown}/{SIGNERS}", 0, 0, str(fault).partition(": ")[2])
    if (folder / INCIDENTS).is_file():
        try:
            read_incidents(folder / INCIDENTS, f"{shown}/{INCIDENTS}")
        except GovernedFilesInvalid as fault:
            yield from fault.problems


def beside_counts(policy: Policy) -> Iterator[tuple[str, int, str]]:
    """What of it was checked, where it is there: kind, count, and how. For a policy without `beside_problems`."""
    lines = [line for line in signers_of(policy).split(b"\n") if _is_said(line.strip())]
    if lines:
        yield "signers", len(lines), f"{SIGNERS}: each line lists a key"
    place = policy.path.parent / INCIDENTS
    if place.is_file():
        yield "past incidents", len(read_incidents(place, INCIDENTS)), f"{INCIDENTS}: each has its span"


def _is_said(line: bytes) -> bool:
    return bool(line) and not line.startswith(b"#")


def signer_problems(signers: bytes, shown: str) -> Iterator[Problem]:
    """Lines of an allowed_signers that list no key: OpenSSH passes over them, and whoever wrote them cannot sign."""
    for number, line in enumerate(signers.decode("utf-8", "replace").split("\n"), 1):
        text = line.strip()
        if text and not text.startswith("#") and not _lists_a_key(text):
            yield Problem(shown, number, 0, _EXPECTED)


def _lists_a_key(line: str) -> bool:
    match = _KEY_LINE.fullmatch(line)
    if match is None:
        return False
    try:
        blob = base64.b64decode(match[2], validate=True)
    except (binascii.Error, ValueError):
        return False
    kind = match[1].encode()
    return blob.startswith(len(kind).to_bytes(4) + kind) and len(blob) > 4 + len(kind)
