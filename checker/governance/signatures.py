"""Signs and verifies with OpenSSH's own ssh-keygen, in the namespace `phasegate`. The one place that runs it.

Whose key it is and whether it holds at the time is OpenSSH's answer. This module only proposes the names to ask for.
"""

from __future__ import annotations

import base64
import binascii
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from checker.errors import UsageError
from checker.governance.approval_subjects import Verified, Verify
from checker.schemas import listed, shown
from checker.units import plain

NAMESPACE = "phasegate"
SIGNERS = "allowed_signers"  # the file beside the policy
SIGNERS_SHOWN = f"policy/{SIGNERS}"
MAX_SIGNATURE = 16_384  # characters; one with an RSA key of 16,384 bits has 6,000
MAX_NAMES = 32  # principals asked for, of one key
SIGN_DEADLINE_S = 300.0  # a person types a passphrase or touches a key
VERIFY_DEADLINE_S = 20.0

_ARMOR = re.compile(
    r"-----BEGIN SSH SIGNATURE-----\n(?P<body>[A-Za-z0-9+/=\n]+)\n-----END SSH SIGNATURE-----\n?", re.ASCII
)
_KEPT = ("HOME", "PATH", "TERM")
_KEPT_TO_SIGN = ("SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "SSH_SK_PROVIDER", "DISPLAY", "WAYLAND_DISPLAY")
_TIMED = re.compile(rb"valid-(after|before)|cert-authority", re.IGNORECASE)
_NO_TOOL = "ssh-keygen was not found; install OpenSSH's client (8.9 or newer)"


class _Failed(Exception):
    """ssh-keygen could not be run, or gave no answer in time."""


def sign(payload: bytes, key: Path) -> str:
    """The signature (armored text) of `payload` with the private key in `key`, or the agent's whose public half it is.

    A passphrase is asked for on the terminal. Raises UsageError where it cannot be signed, with ssh-keygen's words.
    """
    place = key.expanduser().absolute()
    if not place.is_file():
        raise UsageError(f"--key {key}: there is no such file; give your SSH key (or its .pub, where an agent has it)")
    arguments = ("-Y", "sign", "-n", NAMESPACE, "-f", os.fspath(place))
    try:
        code, out, words = _run(arguments, payload, Path.cwd(), SIGN_DEADLINE_S, _KEPT_TO_SIGN)
    except _Failed as failed:
        raise UsageError(f"--key {key}: {failed}") from None
    if code or _parts(out) is None:
        told = "; ".join(line for line in words if not line.startswith("Signing data")) or "no words"
        raise UsageError(f"--key {key}: ssh-keygen could not sign with it: {told}")
    return out


def verifier(signers: bytes, as_of: datetime) -> Verify:
    """Says who signed, by the allowed signers in `signers` (the file's bytes) as they hold at `as_of`.

    An answer is kept for as long as the process lives.
    """
    moment = as_of if _TIMED.search(signers) else None

    def verify(payload: bytes, signature: str) -> Verified:
        try:
            return _verified(payload, signature, signers, moment)
        except _Failed as failed:  # not kept: it may be there the next time
            return Verified(refused=f"cannot be verified: {failed}")

    return verify


@functools.lru_cache(maxsize=1024)
def _verified(payload: bytes, signature: str, signers: bytes, moment: datetime | None) -> Verified:
    parts = _parts(signature)
    if parts is None:
        return Verified(refused="is no SSH signature; sign it with `phasegate approve --key FILE`")
    key, namespace = parts
    if namespace != NAMESPACE:
        return Verified(refused=f"is signed in the namespace {shown(namespace)}, not {NAMESPACE!r}")
    if not signers.strip():
        return Verified(refused=f"{SIGNERS_SHOWN} is missing or empty, so no key is known")
    with tempfile.TemporaryDirectory(prefix="phasegate-") as scratch:  # of mode 0700
        folder = Path(scratch)
        (folder / SIGNERS).write_bytes(signers)
        (folder / "signature").write_text(signature, encoding="ascii")
        return _asked(payload, key, signers, moment, folder)


def _asked(payload: bytes, key: bytes, signers: bytes, moment: datetime | None, folder: Path) -> Verified:
    """OpenSSH's answer for each name that the key may stand for."""
    time = () if moment is None else ("-O", f"verify-time={moment:%Y%m%d%H%M%S}")
    found = tuple(dict.fromkeys(_names_of(key, signers))) or _found(time, folder)
    names = [name for name in found if not set(name) & set("*?!")]
    if not found:
        fingerprint = base64.b64encode(sha256(key).digest()).decode().rstrip("=")
        return Verified(refused=f"is signed with a key that {SIGNERS_SHOWN} does not list (SHA256:{fingerprint})")
    if not names:
        pattern = f"its key is listed in {SIGNERS_SHOWN} for a pattern alone ({listed(found)})"
        return Verified(refused=f"{pattern}; list the person by name")
    good: list[str] = []
    words: list[str] = []
    for name in names[:MAX_NAMES]:
        files = ("-s", "signature", "-f", SIGNERS)
        code, _, told = _run(("-Y", "verify", "-n", NAMESPACE, "-I", name, *files, *time), payload, folder)
        good += [] if code else [name]
        words += told if code else []
    return Verified(tuple(good)) if good else Verified(refused=_why_not(words))


def _found(time: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The principals that OpenSSH finds for a key that no line names: those of a certificate."""
    code, out, _ = _run(("-Y", "find-principals", "-s", "signature", "-f", SIGNERS, *time), b"", folder)
    return () if code else tuple(name for line in out.splitlines() for name in line.split(",") if name)


def _why_not(words: Sequence[str]) -> str:
    lines = [line for line in dict.fromkeys(words) if line.startswith(f"{SIGNERS}:")]
    if lines:
        return "; ".join(f"policy/{line}" for line in lines)
    if any("incorrect signature" in line for line in words):
        return "the signature does not fit: something was changed after it was signed, or it is of something else"
    return f"ssh-keygen refuses it: {'; '.join(dict.fromkeys(words)) or 'no words'}"


def _names_of(key: bytes, signers: bytes) -> Iterator[str]:
    """The principals of each line that holds the key; whether the line holds at all is OpenSSH's to say."""
    wanted = base64.b64encode(key).decode()
    for line in signers.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if text and not text.startswith("#") and wanted in text.split():
            principals = text[1:].partition('"')[0] if text.startswith('"') else text.split()[0]
            yield from (name for name in principals.split(",") if name)


def _parts(signature: str) -> tuple[bytes, str] | None:
    """The public key (its wire form) and the namespace that an armored signature names; None where it is none.

    Source: PROTOCOL.sshsig of OpenSSH.
    """
    armor = _ARMOR.fullmatch(signature) if len(signature) <= MAX_SIGNATURE else None
    try:
        blob = base64.b64decode(armor["body"].replace("\n", ""), validate=True) if armor else b""
        if blob[:10] != b"SSHSIG\0\0\0\1":
            return None
        key, rest = _string(blob[10:])
        namespace, _ = _string(rest)
        return key, namespace.decode()
    except (binascii.Error, ValueError):
        return None


def _string(blob: bytes) -> tuple[bytes, bytes]:
    """The first string of SSH's wire format, and what follows it. Raises ValueError where it is cut off."""
    end = 4 + int.from_bytes(blob[:4])
    if len(blob) < max(4, end):
        raise ValueError("cut off")
    return blob[4:end], blob[end:]


def _run(
    arguments: Sequence[str],
    payload: bytes,
    folder: Path,
    deadline_s: float = VERIFY_DEADLINE_S,
    more: Sequence[str] = (),
) -> tuple[int, str, list[str]]:
    """Exit code, output and words of ssh-keygen with these arguments, in `folder`. Raises _Failed."""
    tool = shutil.which("ssh-keygen")
    if tool is None:
        raise _Failed(_NO_TOOL)
    kept = {name: os.environ[name] for name in (*_KEPT, *more) if name in os.environ}
    # times in allowed_signers are read as UTC, whatever the machine's zone
    environment = {**kept, "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(
            [tool, *arguments],
            input=payload,
            capture_output=True,
            cwd=folder,
            env=environment,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Failed(f"ssh-keygen gave no answer within {deadline_s:g} s") from None
    except (OSError, ValueError) as fault:
        raise _Failed(f"ssh-keygen could not be run: {getattr(fault, 'strerror', None) or fault}") from None
    words = [plain(line) for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    return done.returncode, done.stdout.decode(errors="replace"), words
