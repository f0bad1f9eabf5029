"""The YAML reader: what a plain scalar means, where keys and values stand, and that both PyYAML parsers agree."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from policies.project import AUTOSAVE

from checker.policy import yaml_tree
from checker.policy.yaml_scalars import read_plain
from checker.policy.yaml_tree import parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("9223372036854775807", 2**63 - 1),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("autosave", "autosave"),
        ("15m", "15m"),
        ("1.2.3", "1.2.3"),
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("-", "-"),
        (".", "."),
        ("--to", "--to"),
        ("nano", "nano"),
        ("ok", "ok"),
    ],
)
def test_plain_scalars_that_every_reader_reads_alike(text: str, value: Any) -> None:
    scalar = read_plain(text)
    assert (scalar.value, type(scalar.value), scalar.complaint) == (value, type(value), None)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        *((word, 'write true or "') for word in ("yes", "Yes", "YES", "on", "ON", "y", "Y", "True", "TRUE")),
        *((word, 'write false or "') for word in ("no", "No", "off", "Off", "n", "N", "False")),
        *((word, 'write null or "') for word in ("Null", "NULL")),
        ("1:30", 'write 90 or "1:30"'),
        ("-1:30", 'write -90 or "-1:30"'),
        ("1:30:00", 'write 5400 or "1:30:00"'),
        ("1:30.5", 'write 90.5 or "1:30.5"'),
        ("010", 'write 10 or "010"'),
        ("08", 'write 8 or "08"'),
        ("00.5", 'write 0.5 or "00.5"'),
        ("0o10", 'write 8 or "0o10"'),
        ("0x1F", 'write 31 or "0x1F"'),
        ("0b11", 'write 3 or "0b11"'),
        ("1_000", 'write 1000 or "1_000"'),
        ("1_000.5", 'write 1000.5 or "1_000.5"'),
        ("2026-01-02", 'write "2026-01-02"'),
        ("2026-01-02T03:04:05Z", 'write "2026-01-02T03:04:05Z"'),
        *(
            (word, "no finite number")
            for word in (".inf", "-.INF", "+.Inf", ".nan", ".NaN", "1e400", "-1e999", "01e400")
        ),
        ("9223372036854775808", "too large a number"),
        ("9" * 5000, "too large a number"),
        ("0x" + "f" * 5000, "write digits"),
    ],
)
def test_plain_scalars_that_readers_read_differently(text: str, advice: str) -> None:
    complaint = read_plain(text).complaint
    assert complaint is not None
    assert advice in complaint
    assert len(complaint) < 200


def test_the_same_in_quotes_is_text() -> None:
    words = ["yes", "off", "1:30", "010", "1_000", "2026-01-02", ".inf", "null", "<<", "1"]
    tree = parse_yaml("\n".join(f'- "{word}"' for word in words), "x.yaml")
    assert (tree.value, tree.problems) == (words, ())


@pytest.mark.parametrize(
    ("path", "on_key", "expected"),
    [
        (("a",), True, (1, 1)),
        (("a",), False, (2, 3)),  # a mapping starts at its first key
        (("a", "b"), True, (2, 3)),
        (("a", "b"), False, (2, 6)),
        (("a", "b", 1), False, (2, 10)),
        (("a", "b", 1, "c"), True, (2, 11)),
        (("a", "b", 1, "c"), False, (2, 14)),
        (("a", "missing"), False, (1, 1)),  # the nearest key around it
        (("ü",), False, (3, 7)),
    ],
)
def test_places_of_keys_and_values(path: tuple[str | int, ...], on_key: bool, expected: tuple[int, int]) -> None:
    tree = parse_yaml('a:\n  b: [1, {c: 2}]\n"ü":  "🎈"  # 🎈\n', "x.yaml")
    assert tuple(tree.position(path, on_key)) == expected


@pytest.mark.parametrize(
    "text",
    [
        AUTOSAVE,
        "🎈: {d: é, 'x': [1, yes]}\n? [a]\n: 1\n<<: *x\nb: &c !t |\n  two\n  lines\n",
        'a: "\\U00110000"\n',
        "a: 1\n...\n---\nb: 2\n",
        "[" * 100,
    ],
    ids=["autosave", "decorated", "beyond-unicode", "two-documents", "deep"],
)
def test_both_parsers_of_pyyaml_agree(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = []
    for loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        monkeypatch.setattr(yaml_tree, "_Loader", loader)
        trees.append(parse_yaml(text, "x.yaml"))
    first, second = trees
    assert first.value == second.value
    assert bool(first.problems) == bool(second.problems)
    assert first.values == second.values
    assert first.keys == second.keys
    if first.is_readable and second.is_readable:
        assert first.problems == second.problems


@pytest.mark.parametrize("loader", ["SafeLoader", "CSafeLoader"])
def test_an_escaped_surrogate_is_refused(loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One parser refuses it itself, the other hands it on as text that no file could hold."""
    monkeypatch.setattr(yaml_tree, "_Loader", getattr(yaml, loader, yaml.SafeLoader))
    assert parse_yaml('a: "\\ud800"\n', "x.yaml").problems
