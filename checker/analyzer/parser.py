"""DuckDB's own parser, in a locked child: a stranger's text may be made to break it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from checker.analyzer.sandbox import LockedEngine, failed, loader, locked_child
from checker.analyzer.syntax import Mentions, mentions
from checker.child.allowance import Allowance
from checker.child.handle import Child
from checker.child.serve import Opened
from checker.errors import QueryFailed

_MEMORY_MB = 64


class NotOneSelect(Exception):
    """The text is not one SELECT statement; `line` is where that shows, from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class Parser:
    """Text of SQL into DuckDB's serialised tree, and a tree into text."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._seen: dict[str, Mentions | NotOneSelect] = {}

    def mentions(self, sql: str) -> Mentions:
        """What the one SELECT in `sql` mentions, parsed once however often it is asked. Raises NotOneSelect."""
        if sql not in self._seen:
            try:
                self._seen[sql] = mentions(self.select(sql))
            except NotOneSelect as fault:
                self._seen[sql] = fault
        seen = self._seen[sql]
        if isinstance(seen, NotOneSelect):
            raise seen
        return seen

    def select(self, sql: str) -> Any:
        """The tree of the one SELECT in `sql`. Raises NotOneSelect."""
        try:
            tree = json.loads(self._child.ask(("tree", sql)))
        except QueryFailed as fault:
            raise NotOneSelect(fault.line or 1, str(fault)) from None
        except RecursionError:
            raise NotOneSelect(1, "a query is one SELECT statement; this one is nested too deeply") from None
        if tree["error"]:
            raise NotOneSelect(1, f"a query is one SELECT statement: {tree['error_message']}")
        return tree

    def text(self, tree: Any) -> str:
        """The SQL that a tree stands for. Raises QueryFailed."""
        return str(self._child.ask(("text", json.dumps(tree))))


@contextmanager
def parser(allowance: Allowance) -> Iterator[Parser]:
    """A parser, for as long as the block takes. Raises CannotDecide where none can be started."""
    with locked_child(_service, replace(allowance, query_memory_mb=_MEMORY_MB)) as child:
        yield Parser(child)


@contextmanager
def _service() -> Iterator[Opened]:
    """In the child: `("tree", sql)` gives the tree as JSON, `("text", tree)` the SQL of one."""
    with loader() as connection:
        engine = LockedEngine(connection, _MEMORY_MB)

        def answer(request: tuple[str, str]) -> str:
            kind, text = request
            if kind == "tree":
                one_select(connection.extract_statements, text)
            function = "json_serialize_sql($1::varchar)" if kind == "tree" else "json_deserialize_sql($1::json)"
            return str(engine.run(f"select {function}", {"1": text}).rows[0][0])

        yield None, answer


def one_select(extract: Any, sql: str) -> None:
    """Refuse text that is not exactly one statement, a SELECT, by DuckDB's parser. Raises QueryFailed."""
    import duckdb

    try:
        statements = extract(sql)
    except duckdb.Error as fault:
        raise failed(fault) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(str(statement.type.name) for statement in statements) or "nothing"
        raise QueryFailed(f"a query is one SELECT statement; found {kinds}", 1)
