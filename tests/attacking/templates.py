"""Hostile templates and hostile values in notices: validated as a governed file is, then rendered as a check does."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jinja2 import Undefined
from jinja2.defaults import DEFAULT_FILTERS, DEFAULT_TESTS
from jinja2.sandbox import SandboxedEnvironment
from markdown_it import MarkdownIt

from checker.cli.app import cli
from checker.errors import GovernedFilesInvalid
from checker.model import Status
from checker.policy.load import load_policy
from checker.policy.model import Policy
from checker.reporter import (
    escape,
    notice_tells,
    render,
    template_bounds,
    template_check,
    template_claims,
    template_words,
)
from checker.reporter.facts import facts
from checker.reporter.notice_tells import template_faults
from tests import decisions as build
from tests.attacking.model import Attack, Carry, SwitchOff

_POLICY = load_policy(build.PROJECT / "policy/policy.yaml")
_SOURCES = {path.name: path.read_text("utf-8") for path in _POLICY.templates_root.glob("*.j2")}
_OUTCOMES = {"autosave-rollback.j2": "violation", "autosave-incident.j2": "violation", "autosave-ok.j2": "ok"}


def template(attack: Attack, folder: Path) -> str:
    """A template in the place of a shipped one (`at`): its faults as `validate` tells them, else its notice."""
    del folder
    name = attack.more.get("at", "autosave-incident.j2")
    sources = _SOURCES | {name: _repeated(attack)}
    try:
        problems = template_faults(_POLICY, sources)
        if problems:
            return str(GovernedFilesInvalid(problems))
        return _noticed(_POLICY, sources, _OUTCOMES[name], name)
    except Exception as error:  # the layer that is off may have been what kept Jinja from failing
        return f"internal error: {type(error).__name__}: {error}"


def _repeated(attack: Attack) -> str:
    """The attack's text after what stands `before` it, each mark of `repeat` written out as its text so many times."""
    source = str(attack.does)
    for mark, (text, times) in attack.more.get("repeat", {}).items():
        source = source.replace(mark, text * times)
    return str(attack.more.get("before", "")) + source


def _noticed(policy: Policy, sources: Mapping[str, str], outcome: str, name: str = "") -> str:
    made = build.violation(policy) if outcome == "violation" else build.decision(policy)
    notices = render.notices_for(policy, made, (), sources)
    return "\n".join(notice.text for notice in notices if not name or policy.notices[notice.id].template == name)


def validated(attack: Attack, folder: Path) -> str:
    """The same with the command itself, on a project of its own."""
    for part in ("policy", "queries", "schemas"):
        shutil.copytree(build.PROJECT / part, folder / part)
    (folder / "policy/templates/autosave-incident.j2").write_text(str(attack.does), "utf-8")
    done = CliRunner().invoke(cli, ["validate", f"--policy={folder / 'policy/policy.yaml'}"])
    return f"exit {done.exit_code}\n{done.output}\n{type(done.exception).__name__}: {done.exception}"


def unchecked(attack: Attack, folder: Path) -> str:
    """A template that no check has seen, rendered all the same: what its sandbox alone does."""
    del folder
    said = facts(_POLICY, build.violation(_POLICY))
    try:
        return escape.placed(render.filled(template_check.compiled(str(attack.does)), said, "t.j2"), escape.SLACK)
    except render.TemplateFault as fault:
        return str(fault)


def slack_value(attack: Attack, folder: Path) -> str:
    """A value from data (the reason why nothing could be measured) in the shipped notice without a verdict."""
    del folder
    rows = build.judgements(_POLICY, save_latency_p95=None)
    hostile = (build.judgement("save_latency_p95", None, _POLICY, reason=_repeated(attack)), *rows[1:])
    made = build.decision(_POLICY, judgements=hostile)
    (notice,) = render.notices_for(_POLICY, made, (Status.NO_DATA,), _SOURCES)
    return notice.text


def runbook_value(attack: Attack, folder: Path) -> str:
    """A value from data in a Runbook entry, and what a Markdown reader (with tables, links found) makes of it."""
    del folder
    said = {**facts(_POLICY, build.violation(_POLICY), initiator="ada"), "reason": str(attack.does)}
    source = str(attack.more.get("source", _SOURCES["autosave-rollback.j2"]))
    text = render.render(source, said, markup=escape.MARKDOWN)
    return f"{text}\nread as: {' '.join(sorted(markdown_tokens(text)))}"


def markdown_tokens(text: str) -> set[str]:
    """The kinds of all tokens that a Markdown reader finds, but paragraphs, texts, line breaks and code spans."""
    dull = {"paragraph", "text", "softbreak", "code_inline", "inline"}
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    everything: list[Any] = [*tokens, *(child for token in tokens for child in token.children or [])]
    return {
        kind for token in everything if (kind := token.type.removesuffix("_open").removesuffix("_close")) not in dull
    }


KINDS: dict[str, Carry] = {
    "template": template,
    "validate": validated,
    "unchecked": unchecked,
    "slack value": slack_value,
    "runbook value": runbook_value,
}


class _Everything:
    def __contains__(self, item: object) -> bool:
        return True


def _off(module: Any, name: str, value: Any) -> SwitchOff:
    return lambda patch: patch.setattr(module, name, value)


def _nothing(*_: object, **__: object) -> tuple[()]:
    return ()


def _as_it_is(value: str, **_: object) -> str:
    return value


def _any_filter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(template_words, "filter_faults", _nothing)
    patch.setattr(template_words, "printed_faults", _nothing)
    patch.setattr(template_check, "FILTERS", tuple(DEFAULT_FILTERS))


def _any_test(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(template_words, "test_faults", _nothing)
    patch.setattr(template_check, "TESTS", tuple(DEFAULT_TESTS))


class _Open(SandboxedEnvironment):
    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        del obj, attr, value
        return True


LAYERS: dict[str, SwitchOff] = {
    "size of the source": _off(template_bounds, "MAX_SOURCE", 10**9),
    "depth before parsing": _off(template_bounds, "depth_faults", lambda _: []),
    "nothing hidden in the source": _off(template_bounds, "hidden_faults", lambda _: []),
    "allowed nodes": _off(template_words, "NODES", _Everything()),
    "allowed filters": _any_filter,
    "allowed tests": _any_test,
    "allowed calls": _off(template_words, "call_faults", _nothing),
    "known parts": _off(template_words, "part_faults", _nothing),
    "known names": _off(template_words, "name_faults", _nothing),
    "loops": _off(template_words, "loop_faults", _nothing),
    "comparisons": _off(template_words, "compare_faults", _nothing),
    "no list is printed": _off(template_words, "printed_faults", _nothing),
    "said whatever the facts": _off(template_check, "unsaid", _nothing),
    "no other verdict's word": _off(template_check, "claim_faults", _nothing),
    "nothing that hides the rest": _off(template_claims, "MARKDOWN", "no markup"),
    "told in every rendering": _off(notice_tells, "untold", _nothing),
    "the last line": _off(render, "verdict_line", lambda *_: ""),
    "length of the text": _off(render, "MAX_TEXT", 10**9),
    "steps of the loops": _off(render, "MAX_STEPS", 10**9),
    "length of a value": _off(template_check, "MAX_VALUE", 10**9),
    "plain values": _off(template_check, "printed", lambda value: escape.marked(str(value))),
    "the sandbox": _off(template_check, "ImmutableSandboxedEnvironment", _Open),
    "strict undefined": _off(template_check, "StrictUndefined", Undefined),
    "links and mentions": _off(escape, "unlinked", _as_it_is),
    "entities": _off(escape, "_entities", _as_it_is),
    "Slack's formatting": _off(escape, "_for_slack", lambda value, **_: value),
    "Markdown's syntax": _off(escape, "_for_markdown", lambda value, **_: value),
    "one visible line": _off(escape, "plain", _as_it_is),
}
