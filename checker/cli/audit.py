"""`phasegate audit`: would every recorded decision be made again?"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from checker.cli import say
from checker.cli.common import (
    Instant,
    cache_option,
    open_request,
    read_governed,
    source_options,
    tell_torn,
    threads_option,
)
from checker.windows import iso, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from checker.audit import Finding, Said

SHOWN = 200  # findings that are told one by one
_WORDS = {
    "same": "as recorded",
    "inputs_changed": "as recorded, from other inputs",
    "differs": "would differ",
    "batch_missing": "would differ: the batch is gone",
    "other_policy": "not compared: made under another policy",
}


@click.command("audit")
@source_options
@click.option("--since", type=Instant(), help="Windows that begin then or later.")
@click.option("--until", type=Instant(), help="Windows that begin before then.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@threads_option
@cache_option
@click.pass_context
def command(
    ctx: click.Context,
    policy: Path,
    logs: Path | None,
    ledger: Path | None,
    as_of: datetime | None,
    since: datetime | None,
    until: datetime | None,
    format_: str,
    threads: int | None,
    use_cache: bool,
) -> None:
    """Make every recorded decision again from today's logs, and list those that would be others.

    The ledger is taken as it stood before each check; late events are known. Nothing is recorded.

    Exit codes: 0 none would differ; 1 some would; 3 there is nothing to compare.
    """
    from checker.audit import OTHER_POLICY, audit
    from checker.cli.formats.explain_document import to_text
    from checker.pipeline import read_past

    governed = read_governed(policy)
    with open_request(
        governed, "", None, as_of=as_of, logs=logs, ledger=ledger, use_cache=use_cache, threads=threads
    ) as request:
        past = read_past(request)
        tell_torn(past.torn)
        findings = audit(governed, request, past, since, until)
    if format_ == "json":
        say.document(to_text({"schema_version": 1, "findings": [_document(finding) for finding in findings]}))
    else:
        say.text("\n".join(_lines(findings, governed.judging_digest)))
    if all(finding.kind == OTHER_POLICY for finding in findings):
        ctx.exit(3)
    ctx.exit(1 if any(finding.is_changed for finding in findings) else 0)


def _lines(findings: Sequence[Finding], judging_digest: str) -> Iterator[str]:
    told = [finding for finding in findings if finding.kind not in ("same", "other_policy")]
    for finding in told[:SHOWN]:
        yield f"{iso(finding.window_start)} phase {finding.phase}, record {finding.seq}: {_WORDS[finding.kind]}"
        if finding.is_changed and finding.now is not None:
            yield f"    recorded {_said(finding.recorded)}\n    now      {_said(finding.now)}"
        if finding.gone:
            yield f"    gone     {', '.join(stamp(start) for start in finding.gone)}"
    if len(told) > SHOWN:
        yield f"… and {len(told) - SHOWN} more (--format json has all)"
    others = Counter(finding.judging_digest for finding in findings if finding.kind == "other_policy")
    for digest, count in others.items():
        yield f"{count} not compared: made under the judging digest {digest[:16]}, today's is {judging_digest[:16]}"
    counts = Counter(finding.kind for finding in findings)
    yield f"{len(findings)} decisions: " + ", ".join(
        f"{counts[kind]} {word}" for kind, word in _WORDS.items() if counts[kind]
    )


def _said(said: Said) -> str:
    slos = f" ({', '.join(said.violations)})" if said.violations else ""
    return f"{said.decision}, {said.outcome}{slos}{', rollback required' if said.rollback_required else ''}"


def _document(finding: Finding) -> dict[str, Any]:
    def said(told: Said | None) -> dict[str, Any] | None:
        if told is None:
            return None
        return {
            "outcome": told.outcome,
            "decision": told.decision,
            "rollback_required": told.rollback_required,
            "violations": list(told.violations),
        }

    return {
        "record": finding.seq,
        "at": iso(finding.at),
        "phase": finding.phase,
        "window": iso(finding.window_start),
        "finding": finding.kind,
        "recorded": said(finding.recorded),
        "now": said(finding.now),
        "judging_digest": finding.judging_digest,
        "gone": [iso(start) for start in finding.gone],
    }
