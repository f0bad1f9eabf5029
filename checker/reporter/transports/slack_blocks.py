"""A notice as Slack's blocks: its text in sections that Slack takes, its id below. Pure."""

from __future__ import annotations

from typing import Any

MAX_SECTION = 3_000  # characters; Slack refuses a longer one
# Characters of all blocks of a message. Slack documents no limit, says of 12,000 that they are one with what the blocks
# themselves take (slackapi/bolt-js, issues 2509 and 2867), and has refused 11,341.
MAX_BLOCKS = 10_000
MAX_TEXT = 40_000  # characters; Slack cuts a longer one
EVENT_TYPE = "phasegate_notice"
_CUT = "\n… (cut here: the ledger has the whole notice)"


def content(text: str, notice_id: str) -> dict[str, Any]:
    """The message for a text that is escaped for Slack's mrkdwn already: Slack makes no links or mentions of it.

    A text that is too long for blocks is shown as the plain text that otherwise stands in for them.
    """
    sections = parts(text)
    told: dict[str, Any] = {
        "text": text if len(text) <= MAX_TEXT else text[: MAX_TEXT - len(_CUT)] + _CUT,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"id": notice_id}},
        "unfurl_links": False,
        "unfurl_media": False,
    }
    if sum(map(len, sections)) > MAX_BLOCKS:
        return told
    below = {"type": "context", "elements": [{"type": "plain_text", "text": notice_id[:MAX_SECTION], "emoji": False}]}
    return told | {"blocks": [*map(_section, sections), below]}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def parts(text: str) -> list[str]:
    """The text in parts of at most MAX_SECTION characters, cut at line ends, inside a line only where it is longer."""
    found: list[str] = []
    for line in text.split("\n"):
        for number, piece in enumerate(_pieces(line)):
            if found and number == 0 and len(found[-1]) + 1 + len(piece) <= MAX_SECTION:
                found[-1] += f"\n{piece}"
            else:
                found.append(piece)
    return [part for part in found if part.strip()] or ["-"]


def _pieces(line: str) -> list[str]:
    """A line in pieces of at most MAX_SECTION characters, cut so that no `&amp;` is cut in two."""
    found = []
    while len(line) > MAX_SECTION:
        entity = line.rfind("&", MAX_SECTION - 4, MAX_SECTION)
        end = entity if entity >= 0 and ";" not in line[entity:MAX_SECTION] else MAX_SECTION
        found.append(line[:end])
        line = line[end:]
    return [*found, line]


def id_of(message: dict[str, Any]) -> str | None:
    """The id of the notice that a message of Slack's is, None where it is none."""
    told = message.get("metadata")
    if not isinstance(told, dict) or told.get("event_type") != EVENT_TYPE:
        return None
    payload = told.get("event_payload")
    name = payload.get("id") if isinstance(payload, dict) else None
    return name if isinstance(name, str) else None
