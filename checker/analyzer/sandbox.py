"""The one place that opens DuckDB: a loader for phasegate's own statements, and a locked engine for governed SQL."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checker.child.allowance import Allowance, Budget
from checker.child.handle import Child, get_ready
from checker.child.serve import Service
from checker.errors import CannotDecide, QueryDied, QueryFailed, TooMuchToLoad
from checker.policy.model import Limits

if TYPE_CHECKING:
    import duckdb

LOADER_MEMORY_MB = 240
_UNREADABLE = (ValueError, RuntimeError, ArithmeticError)  # of a value that Python has no like for
MAX_RESULT_ROWS = 10_000

_SETTINGS = (
    "set global timezone = 'UTC'",  # for every session, a governed query's own too
    "set enable_progress_bar = false",
    "set temp_directory = ''",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
)
# The last three come with an extension, which cannot be loaded either.
_FILE_SYSTEMS = ("LocalFileSystem", "PipeFileSystem", "HTTPFileSystem", "S3FileSystem", "HuggingFaceFileSystem")
_LOCKED: dict[str, str] = {
    "enable_external_access": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "python_enable_replacements": "false",
    "python_scan_all_frames": "false",
    "max_expression_depth": "250",
    "lock_configuration": "true",  # last: nothing can be set after it
}
# As DuckDB tells them once it is locked. Of the file systems it tells nothing: a file is tried.
_READ_BACK = {
    **_LOCKED,
    "temp_directory": "",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allowed_directories": "[]",
    "allowed_paths": "[]",
    "threads": "1",
    "async_threads": "0",
    "TimeZone": "UTC",
}


_ahead: list[duckdb.DuckDBPyConnection] = []  # of the zygote, and of a child until it takes it; never of a command


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


@contextlib.contextmanager
def loader(memory_mb: int = LOADER_MEMORY_MB) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection on one thread that may read and write files, for phasegate's own statements alone."""
    connection = _ahead.pop() if _ahead else _opened()
    try:
        connection.execute(f"set memory_limit = '{memory_mb}MB'")
        yield connection
    finally:
        connection.close()


def _opened() -> duckdb.DuckDBPyConnection:
    import duckdb

    # without `async_threads` there would be eight more threads, which no fork keeps and Landlock would not bind
    connection = duckdb.connect(config={"threads": 1, "async_threads": 0})
    for statement in _SETTINGS:
        connection.execute(statement)
    return connection


def allowance_of(limits: Limits) -> Allowance:
    """What the policy lets queries take, with a new budget. Its wishes were capped when it was read."""
    budget = Budget(limits.measuring_deadline.total_seconds())
    return Allowance(limits.query_deadline.total_seconds(), limits.query_memory_mb, budget)


def expect_children() -> None:
    """Begin what the first child waits for. Whoever will need one calls this as early as it knows."""
    import duckdb  # before the fork, so that no child has to

    assert duckdb.__version__
    get_ready(_open_ahead)


def locked_child(service: Service, allowance: Allowance) -> Child:
    """A child for `service`, which opens DuckDB. Raises what `Child` raises."""
    expect_children()
    return Child(service, allowance, _open_ahead)


def _open_ahead() -> None:
    """In the zygote: open an empty database, of which each child then has a copy of its own."""
    connection = _opened()
    _settings(connection)  # a first query makes much that later ones share
    _ahead.append(connection)


class LockedEngine:
    """Governed SQL over relations that phasegate loaded: no file, no network, no settings. It lives in a locked child.

    What it runs has no deadline here: whoever asks the child kills it.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, memory_mb: int) -> None:
        """Lock `connection` for good; whatever it must hold has been loaded before. A query may use `memory_mb` more.

        Raises CannotDecide where a setting does not read back as it was set.
        """
        self._connection = connection
        (row,) = connection.execute("select sum(memory_usage_bytes) from duckdb_memory()").fetchall()
        connection.execute(f"set memory_limit = '{int(row[0] or 0) + (memory_mb << 20)}B'")
        lock_settings(connection)
        check_settings(connection)

    def prepare(self, statement: str) -> None:
        """Run one of phasegate's own statements: a view or a table that the next query sees. Raises QueryFailed."""
        import duckdb

        try:
            self._connection.execute(statement)
        except duckdb.Error as fault:
            raise QueryFailed(str(fault).splitlines()[0]) from None

    def _session(self) -> contextlib.AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection for one query: what that makes for itself is gone before the next."""
        return self._connection.cursor()

    def run(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """Run one governed SELECT on a connection of its own. Raises QueryFailed with DuckDB's own words.

        Parameters that the statement does not use are left out.
        """
        import duckdb

        try:
            with self._session() as session:
                (statement,) = session.extract_statements(sql)
                used = {name: parameters[name] for name in statement.named_parameters if name in parameters}
                session.execute(statement, used)
                description = session.description or []
                rows = session.fetchmany(MAX_RESULT_ROWS + 1)
        except (duckdb.Error, *_UNREADABLE) as fault:
            raise failed(fault) from None
        if len(rows) > MAX_RESULT_ROWS:
            raise QueryFailed(f"returns more than {MAX_RESULT_ROWS:,} rows")
        return Rows(tuple(item[0] for item in description), tuple(str(item[1]) for item in description), rows)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """A block of phasegate's own statements that load what queries will read. Raises TooMuchToLoad, CannotDecide."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError) as fault:
        told = str(fault).splitlines()[0] if str(fault) else "out of memory"
        raise TooMuchToLoad(f"what is to be read does not fit into {LOADER_MEMORY_MB} MB: {told}") from None
    except duckdb.Error as fault:
        raise CannotDecide(f"the events cannot be loaded: {str(fault).splitlines()[0]}") from fault


def sent_rows(result: Rows) -> list[Any]:
    """A result as it goes from a child to its command."""
    return [result.names, result.types, list(result.rows)]


def rows_of(sent: Any) -> Rows:
    """The result that a child sent. Raises QueryDied where it is none."""
    match sent:
        case [[*names], [*types], [*rows]] if all(isinstance(row, list) and len(row) == len(names) for row in rows):
            return Rows(tuple(map(str, names)), tuple(map(str, types)), [tuple(row) for row in rows])
    raise QueryDied("the query's process answered what is no table")


def lock_settings(connection: duckdb.DuckDBPyConnection) -> None:
    """Take every file system, extension and setting away from the connection's database, for good."""
    connection.execute(f"set disabled_filesystems = '{','.join(_FILE_SYSTEMS)}'")
    for name, value in _LOCKED.items():
        connection.execute(f"set {name} = {value}")


def check_settings(connection: duckdb.DuckDBPyConnection) -> None:
    """Read the settings back, and try to read a file. Raises CannotDecide where something is not as it was set."""
    import duckdb

    found = _settings(connection)
    wrong = {name: found[name] for name, value in _READ_BACK.items() if (found[name] or "") != value}
    if wrong:
        told = ", ".join(f"{name} is {value!r}, not {_READ_BACK[name]!r}" for name, value in sorted(wrong.items()))
        raise CannotDecide(f"DuckDB {engine_version()} cannot be locked: {told}")
    with contextlib.suppress(duckdb.Error):
        connection.execute(f"select * from read_text('{os.devnull}')")
        raise CannotDecide(f"DuckDB {engine_version()} cannot be locked: it still reads files")


def _settings(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    asked = ", ".join(f"current_setting('{name}')::varchar" for name in _READ_BACK)
    return dict(zip(_READ_BACK, connection.execute(f"select {asked}").fetchall()[0], strict=True))


def failed(fault: Exception) -> QueryFailed:
    """DuckDB's first line, and the line of the query that it points at, as the failure of that query."""
    text = str(fault).strip() or repr(fault)
    position = re.search(r"^LINE (\d+):", text, re.MULTILINE)
    return QueryFailed(text.splitlines()[0], int(position[1]) if position else 0)
