"""`phasegate test`: the queries' own unit tests, through the way that every log takes."""

from __future__ import annotations

from pathlib import Path

import click

from checker.cli import say
from checker.cli.common import policy_option, progress_line, read_governed, threads_option
from checker.errors import CannotDecide


@click.command("test")
@click.argument("names", nargs=-1, metavar="[QUERY]...")
@policy_option
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--allow-untested", is_flag=True, help="A query without tests is shown, and is no failure.")
@threads_option
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    policy: Path,
    format_: str,
    allow_untested: bool,
    threads: int | None,
) -> None:
    """Run the tests in tests/queries/slo/ and tests/queries/gate/ of the project, or those of some queries alone.

    Exits with 0 where all passed, 1 where one failed or a query has no tests, 2 for faulty files, 3 where nothing was
    tested.
    """
    from checker.cli.formats.query_tests import render_json, render_table
    from checker.engines.local import local_mapper
    from checker.querytest.suite import FOLDER, read_suite, run_suite

    governed = read_governed(policy)
    suite = read_suite(governed, names)
    if not suite.cases:
        raise CannotDecide(
            f"no tests of {', '.join(suite.untested)}; nothing was tested. "
            f"Write {FOLDER}/{suite.untested[0].removesuffix('.sql')}.yaml, as docs/query-tests.md shows"
        )
    report = run_suite(governed, suite, local_mapper(threads, progress_line("testing")))
    if format_ == "json":
        say.document(render_json(report))
    else:
        say.text(render_table(report))
    ctx.exit(1 if report.failed or (report.untested and not allow_untested) else 0)
