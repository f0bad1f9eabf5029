"""The dashboard as one HTML page that asks nothing of any other host. Pure but for its own template files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from checker.reporter import charts
from checker.reporter.dashboard.words import page_words
from checker.reporter.survey import Survey

if TYPE_CHECKING:
    from jinja2 import Template


def dashboard_page(survey: Survey, document: Mapping[str, Any]) -> str:
    """The page of a survey and its document; the same for the same two. Without a charting library it says so."""
    from markupsafe import Markup

    drawn, fault = _charts(survey)
    words = page_words(survey, document)
    for card in words["cards"]:
        card["chart"] = Markup(drawn[card["slo"]]) if card["slo"] in drawn else ""
    script, style = _own("page.js"), _own("page.css")
    return _template().render(
        page={**words, "no_charts": fault},
        script=Markup(script),
        style=Markup(style),
        script_hash=_hash(script),
        style_hash=_hash(style),
    )


def _hash(text: str) -> str:
    """What the page's Content-Security-Policy allows a script or a style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _charts(survey: Survey) -> tuple[dict[str, str], str]:
    drawn: dict[str, str] = {}
    for name, slo in survey.policy.slos.items():
        try:
            drawn[name] = charts.svg(charts.slo_chart(slo, survey.windows))
        except charts.NoCharts as fault:
            return {}, str(fault)
    return drawn, ""


@cache
def _own(name: str) -> str:
    return files("checker.reporter.dashboard").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_own("page.html.j2"))
