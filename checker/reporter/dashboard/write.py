"""Writes the dashboard's two files, each whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from checker.reporter.dashboard.document import dashboard_document
from checker.reporter.dashboard.page import dashboard_page
from checker.reporter.survey import Survey
from checker.whole_file import write_whole

DOCUMENT, PAGE = "dashboard.json", "dashboard.html"


def write_dashboard(folder: Path, survey: Survey) -> None:
    """Write `dashboard.json`, then `dashboard.html`, into `folder`. Raises OSError."""
    document = dashboard_document(survey)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(folder / DOCUMENT, text.encode("utf-8", "backslashreplace"))
    write_whole(folder / PAGE, dashboard_page(survey, document).encode("utf-8", "backslashreplace"))
