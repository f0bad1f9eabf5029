"""SSH keys for tests, and the lines of allowed_signers that list them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from checker.governance.approval_subjects import Reviewed, Terms, change_payload
from checker.governance.signatures import sign
from checker.windows import parse_iso

NOW = parse_iso("2026-03-01T12:00:00Z")


@dataclass(frozen=True)
class Key:
    """A private key's file, and its public half as it stands in allowed_signers."""

    file: Path
    public: str

    def line(self, principals: str, options: str = "") -> str:
        """The line of allowed_signers that lists it for `principals`."""
        return f"{principals} {options + ' ' if options else ''}{self.public}\n"


def make_key(folder: Path, name: str, kind: str = "ed25519", passphrase: str = "") -> Key:
    """A new key `name` in `folder`, without a passphrase unless one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    keygen("-q", "-t", kind, "-N", passphrase, "-C", name, "-f", file)
    kind, blob, *_ = file.with_name(f"{name}.pub").read_text().split()
    return Key(file, f"{kind} {blob}")


def keygen(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    """The output of ssh-keygen, which must not fail."""
    command = ["ssh-keygen", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=60).stdout


def terms(role: str = "SRE", name: str = "Ada", signed: datetime = NOW, until: str = "2026-03-08T12:00:00Z") -> Terms:
    """The words of an approval, signed now and good for a week."""
    return Terms(role, name, "the canary is too slow to see it", signed, parse_iso(until))


def signed_change(key: Key, reviewed: Reviewed, words: Terms) -> str:
    """The signature of an approval of a policy change."""
    return sign(change_payload(reviewed, words), key.file)


def listing(lines: Mapping[str, Key]) -> bytes:
    """The bytes of an allowed_signers that lists each key for its principals."""
    return "".join(key.line(principals) for principals, key in lines.items()).encode()
