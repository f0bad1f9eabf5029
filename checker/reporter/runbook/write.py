"""Puts the pages of an incident into its folder: only what has changed, each whole or not at all."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from checker.regular import is_link
from checker.reporter import charts
from checker.reporter.runbook.page import runbook
from checker.reporter.runbook.report import Evidence, drawn_slos, incident_report, plot_name
from checker.reporter.runbook.view import IncidentView
from checker.whole_file import safe_name, write_whole

PAGE, REPORT = "runbook.md", "report.md"


def page_place(subject: str) -> str:
    """Where an incident's Runbook lies, below the folder of reports."""
    return f"incidents/{safe_name(subject)}/{PAGE}"


def write_page(reports: Path, view: IncidentView) -> str:
    """Write the Runbook; gives its place below the folder of reports. Raises OSError."""
    place = page_place(view.subject)
    write_changed(reports / place, runbook(view).encode())
    return place


def write_report(reports: Path, view: IncidentView, evidence: Evidence | None, why_none: str = "") -> None:
    """Write the report, and the plots where the charting library is there. Raises OSError."""
    folder = (reports / page_place(view.subject)).parent
    write_changed(folder / REPORT, incident_report(view, evidence, why_none).encode())
    if evidence is None:
        return
    for slo in drawn_slos(view, evidence):
        try:
            drawn = charts.svg(charts.slo_chart(view.policy.slos[slo], evidence.around))
        except charts.NoCharts as fault:
            drawn = _instead(str(fault))
        write_changed(folder / plot_name(slo), drawn.encode())


def _instead(text: str) -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="520" height="40" role="img">'
        f'<text x="8" y="24" font-family="sans-serif" font-size="12">{escape(text)}</text></svg>\n'
    )


def write_changed(path: Path, content: bytes) -> None:
    """Write the file where it does not hold this already. Raises OSError."""
    if path.exists() and not is_link(path) and path.read_bytes() == content:
        return
    write_whole(path, content)
