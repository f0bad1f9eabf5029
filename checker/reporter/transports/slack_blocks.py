"""A notice as Slack's blocks: its text in sections that Slack takes, its id below. Pure."""

from __future__ import annotations

from typing import Any

MAX_SECTION = 3_000  # characters; Slack refuses a longer one
MAX_SECTIONS = 45  # of the 50 blocks that a message may have
EVENT_TYPE = "phasegate_notice"


def blocks(text: str, notice_id: str) -> list[dict[str, Any]]:
    """Blocks for a text that is escaped for Slack's mrkdwn already."""
    sections = [_section(part) for part in parts(text)[:MAX_SECTIONS]]
    return [*sections, {"type": "context", "elements": [{"type": "plain_text", "text": notice_id[:MAX_SECTION]}]}]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def parts(text: str) -> list[str]:
    """The text in parts of at most MAX_SECTION characters, cut at line ends, inside a line only where it is longer."""
    found: list[str] = []
    for line in text.split("\n"):
        for piece in [line[start : start + MAX_SECTION] for start in range(0, len(line), MAX_SECTION)] or [""]:
            if found and len(found[-1]) + 1 + len(piece) <= MAX_SECTION:
                found[-1] += f"\n{piece}"
            else:
                found.append(piece)
    return [part for part in found if part.strip()] or ["-"]


def metadata(notice_id: str) -> dict[str, Any]:
    """What a copy of the notice is recognised by."""
    return {"event_type": EVENT_TYPE, "event_payload": {"id": notice_id}}


def id_of(message: dict[str, Any]) -> str | None:
    """The id of the notice that a message of Slack's is, None where it is none."""
    told = message.get("metadata") or {}
    if told.get("event_type") != EVENT_TYPE:
        return None
    name = (told.get("event_payload") or {}).get("id")
    return name if isinstance(name, str) else None
