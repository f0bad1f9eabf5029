"""Readers of what lies under deploy/, for its tests."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser

from checker.reporter.transports import credentials
from checker.running import heartbeat
from tests.telemetry import ROOT

DEPLOY = ROOT / "deploy"
CRON = (DEPLOY / "cron" / "phasegate").read_text("utf-8")
WORKFLOW_FILE = DEPLOY / "github" / "phasegate.yml"
WORKFLOW = yaml.safe_load(WORKFLOW_FILE.read_text("utf-8"))
BIN = Path(sys.executable).parent
CRON_LINE = re.compile(r"((?:[\d,*/-]+ ){5}) *(\w+) +(.+)")
COLLECT_LINE, PASS_LINE = (found for line in CRON.splitlines() if (found := CRON_LINE.fullmatch(line)))


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit, whatever their section, with their values in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (DEPLOY / "systemd" / name).read_text("utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


def ran(*call: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """What came of a program."""
    return subprocess.run(call, capture_output=True, text=True, timeout=60, **options)


def step(name: str) -> str:
    """The script of a step."""
    (found,) = (step["run"] for step in WORKFLOW["jobs"]["pass"]["steps"] if step.get("name") == name)
    return str(found)


def dockerfile() -> DockerfileParser:
    """The Dockerfile, read."""
    return DockerfileParser(fileobj=io.BytesIO((DEPLOY / "docker" / "Dockerfile").read_bytes()))


def last(image: DockerfileParser, instruction: str) -> str:
    """The value of an instruction, of the last stage."""
    found = [item["value"] for item in image.structure if item["instruction"] in ("FROM", instruction)]
    return str(found[-1])


def secret_names() -> set[str]:
    """The variables that hold credentials."""
    return {
        *credentials.SLACK_TOKENS,
        credentials.SLACK_WEBHOOK,
        credentials.PAGERDUTY_KEY,
        credentials.WEBHOOK_URL,
        credentials.WEBHOOK_SECRET,
        heartbeat.VARIABLE,
    }
