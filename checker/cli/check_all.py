"""`phasegate check --all FOLDER`: every policy below a folder, each judged by itself, one verdict on all of them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checker.cli import say
from checker.cli.common import NO_LEDGER, cache_place, clock, ledger_file, progress_line, read_governed
from checker.cli.formats.layout import colour_wanted
from checker.errors import PhasegateError, UsageError
from checker.targets.model import INTERNAL, AtRest, Checked, Judged, NotJudged, Target

if TYPE_CHECKING:
    from checker.analyzer.cache import CachePlace
    from checker.analyzer.governed import Governed
    from checker.ledger.state import LedgerState
    from checker.targets.find import Found

_PATHS = re.compile(r"(?<![\w.])/[^\s\"']+")
_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options ask of every target. `locks` is a folder for locks that last as long as the command."""

    folder: Path
    phase: str | None
    as_of: datetime
    ledger: Path | None
    cache: CachePlace
    locks: Path
    threads: int = 1
    fail_on_warn: bool = False
    verify_logs: bool = False


def check_all(
    folder: Path,
    *,
    phase: str | None,
    as_of: datetime | None,
    no_ledger: bool,
    use_cache: bool,
    threads: int | None,
    fail_on_warn: bool,
    verify_logs: bool,
) -> Checked:
    """Judge every policy below `folder`, each in a process of its own. Raises as find_policies does."""
    import duckdb  # imported before the processes are forked, so that none of them has to

    import checker.pipeline
    from checker.engines.processes import Died, in_processes
    from checker.targets.find import find_policies

    assert duckdb.__version__, checker.pipeline.__name__
    found = find_policies(folder)
    workers = min(threads or os.cpu_count() or 1, len(found))
    with _cache_of(folder, use_cache) as cache, tempfile.TemporaryDirectory(prefix="phasegate-") as locks:
        asked = Asked(
            folder=folder,
            phase=phase,
            as_of=clock(as_of),
            ledger=NO_LEDGER if no_ledger else None,
            cache=cache,
            locks=Path(locks),
            threads=max(1, (threads or os.cpu_count() or 1) // workers),
            fail_on_warn=fail_on_warn,
            verify_logs=verify_logs,
        )
        told = in_processes(lambda policy: _judged(asked, policy), found, workers, progress_line("checked"))
    targets = [
        NotJudged(policy.path, f"the process that checked it died ({target.how})", INTERNAL)
        if isinstance(target, Died)
        else target
        for policy, target in zip(found, told, strict=True)
    ]
    return Checked(asked.as_of, tuple(targets))


@contextmanager
def _cache_of(folder: Path, use_cache: bool) -> Iterator[CachePlace]:
    """One cache for all targets, so that logs which they share are read once; without one, for as long as this runs."""
    from checker.analyzer.cache import CachePlace, can_be_used

    place = cache_place(folder, use_cache)
    if place is not None and can_be_used(place):
        yield place
        return
    if place is not None:
        say.note("the cache cannot be used (locked, not writable, a link, or its disk is full); nothing is kept")
    with tempfile.TemporaryDirectory(prefix="phasegate-") as scratch:
        yield CachePlace.trusted(Path(scratch))


def _judged(asked: Asked, found: Found) -> Target:
    """What became of one target. Raises nothing: another one's verdict hangs on nothing that is met here."""
    if found.refused is not None:
        return NotJudged(found.path, found.refused, UsageError.exit_code)
    try:
        return _check(asked, found.path)
    except PhasegateError as fault:
        return NotJudged(found.path, str(fault), fault.exit_code)
    except OSError as fault:
        return NotJudged(found.path, f"cannot be read: {fault.strerror or type(fault).__name__}", 3)
    except Exception as fault:
        told = _PATHS.sub("…", f"internal error: {type(fault).__name__}: {fault}")
        return NotJudged(found.path, told, INTERNAL)


def _check(asked: Asked, path: str) -> Target:
    from checker.cli.check import exit_code
    from checker.engines.local import local_mapper
    from checker.model import Status
    from checker.pipeline import Request, check, read_past
    from checker.policy.model import COMPLETE, OFF

    governed = read_governed(asked.folder / path)
    policy = governed.policy
    request = Request(
        phase="",
        as_of=asked.as_of,
        logs=_logs(governed),
        ledger=ledger_file(governed, asked.ledger),
        cache=asked.cache,
        verify_logs=asked.verify_logs,
        run=local_mapper(asked.threads),
    )
    past = read_past(request)
    state = past.state
    if state.phase in (OFF, COMPLETE):
        incident = state.open_incident
        return AtRest(path, policy.target, policy.title, state.phase, incident.id if incident else None, past.torn)
    request = replace(request, phase=_phase(governed, state, asked.phase))
    with _turn(asked.locks, request.logs):
        result = check(governed, request, past)
    code = exit_code(result.decision)
    warned = asked.fail_on_warn and result.decision.outcome is Status.WARN
    return Judged(path, policy, result, 1 if warned else code, past.torn)


def _phase(governed: Governed, state: LedgerState, asked: str | None) -> str:
    """The ledger's phase, else --phase, else the only one. Raises UsageError: no phase is guessed."""
    names = governed.policy.phase_names
    if chosen := state.phase or asked or (names[0] if len(names) == 1 else None):
        return chosen
    raise UsageError(f"no ledger says in which phase it is (of {', '.join(names)}); say it with --phase")


def _logs(governed: Governed) -> Path:
    folder = governed.policy.root / "logs" / governed.policy.target
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"logs/{governed.policy.target}: is a file; expected the folder of batches")
    return folder


@contextmanager
def _turn(locks: Path, logs: Path) -> Iterator[None]:
    """Hold the logs' lock: of targets that share them the first reads, and the others find it read."""
    from filelock import FileLock

    name = hashlib.sha256(os.fsencode(os.path.realpath(logs))).hexdigest()
    with FileLock(locks / f"{name}.lock"):  # the kernel's: gone with its process
        yield


def show_all(format_: str, checked: Checked, folder: Path) -> None:
    """Write all of it to stdout as the format called `format_`, and on stderr what was set aside of ledgers."""
    from checker.cli.formats import all_document, all_markdown, all_reports, all_table

    for target in checked.targets:
        if torn := getattr(target, "torn", None):
            say.note(f"{target.path}: ledger: {torn}")
    match format_:
        case "json":
            say.document(all_document.to_json(checked))
        case "junit":
            say.xml(all_reports.to_junit(checked))
        case "github":
            say.workflow_commands(all_reports.to_annotations(checked, folder))
        case "markdown":
            say.text(all_markdown.to_markdown(checked, folder))
        case _:
            colour = colour_wanted(sys.stdout.isatty(), os.environ)
            width = min(shutil.get_terminal_size((_WIDTH, 24)).columns, 100)
            say.text(all_table.render_table(checked, folder, colour=colour, width=width), styled=colour)
