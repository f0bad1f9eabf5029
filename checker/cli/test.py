"""`phasegate test`: the queries' own unit tests, through the way that every log takes, and how much they notice."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checker.cli import say
from checker.cli.common import policy_option, progress_line, read_governed, threads_option
from checker.errors import CannotDecide, UsageError

if TYPE_CHECKING:
    from checker.analyzer.governed import Governed
    from checker.querytest.model import Report, Suite

AT_LEAST = 90.0  # percent


@click.command("test")
@click.argument("names", nargs=-1, metavar="[QUERY]...")
@policy_option
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--allow-untested", is_flag=True, help="A query without tests is shown, and is no failure.")
@click.option("--mutate", is_flag=True, help="Nudge each threshold, comparison and filter: a test must notice.")
@click.option(
    "--at-least",
    type=click.FloatRange(0, 100),
    help=f"With --mutate: the share that must be noticed, in percent.  [default: {AT_LEAST:g}]",
)
@threads_option
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    policy: Path,
    format_: str,
    allow_untested: bool,
    mutate: bool,
    at_least: float | None,
    threads: int | None,
) -> None:
    """Run the tests in tests/queries/slo/ and tests/queries/gate/ of the project, or those of some queries alone.

    Exits with 0 where all passed, 1 where one failed or a query has no tests, 2 for faulty files, 3 where nothing was
    tested. With --mutate: 0 where enough was noticed, 1 where not, 3 where there is nothing to nudge.
    """
    if at_least is not None and math.isnan(at_least):  # which a range of click's lets pass
        raise UsageError("--at-least nan: expected a number from 0 to 100")
    if at_least is not None and not mutate:
        raise UsageError("--at-least is a share of mutants; give it with --mutate")
    from checker.querytest.suite import FOLDER, read_suite

    governed = read_governed(policy)
    suite = read_suite(governed, names)
    if not suite.cases:
        raise CannotDecide(
            f"no tests of {', '.join(suite.untested)}; nothing was tested. "
            f"Write {FOLDER}/{suite.untested[0].removesuffix('.sql')}.yaml, as docs/query-tests.md shows"
        )
    if mutate:
        ctx.exit(_mutate(governed, suite, format_, AT_LEAST if at_least is None else at_least, threads))
    report = _run(governed, suite, threads)
    _show(report, format_)
    ctx.exit(1 if report.failed or (report.untested and not allow_untested) else 0)


def _run(governed: Governed, suite: Suite, threads: int | None) -> Report:
    from checker.engines.local import local_mapper
    from checker.querytest.suite import run_suite

    return run_suite(governed, suite, local_mapper(threads, progress_line("testing")))


def _show(report: Report, format_: str) -> None:
    from checker.cli.formats.query_tests import render_json, render_table

    if format_ == "json":
        say.document(render_json(report))
    else:
        say.text(render_table(report))


def _mutate(governed: Governed, suite: Suite, format_: str, at_least: float, threads: int | None) -> int:
    """Run the mutants, once the cases pass without any; the exit code. Raises CannotDecide where nothing ran."""
    from checker.cli.formats.mutation import render_json, render_table
    from checker.engines.local import local_mapper
    from checker.querytest.mutation import run_mutants, unchanged

    before = _run(unchanged(governed), suite, threads)
    if before.failed:
        _show(before, format_)
        say.note("nothing was nudged: the tests must pass first")
        return 1
    report = run_mutants(governed, suite, local_mapper(threads, progress_line("mutating")))
    if report.share is None:
        raise CannotDecide(f"there is nothing to nudge: {len(report.outcomes)} mutants, none of which could be run")
    if format_ == "json":
        say.document(render_json(report, at_least))
    else:
        say.text(render_table(report, at_least))
    return 0 if report.reaches(at_least) else 1
