"""Signatures by the real ssh-keygen: who signed, and why an answer is no."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from checker.errors import UsageError
from checker.governance import signatures
from checker.governance.approval_subjects import Verified
from checker.governance.signatures import sign, verifier
from checker.windows import parse_iso
from tests.signing import NOW, Key, keygen, make_key

PAYLOAD = b'{"subject":"policy_change"}'


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ada", "mallory", "ca"):
        make_key(folder, name)
    return folder


def key_of(keys: Path, name: str) -> Key:
    kind, blob, *_ = (keys / f"{name}.pub").read_text().split()
    return Key(keys / name, f"{kind} {blob}")


def asked(signers: str, signature: str, payload: bytes = PAYLOAD, at: datetime = NOW) -> Verified:
    return verifier(signers.encode(), at)(payload, signature)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_signature_names_all_principals_of_its_key(kind: str, tmp_path: Path) -> None:
    key = make_key(tmp_path, "ada", kind)
    other = make_key(tmp_path, "bob", kind)
    signers = f"# the team\n\n{other.line('bob@x.example')}{key.line('ada@x.example,ada-login')}"
    assert asked(signers, sign(PAYLOAD, key.file)) == Verified(("ada@x.example", "ada-login"))


@pytest.mark.parametrize(
    ("lines", "principals"),
    [
        (("ada@x.example", ""), ("ada@x.example",)),
        (('"ada@x.example,ada"', ""), ("ada@x.example", "ada")),  # quoted, as OpenSSH allows
        (("ada@x.example,*@y.example,!eve", ""), ("ada@x.example",)),  # a pattern is nobody
        (("ada@x.example", 'namespaces="git,phasegate"'), ("ada@x.example",)),
        (("ada@x.example", 'valid-after="20260301115959"'), ("ada@x.example",)),
        (("ada@x.example", 'valid-before="20260301120001"'), ("ada@x.example",)),
    ],
)
def test_what_a_line_may_say(lines: tuple[str, str], principals: tuple[str, ...], keys: Path) -> None:
    key = key_of(keys, "ada")
    assert asked(key.line(*lines), sign(PAYLOAD, key.file)).principals == principals


def test_principals_of_two_lines_are_one_persons(keys: Path) -> None:
    key = key_of(keys, "ada")
    expired = key.line("old@x.example", 'valid-before="20200101"')
    signers = expired + key.line("ada@x.example") + key.line("ada-login")
    assert asked(signers, sign(PAYLOAD, key.file)) == Verified(("ada@x.example", "ada-login"))


@pytest.mark.parametrize(
    ("principals", "options", "why"),
    [
        ("*@x.example", "", "for a pattern alone (*@x.example); list the person by name"),
        ("!ada@x.example", "", "for a pattern alone"),
        ("ada@x.example", 'namespaces="git"', "policy/allowed_signers:1: key is not permitted for use in signature"),
        ("ada@x.example", 'valid-before="20260301115959"', "policy/allowed_signers:1: key has expired"),
        ("ada@x.example", 'valid-after="20260301120001"', "policy/allowed_signers:1: key is not yet valid"),
        ("ada@x.example", 'valid-before="soon"', "policy/allowed_signers:1: "),
        ("ada@x.example", "cert-authority", "ssh-keygen refuses it"),
    ],
)
def test_a_line_that_does_not_hold(principals: str, options: str, why: str, keys: Path) -> None:
    key = key_of(keys, "ada")
    found = asked(key.line(principals, options), sign(PAYLOAD, key.file))
    assert (found.principals, why in str(found.refused)) == ((), True), found.refused


@pytest.mark.parametrize(
    ("at", "holds"),
    [("2026-03-01T11:59:58Z", True), ("2026-03-01T12:00:00Z", True), ("2026-03-01T12:00:01Z", False)],
)
def test_a_key_that_was_revoked_holds_up_to_then(at: str, holds: bool, keys: Path) -> None:
    key = key_of(keys, "ada")
    signers = key.line("ada@x.example", 'valid-before="20260301120000"')
    found = asked(signers, sign(PAYLOAD, key.file), at=parse_iso(at))
    assert (found.refused is None) is holds, found.refused


@pytest.mark.parametrize("until", ["20260301115900", "20260301115900Z"])
def test_times_are_utc_whatever_the_zone(until: str, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(keys, "ada")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    signers = key.line("ada@x.example", f'valid-before="{until}"')
    assert asked(signers, sign(PAYLOAD, key.file)).refused
    assert not asked(signers, sign(PAYLOAD, key.file), at=parse_iso("2026-03-01T11:58:00Z")).refused


def test_what_was_not_signed_is_refused(keys: Path) -> None:
    ada, mallory = key_of(keys, "ada"), key_of(keys, "mallory")
    signers = ada.line("ada@x.example")
    own, others = sign(PAYLOAD, ada.file), sign(PAYLOAD, mallory.file)
    of_git = keygen("-q", "-Y", "sign", "-n", "git", "-f", ada.file, stdin=PAYLOAD).decode()
    body = own.splitlines()
    swapped = "\n".join([*others.splitlines()[:2], *body[2:]]) + "\n"
    table: dict[str, tuple[str, bytes, str]] = {
        "one byte": (own, PAYLOAD.replace(b"c", b"d"), "the signature does not fit"),
        "another key": (others, PAYLOAD, "with a key that policy/allowed_signers does not list (SHA256:"),
        "another namespace": (of_git, PAYLOAD, "in the namespace 'git', not 'phasegate'"),
        "no armor": ("looks good to me", PAYLOAD, "is no SSH signature"),
        "nothing": ("", PAYLOAD, "is no SSH signature"),
        "cut off": ("\n".join([body[0], body[1], body[-1]]) + "\n", PAYLOAD, ""),
        "not base64": (own.replace(body[2], "=" * len(body[2])), PAYLOAD, "is no SSH signature"),
        "two in one": (own + own, PAYLOAD, "is no SSH signature"),
        "of two halves": (swapped, PAYLOAD, ""),
        "too long": (own.replace(body[2], body[2] * 500), PAYLOAD, "is no SSH signature"),
    }
    for name, (signature, payload, why) in table.items():
        found = asked(signers, signature, payload)
        assert found.principals == (), name
        assert found.refused, name
        assert why in found.refused, name
    assert "missing or empty" in str(asked("", own).refused)
    assert asked(signers, own).refused is None


def test_every_byte_of_a_signature_counts(keys: Path) -> None:
    ada = key_of(keys, "ada")
    signature = sign(PAYLOAD, ada.file)
    start = signature.index("\n") + 1
    for place in range(start, len(signature) - 35, 23):
        old = signature[place]
        edited = signature[:place] + ("A" if old != "A" else "B") + signature[place + 1 :]
        assert asked(ada.line("ada@x.example"), edited).refused, place


def test_a_certificate_stands_for_the_names_that_it_carries(keys: Path) -> None:
    ca, key = key_of(keys, "ca"), key_of(keys, "ada")
    keygen("-q", "-s", ca.file, "-I", "ada", "-n", "ada@x.example", "-V", "20260101:20270101", keys / "ada.pub")
    certified = sign(PAYLOAD, keys / "ada-cert.pub")
    found = asked(ca.line("*@x.example", "cert-authority"), certified)
    assert found == Verified(("ada@x.example",))
    assert asked(ca.line("*@y.example", "cert-authority"), certified).refused
    assert asked(key.line("ada@x.example"), certified).refused  # a certificate is another key


def test_an_answer_is_kept(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(keys, "ada")
    signature = sign(b"kept", key.file)
    first = asked(key.line("ada@x.example"), signature, b"kept")
    monkeypatch.setenv("PATH", "/nonexistent")
    later = parse_iso("2027-01-01T00:00:00Z")
    assert asked(key.line("ada@x.example"), signature, b"kept", later) == first


def test_without_ssh_keygen_nobody_signed_and_it_is_asked_again(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(keys, "ada")
    signature = sign(b"again", key.file)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nonexistent")
        refused = asked(key.line("ada@x.example"), signature, b"again").refused
        assert refused == "cannot be verified: ssh-keygen was not found; install OpenSSH's client (8.9 or newer)"
        with pytest.raises(UsageError, match="ssh-keygen was not found"):
            sign(PAYLOAD, key.file)
    assert asked(key.line("ada@x.example"), signature, b"again").refused is None


def fake_tool(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    tool = folder / "ssh-keygen"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_what_ssh_keygen_is_given(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(keys, "ada")
    signature = sign(b"given", key.file)
    seen = tmp_path / "seen"
    fake_tool(tmp_path / "bin", f'{{ env; stat -c "mode=%a" .; echo "args=$*"; }} > {seen}; exit 1', monkeypatch)
    monkeypatch.setenv("SLACK_BOT_TOKEN", "secret")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    assert asked(key.line("ada@x.example"), signature, b"given").refused
    told = seen.read_text()
    assert "args=-Y verify -n phasegate -I ada@x.example -s signature -f allowed_signers\n" in told
    assert "mode=700\n" in told
    assert "secret" not in told
    assert "SSH_AUTH_SOCK" not in told
    with pytest.raises(UsageError):
        sign(b"given", key.file)
    told = seen.read_text()
    assert f"args=-Y sign -n phasegate -f {key.file}\n" in told
    assert "secret" not in told
    assert "SSH_AUTH_SOCK=/run/agent\n" in told


def test_what_gives_no_answer_is_stopped(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(keys, "ada")
    signature = sign(b"slow", key.file)
    fake_tool(tmp_path / "bin", "exec sleep 600", monkeypatch)
    monkeypatch.setattr(signatures._run, "__defaults__", (0.1, ()))
    monkeypatch.setattr(signatures, "SIGN_DEADLINE_S", 0.1)
    assert asked(key.line("ada@x.example"), signature, b"slow").refused == (
        "cannot be verified: ssh-keygen gave no answer within 0.1 s"
    )
    with pytest.raises(UsageError, match=r"gave no answer within 0.1 s"):
        sign(PAYLOAD, key.file)


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "there is no such file"), ("no key", "ssh-keygen could not sign with it: ")],
)
def test_a_key_that_cannot_sign(content: str | None, why: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_text(content)
        key.chmod(0o600)
    with pytest.raises(UsageError) as caught:
        sign(PAYLOAD, key)
    assert str(caught.value).startswith(f"--key {key}: {why}")


SIGN = (
    "import sys; from pathlib import Path; from checker.governance.signatures import sign;"
    " Path(sys.argv[2]).write_text(sign(b'typed', Path(sys.argv[1])))"
)
ON_TERMINAL = f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {SIGN}"


def test_a_passphrase_is_typed_on_the_terminal(tmp_path: Path) -> None:
    key = make_key(tmp_path, "ada", passphrase="open sesame")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", ON_TERMINAL, str(key.file), str(tmp_path / "signature")]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        prompt = b""
        while b"passphrase" not in prompt:
            prompt += os.read(ours, 1024)
        os.write(ours, b"open sesame\n")
        assert process.wait(60) == 0
    os.close(ours)
    signature = (tmp_path / "signature").read_text()
    assert asked(key.line("ada@x.example"), signature, b"typed") == Verified(("ada@x.example",))


def test_without_a_terminal_a_passphrase_is_not_waited_for(tmp_path: Path) -> None:
    key = make_key(tmp_path, "ada", passphrase="open sesame")
    command = [sys.executable, "-c", SIGN, str(key.file), str(tmp_path / "signature")]
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "SSH_ASKPASS")}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, start_new_session=True, env=environment
    )
    assert done.returncode == 1
    assert b"incorrect passphrase" in done.stderr


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="there is no ssh-agent here")
def test_an_agent_signs_for_a_public_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = make_key(tmp_path, "ada")
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE) as agent:
        try:
            assert agent.stdout is not None
            assert agent.stdout.readline()
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            subprocess.run(["ssh-add", "-q", str(key.file)], check=True, timeout=60, capture_output=True)
            key.file.unlink()
            signature = sign(b"agent", key.file.with_name("ada.pub"))
        finally:
            agent.terminate()
    assert asked(key.line("ada@x.example"), signature, b"agent") == Verified(("ada@x.example",))
