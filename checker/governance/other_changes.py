"""Changes beside policy and queries: templates' words, who may sign, the engine. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from checker.governance.direction import Change, Direction, Place
from checker.governance.query_changes import first_difference
from checker.governance.query_words import text_diff
from checker.units import counted

# Lines of a requirements file that say which DuckDB is installed: those that name it, by its name or where it lies, and
# options, which may name another file or another index.
_OF_ENGINE = re.compile(r"(?i)(duckdb(?![\w.-])|-|.*[/@\\].*duckdb)")
_PIN = re.compile(r"(?i)duckdb==([0-9][0-9a-z.]*)")


def template_change(base: str, head: str, path: str, phases: tuple[str, ...], is_same: bool) -> Change | None:
    """How a template's text differs; `path` is head's in the project, `is_same` whether Jinja reads
    the same tree. None where the texts are the same."""
    if base == head:
        return None
    return Change(
        kind="template",
        subject=path,
        rule="template-text" if is_same else "template-tree",
        direction=Direction.NEUTRAL if is_same else Direction.UNKNOWN,
        before=_line(base, first_difference(head, base)),
        after=_line(head, first_difference(base, head)),
        why="comments alone: Jinja reads the same tree" if is_same else "people are told something else",
        place=Place(path, first_difference(base, head)),
        phases=phases,
        diff=text_diff(base, head, path),
    )


def _line(text: str, number: int) -> str | None:
    """A line of the text, from 1, None where it is empty or there is none."""
    lines = text.splitlines()
    return (lines[number - 1].strip() or None) if number <= len(lines) else None


def signer_change(old: bytes, new: bytes, path: str) -> Change | None:
    """How the keys of those who may sign differ; None where they are the same."""
    if old == new:
        return None
    base, head = (side.decode("utf-8", "backslashreplace") for side in (old, new))
    before, after = _keys(base), _keys(head)
    if after - before:
        direction, why = Direction.LOOSENING, "more keys, or other ones, may sign"
    elif before - after:
        direction, why = Direction.TIGHTENING, "fewer keys may sign"
    else:
        direction, why = Direction.NEUTRAL, "comments and order say nothing: the same keys may sign"
    came = (f"key new: {line}" for line in sorted(after - before))
    return Change(
        kind="signers",
        subject=path,
        rule="signers",
        direction=direction,
        before=counted(len(before), "key") if old else None,
        after=counted(len(after), "key") if new else None,
        why=why,
        place=Place(path, first_difference(base, head)) if new else Place(path, side="base"),
        notes=(*(f"key gone: {line}" for line in sorted(before - after)), *came),
    )


def _keys(text: str) -> set[str]:
    lines = (" ".join(line.split()) for line in text.split("\n"))  # as OpenSSH ends them
    return {line for line in lines if line and not line.startswith("#")}


def engine_changes(
    pins: Mapping[str, tuple[str | None, str | None]], recorded: str | None, engine: str
) -> Iterator[Change]:
    """Another version of DuckDB: pinned by a file of the project (texts of base and head by name), or run here where
    the ledger's newest decision was made by another one (`recorded`)."""
    why = "another version of the engine may measure other values"
    for path, (base, head) in pins.items():
        before, after = _pins(base or ""), _pins(head or "")
        if list(before) != list(after):
            line = next((number for text, number in after.items() if text not in before), 0)
            place = Place(path, line, side="head" if after else "base")
            yield Change("engine", "duckdb", "engine", Direction.UNKNOWN, _shown(before), _shown(after), why, place)
    if recorded is not None and recorded != engine:
        place = Place("ledger", side="base")
        yield Change("engine", "duckdb of the ledger", "engine", Direction.UNKNOWN, recorded, engine, why, place)


def _pins(text: str) -> dict[str, int]:
    """What a requirements file says of the engine, without comments and white space, and the line (from 1) of each."""
    lines = ((number, re.sub(r"(^|\s)#.*", "", line).strip()) for number, line in _joined(text))
    return {"".join(line.split()): number for number, line in lines if _OF_ENGINE.match(line)}


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a requirements file as pip reads them, with their numbers: a backslash at the end joins the next
    one, but not at the end of a line that is a comment."""
    begun, first = "", 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        first = first if begun else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            begun += f"{line[:-1]} "
            continue
        is_apart = line.lstrip().startswith("#")
        yield first, begun if is_apart else begun + line
        begun = ""


def _shown(pins: Mapping[str, int]) -> str | None:
    """The version where one is pinned and nothing else is said; else the lines. None where there are none."""
    texts = [pin[1] if (pin := _PIN.fullmatch(text)) else text for text in pins]
    return "; ".join(texts) or None
