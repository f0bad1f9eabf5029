"""What a change of a query's text comes to: proved to be the same, or unknown. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checker.analyzer.header import Header, read_header
from checker.governance.direction import Change, Direction, Place
from checker.governance.query_same import meant_differently, same_tree
from checker.governance.query_words import came_and_went, normalised, own_parts, text_diff


@dataclass(frozen=True, slots=True)
class QueryText:
    """One side's query: its path below `queries/`, its text, and DuckDB's tree of it."""

    path: str
    sql: str
    tree: Any

    @property
    def header(self) -> Header:
        """What its leading comment lines say."""
        return read_header(self.sql)


def are_same(base: QueryText, head: QueryText) -> bool:
    """Whether they are proved to measure the same from the same."""
    return same_tree(base.tree, head.tree) and not meant_differently(base.header, head.header)


def query_change(base: QueryText, head: QueryText, phases: tuple[str, ...]) -> Change | None:
    """How head's query differs from base's; None where their texts are the same."""
    if base.sql == head.sql:
        return None
    path = f"queries/{head.path}"
    line = first_difference(base.sql, head.sql)
    if not same_tree(base.tree, head.tree):
        line = _first_of_body(base.sql, head.sql)
        before, after = normalised(base.sql), normalised(head.sql)
        return Change(
            kind="query",
            subject=path,
            rule="query-tree",
            direction=Direction.UNKNOWN,
            before=own_parts(base.sql, head.sql),
            after=own_parts(head.sql, base.sql),
            why="DuckDB reads another tree, and what that does to a value cannot be told from the text",
            place=Place(path, line),
            phases=phases,
            notes=(*_headers(base, head), *came_and_went(base.sql, head.sql)),
            diff=text_diff(before, after, path),
        )
    meant = meant_differently(base.header, head.header)
    direction = Direction.UNKNOWN if meant else Direction.NEUTRAL
    return Change(
        kind="query",
        subject=path,
        rule="query-header" if meant else "query-text",
        direction=direction,
        before=", ".join(f"{key} {base.header.get(key) or 'none'}" for key in meant) or "the text as it was",
        after=", ".join(f"{key} {head.header.get(key) or 'none'}" for key in meant) or "another text",
        why=_why_header(meant) if meant else "comments, white space or spelling: DuckDB reads the same tree",
        place=Place(path, head.header.line(meant[0]) if meant else line),
        phases=phases,
        notes=tuple(_headers(base, head)),
        diff=text_diff(base.sql, head.sql, path),
    )


def _why_header(meant: tuple[str, ...]) -> str:
    told = {
        "lookback": "the value may read events from another stretch of time",
        "unit": "the value is in another unit",
        "worst": "other rows are shown behind the value",
        "counts": "other counts are shown behind the value",
    }
    return "; ".join(told[key] for key in meant)


def _headers(base: QueryText, head: QueryText) -> Iterator[str]:
    """What the headers say differently."""
    before, after = base.header.values, head.header.values
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            yield f"header: {key}: {before.get(key, 'not said')} → {after.get(key, 'not said')}"


def _first_of_body(base: str, head: str) -> int:
    """The line of `head` at which what follows its header begins to differ from what follows base's."""
    before, after = (_without_header(text) for text in (base, head))
    return after[1] + first_difference(before[0], after[0])


def _without_header(sql: str) -> tuple[str, int]:
    """What follows the leading comment lines, and how many there are."""
    lines = sql.splitlines()
    count = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return "\n".join(lines[count:]), count


def first_difference(base: str, head: str) -> int:
    """The line of `head`, from 1, at which it begins to differ from `base`."""
    before, after = base.splitlines(), head.splitlines()
    same = 0
    for left, right in zip(before, after, strict=False):
        if left != right:
            break
        same += 1
    return max(1, min(same + 1, len(after)))
