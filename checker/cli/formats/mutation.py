"""What became of the mutants: a table for people with what no fixture noticed, a document for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from rich.cells import cell_len

from checker.cli.formats.layout import folded
from checker.querytest.mutants import Fate, MutationReport, Outcome, share_of
from checker.units import plain

SCHEMA_VERSION = 1
WIDTH, MORE = 80, "  "


def render_table(report: MutationReport, at_least: float) -> str:
    """A line for each file, each mutant that no fixture noticed with the fixture to add, those refused, the share."""
    return "".join(f"{line}\n" for text in _lines(report, at_least) for line in _folded(text))


def _folded(text: str) -> list[str]:
    """`text` in lines of at most WIDTH columns; those after the first stand two columns further in."""
    indent = text[: len(text) - len(text.lstrip())]
    if cell_len(text) <= WIDTH:
        return [text]
    first, *rest = folded(text, WIDTH - len(indent) - len(MORE))
    return [indent + first, *(f"{indent}{MORE}{line}" for line in rest)]


def _lines(report: MutationReport, at_least: float) -> Iterator[str]:
    groups = [(file, list(found)) for file, found in groupby(report.outcomes, lambda item: item.mutant.place.file)]
    width = max(len(file) for file, _ in groups)
    for file, found in groups:
        yield f"{file:<{width}}  {len(found):>4} mutants  {_counts(found)}"
    for outcome in report.of(Fate.SURVIVED):
        yield ""
        yield f"{_place(outcome)}: {outcome.mutant.told}; no fixture noticed"
        yield f"  {_advice(outcome)}"
    for outcome in report.of(Fate.REFUSED):
        yield ""
        yield f"{_place(outcome)}: {outcome.mutant.told}; refused: {plain(outcome.message)}"
    yield ""
    share = "nothing ran" if report.share is None else f"{_percent(report.share)} % caught"
    yield f"{len(report.outcomes)} mutants: {_counts(report.outcomes)}; {share} (at least {at_least:g} %)"


def _counts(outcomes: Any) -> str:
    fates = [outcome.fate for outcome in outcomes]
    parts = [f"{fates.count(Fate.CAUGHT)} caught", f"{fates.count(Fate.SURVIVED)} survived"]
    return ", ".join([*parts, f"{fates.count(Fate.REFUSED)} refused"] if Fate.REFUSED in fates else parts)


def _percent(share: float) -> str:
    """Cut off, not rounded: 89.97 is not 90."""
    return f"{int(share * 10) / 10:g}"


def _place(outcome: Outcome) -> str:
    place = outcome.mutant.place
    return f"{place.file}:{place.line}: {plain(place.what)}"


def _advice(outcome: Outcome) -> str:
    return f"add to {' or '.join(_fixtures(outcome))} a case that {plain(outcome.mutant.hint)}"


def _fixtures(outcome: Outcome) -> list[str]:
    return [f"tests/queries/{query.removesuffix('.sql')}.yaml" for query in sorted(outcome.mutant.queries)]


def render_json(report: MutationReport, at_least: float) -> str:
    """One document that ends in a line break: counts, the share in percent, every mutant with what became of it."""
    document = {
        "schema_version": SCHEMA_VERSION,
        **{fate.value: len(report.of(fate)) for fate in Fate},
        "share": share_of(report.outcomes),
        "at_least": at_least,
        "reached": report.reaches(at_least),
        "mutants": [_mutant(outcome) for outcome in report.outcomes],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _mutant(outcome: Outcome) -> dict[str, Any]:
    place, case = outcome.mutant.place, outcome.case
    return {
        "file": place.file,
        "line": place.line,
        "what": place.what,
        "nudge": outcome.mutant.told,
        "fate": outcome.fate.value,
        "case": case and {"file": case.file, "line": case.line, "name": case.name, "message": outcome.message},
        "message": outcome.message if case is None else None,
        "advice": _advice(outcome) if outcome.fate is Fate.SURVIVED else None,
    }
