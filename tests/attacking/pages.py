"""Attacks of a value on whoever looks at the dashboard, a plot, the Runbook or a report."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt

from checker.model import Status
from checker.reporter.charts import Chart, Point, svg
from checker.reporter.dashboard import page as dashboard
from checker.reporter.dashboard.document import dashboard_document
from checker.reporter.runbook.page import runbook
from tests import decisions as build
from tests.attacking.model import Attack, Carry, SwitchOff
from tests.ledgers import LedgerBuilder
from tests.surveys import FIRST, survey, view

OWN = {
    "a", "article", "body", "button", "code", "dd", "div", "dl", "dt", "footer", "h1", "h2", "h3", "head", "header",
    "html", "li", "link", "main", "meta", "p", "progress", "section", "span", "strong", "style", "title", "ul", "br",
    "svg", "defs", "g", "path", "use", "clippath", "rect", "text",
}  # fmt: skip
SCRIPTS = 1  # the page's own
ATTRIBUTES = {"onerror", "onload", "onclick", "onmouseover", "onfocus", "autofocus", "src", "srcset", "formaction"}


class Found(HTMLParser):
    """What a browser would make of a page: its elements, scripts and attributes that act."""

    def __init__(self) -> None:
        super().__init__()
        self.strange: list[str] = []
        self.scripts = 0
        self.acting: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        if tag not in OWN and tag != "script":
            self.strange.append(tag)
        self.acting += [name for name, _ in attrs if name in ATTRIBUTES]

    def told(self) -> str:
        return f"scripts {self.scripts}\nstrange {self.strange}\nacting {self.acting}\n"


def looked_at(page: str) -> str:
    found = Found()
    found.feed(page)
    controls = sorted({hex(ord(character)) for character in page if not character.isprintable() and character != "\n"})
    return f"{found.told()}controls {controls}\n{page}"


def shown(attack: Attack, _: Path) -> str:
    """The value stands in titles, a unit, a reason, a name and an id of the dashboard."""
    value = attack.does
    slos = {name: replace(slo, title=value, unit=value) for name, slo in build.policy().slos.items()}
    ledger = LedgerBuilder().phase_change("off", "B").incident("opened", value, slos=["failure_rate"])
    ledger.incident("cancelled", value, by=value, reason=value).rollback("proposed", "B", "A", name=value)
    ledger.record("notice", {"notice": value, "outcome": "ok", "channel": value, "text": value})
    ledger.record("pause", {"by": value, "reason": value})
    found = survey([{}, {"failure_rate": None}], policy=build.policy(title=value, slos=slos), ledger=ledger)
    found = replace(found, decision=replace(found.decision, reasons=(value,)))
    return looked_at(dashboard.dashboard_page(found, dashboard_document(found)))


def drawn(attack: Attack, _: Path) -> str:
    """The value is an SLO's title and unit in a plot of its own."""
    element = svg.__wrapped__(Chart(attack.does, attack.does, (Point(FIRST, 1.0, Status.OK),), 2.0))
    names = sorted({str(part.tag).rpartition("}")[2] for part in ElementTree.fromstring(element).iter()})
    return f"elements {names}\n{element}"


def written(attack: Attack, _: Path) -> str:
    """The value is who did something, why, what the release tool printed, and a note, in a Runbook."""
    value = attack.does
    ledger = LedgerBuilder().phase_change("off", "B").incident("opened", "incident-1", slos=["failure_rate"])
    ledger.record("rollback", _failed(value), name="rollback-1")
    ledger.record("incident", {"event": "noted", "by": value, "reason": value, "step": 2}, name="incident-1")
    page = runbook(view(ledger, "incident-1"))
    made = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)
    return f"headings {re.findall('<h[1-6]>(.*?)</h[1-6]>', made)}\n{looked_at(made)}"


def _failed(value: str) -> dict[str, Any]:
    told = {"event": "failed", "from": "B", "to": "A", "incident": "incident-1", "by": value, "reason": value}
    return told | {"output": value, "exit_code": 1, "attempt": 1, "command": ["release", value]}


KINDS: dict[str, Carry] = {"shown": shown, "drawn": drawn, "written": written}


def _replaced(place: str, by: Callable[..., Any]) -> SwitchOff:
    return lambda patch: patch.setattr(place, by)


def _not_escaped(patch: pytest.MonkeyPatch) -> None:
    environment = Environment(autoescape=False, undefined=StrictUndefined)
    template = environment.from_string(dashboard._own("page.html.j2"))
    patch.setattr(dashboard, "_template", lambda: template)


def _as_it_is(value: Any, *_: Any, **__: Any) -> Any:
    return value


LAYERS: dict[str, SwitchOff] = {
    "the page's template escapes": _not_escaped,
    "no text of the page holds a control character": _replaced("checker.reporter.dashboard.words._harmless", _as_it_is),
    "a plot's words are escaped": _replaced("checker.reporter.charts._escaped", _as_it_is),
    "the Runbook escapes values": _replaced("checker.reporter.runbook.page.md", _as_it_is),
    "the Runbook's blocks end where they are to": _replaced(
        "checker.reporter.runbook.page.fenced", lambda text, kind="": f"```{kind}\n{text}\n```"
    ),
}
