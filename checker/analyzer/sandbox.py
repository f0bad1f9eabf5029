"""The one place that opens DuckDB: a loader for phasegate's own statements, and a locked engine for governed SQL."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checker.errors import QueryFailed, QueryTimedOut

if TYPE_CHECKING:
    import duckdb

LOADER_MEMORY = "240MB"
QUERY_DEADLINE_S = 30.0
MAX_RESULT_ROWS = 1_000_000

_SETTINGS = (
    "set global timezone = 'UTC'",  # for every session, a governed query's own too
    "set enable_progress_bar = false",
    "set temp_directory = ''",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
)
_LOCKS = (
    "set enable_external_access = false",
    "set allow_community_extensions = false",
    "set python_enable_replacements = false",
    "set max_expression_depth = 250",
    "set lock_configuration = true",
)


@dataclass(frozen=True, slots=True)
class Rows:
    """A query's result: column names, DuckDB's type names, and rows."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


def engine_version() -> str:
    """DuckDB's version; part of every key and digest."""
    import duckdb

    return str(duckdb.__version__)


@contextmanager
def loader(memory: str = LOADER_MEMORY) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection on one thread that may read and write files, for phasegate's own statements alone."""
    import duckdb

    connection = duckdb.connect(config={"threads": 1, "memory_limit": memory})
    try:
        for statement in _SETTINGS:
            connection.execute(statement)
        yield connection
    finally:
        connection.close()


class LockedEngine:
    """Governed SQL over relations that phasegate loaded: no file, no network, no settings, a deadline."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Lock `connection` for good; whatever it must hold has been loaded before."""
        self._connection = connection
        for statement in _LOCKS:
            connection.execute(statement)

    def prepare(self, statement: str) -> None:
        """Run one of phasegate's own statements: a view or a variable that the next query sees."""
        self._connection.execute(statement)

    def run(self, sql: str, parameters: Mapping[str, Any], deadline_s: float | None = None) -> Rows:
        """Run one governed SELECT on a cursor of its own. Raises QueryFailed with DuckDB's own words.

        Parameters that the statement does not use are left out. Without `deadline_s` it may take `QUERY_DEADLINE_S`.
        """
        import duckdb

        deadline_s = QUERY_DEADLINE_S if deadline_s is None else deadline_s
        cursor = self._connection.cursor()
        alarm = threading.Timer(deadline_s, cursor.interrupt)
        alarm.daemon = True
        alarm.start()
        try:
            (statement,) = cursor.extract_statements(sql)
            used = {name: parameters[name] for name in statement.named_parameters if name in parameters}
            cursor.execute(statement, used)
            description = cursor.description or []
            rows = cursor.fetchmany(MAX_RESULT_ROWS + 1)
        except duckdb.InterruptException:
            raise QueryTimedOut(f"stopped after {deadline_s:g} s; a query must end within that time") from None
        except (duckdb.Error, ValueError, RuntimeError) as fault:
            raise _told(fault) from None
        finally:
            alarm.cancel()
            cursor.close()
        if len(rows) > MAX_RESULT_ROWS:
            raise QueryFailed(f"returns more than {MAX_RESULT_ROWS:,} rows")
        return Rows(tuple(item[0] for item in description), tuple(str(item[1]) for item in description), rows)


def _told(fault: Exception) -> QueryFailed:
    """DuckDB's first line, and the line of the query that it points at."""
    text = str(fault).strip() or repr(fault)
    position = re.search(r"^LINE (\d+):", text, re.MULTILINE)
    return QueryFailed(text.splitlines()[0], int(position[1]) if position else 0)


@contextmanager
def parser() -> Iterator[duckdb.DuckDBPyConnection]:
    """A locked connection without any relation, for DuckDB's own parser."""
    with loader("64MB") as connection:
        LockedEngine(connection)
        yield connection
