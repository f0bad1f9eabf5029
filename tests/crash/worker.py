"""Forks a child for each job that it reads, so that what is imported is imported once. JSON lines in, and out."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.crashing import Ended, run

IMPORTED = (
    "checker.recording", "checker.reporting", "checker.cli.check", "checker.cli.report", "checker.cli.formats.table",
    "checker.reporter.transports.slack", "slack_sdk", "httpx", "filelock", "jsonschema_rs", "orjson", "jinja2.sandbox",
    "matplotlib.figure", "matplotlib.backends.backend_svg", "matplotlib.dates", "duckdb", "rich.console",
)  # fmt: skip


def main() -> None:
    """Serve until stdin is closed."""
    for name in IMPORTED:
        importlib.import_module(name)
    serve(run)


def serve(work: Callable[..., Ended]) -> None:
    """Do `work` for each job of stdin, with its fields by name."""
    print(json.dumps({"ready": True}), flush=True)  # noqa: T201  whoever started it waits for this
    for line in sys.stdin:
        job = json.loads(line)
        paths = {name: Path(job.pop(name)) for name in ("folder", "scratch")}
        print(json.dumps(asdict(work(**job, **paths))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
