"""What came of the query tests: a table for people, a document for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from checker.querytest.model import CaseResult, Report
from checker.units import plain

SCHEMA_VERSION = 1


def render_table(report: Report) -> str:
    """A line for each query, the failures with the line that expects otherwise, and a count."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    groups = [(query, list(results)) for query, results in groupby(report.results, lambda result: result.case.query)]
    width = max(map(len, [query for query, _ in groups] + list(report.untested)))
    for query, results in groups:
        failed = sum(not result.passed for result in results)
        yield f"{query:<{width}}  {_counted(len(results), 'case')}  {f'{failed} FAILED' if failed else 'passed'}"
    yield from (f"{query:<{width}}  NOT TESTED" for query in report.untested)
    for result in report.failed:
        yield ""
        yield from _failure_lines(result)
    yield ""
    yield _summary(report)


def _failure_lines(result: CaseResult) -> Iterator[str]:
    yield f"{result.case.file}:{result.case.line}: {plain(result.case.name)} (phase {result.case.phase})"
    for failure in result.failures:
        yield f"  {result.case.file}:{failure.line}: {plain(failure.message)}"


def _summary(report: Report) -> str:
    parts = [f"{len(report.results) - len(report.failed)} passed"]
    if report.failed:
        parts.append(f"{len(report.failed)} failed")
    if report.untested:
        parts.append(f"{len(report.untested)} {'query has' if len(report.untested) == 1 else 'queries have'} no tests")
    return ", ".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count:>3} {noun}{' ' if count == 1 else 's'}"


def render_json(report: Report) -> str:
    """One document that ends in a line break: counts, queries without tests, every case with its failures."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "passed": len(report.results) - len(report.failed),
        "failed": len(report.failed),
        "untested": list(report.untested),
        "cases": [_case(result) for result in report.results],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _case(result: CaseResult) -> dict[str, Any]:
    case = result.case
    return {
        "query": case.query,
        "name": case.name,
        "phase": case.phase,
        "file": case.file,
        "line": case.line,
        "passed": result.passed,
        "failures": [{"line": failure.line, "message": failure.message} for failure in result.failures],
    }
