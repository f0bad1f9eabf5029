"""Slack's bot against a real server: blocks, threads, copies that are recognised, and what Slack refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from checker.reporter.messages import NotDelivered
from checker.reporter.transports.slack_blocks import MAX_SECTION, content, parts
from tests.chat_server import ChatServer, Fault, serving
from tests.slack_api import FIRST_TS
from tests.transports import MESSAGE, bot

HISTORY, REPLIES, LIST = (f"/api/conversations.{name}" for name in ("history", "replies", "list"))


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with serving(ChatServer()) as server:
        yield server


def test_a_bots_message_has_blocks_and_plain_text_and_a_receipt(chat: ChatServer) -> None:
    receipt = bot(chat).send(MESSAGE)
    (message,) = chat.messages
    assert (receipt.reference, receipt.found) == (f"C002/{message['ts']}", False)
    assert message["text"] == MESSAGE.text
    assert message["blocks"] == [
        {"type": "section", "text": {"type": "mrkdwn", "text": MESSAGE.text, "verbatim": True}},
        {"type": "context", "elements": [{"type": "plain_text", "text": MESSAGE.id, "emoji": False}]},
    ]
    assert message["metadata"] == {"event_type": "phasegate_notice", "event_payload": {"id": MESSAGE.id}}
    assert message["asked"] == {"channel": "C002", "unfurl_links": "false", "unfurl_media": "false"}


def test_a_follow_up_goes_into_the_thread(chat: ChatServer) -> None:
    first = bot(chat).send(MESSAGE)
    follow_up = replace(MESSAGE, id="later", thread=first.reference)
    assert bot(chat).send(follow_up).reference.startswith("C002/")
    assert chat.messages[1]["thread_ts"] == chat.messages[0]["ts"]
    assert bot(chat).send(follow_up).found
    assert chat.ids() == [MESSAGE.id, "later"]


def test_a_copy_is_found_on_a_later_page(chat: ChatServer) -> None:
    for number in range(5):
        bot(chat).send(replace(MESSAGE, id=f"n{number}"))
    receipt = bot(chat).send(replace(MESSAGE, id="n0"))
    assert (receipt.found, receipt.reference) == (True, f"C002/{chat.messages[0]['ts']}")
    assert chat.ids() == ["n0", "n1", "n2", "n3", "n4"]


def test_one_look_is_enough_for_a_run(chat: ChatServer) -> None:
    one = bot(chat)
    for number in range(5):
        one.send(replace(MESSAGE, id=f"n{number}"))
    assert chat.requests.count("/api/conversations.history") == 1


@pytest.mark.parametrize("scopes", [{"chat:write"}, {"chat:write", "channels:read"}])
def test_without_the_scope_to_look_it_sends(chat: ChatServer, scopes: set[str]) -> None:
    chat.scopes = frozenset(scopes)
    assert not bot(chat).send(MESSAGE).found
    assert not bot(chat).send(MESSAGE).found
    assert chat.ids() == [MESSAGE.id, MESSAGE.id]


@pytest.mark.parametrize("kind", ["cut", "hang"])
@pytest.mark.parametrize("takes", [True, False])
def test_a_message_whose_answer_was_lost_exists_once(chat: ChatServer, kind: str, takes: bool) -> None:
    chat.faults = [Fault("/api/chat.postMessage", kind, takes=takes)]
    one = bot(chat)
    with pytest.raises(NotDelivered) as caught:
        one.send(MESSAGE)
    assert caught.value.may_have_arrived
    assert one.send(MESSAGE).found is takes
    assert chat.ids() == [MESSAGE.id]


@pytest.mark.parametrize(
    ("error", "is_final"),
    [("channel_not_found", True), ("invalid_auth", True), ("ratelimited", False), ("internal_error", False)],
)
def test_what_slack_refuses(chat: ChatServer, error: str, is_final: bool) -> None:
    chat.faults = [Fault("/api/chat.postMessage", "error", error=error)]
    with pytest.raises(NotDelivered) as caught:
        bot(chat).send(MESSAGE)
    assert caught.value.is_final is is_final


@pytest.mark.parametrize("length", [1, MAX_SECTION, MAX_SECTION + 1, 7_900, 10_000])
def test_a_long_text_is_cut_into_sections_that_slack_takes(chat: ChatServer, length: int) -> None:
    lines = "\n".join("x" * 97 for _ in range(length // 98 + 1))[:length]
    assert "\n".join(parts(lines)) == lines
    assert all(len(part) <= MAX_SECTION for part in parts(lines))
    bot(chat).send(replace(MESSAGE, text=lines))
    assert chat.messages[0]["text"] == lines


def test_what_is_too_long_for_blocks_is_sent_whole_as_text(chat: ChatServer) -> None:
    text = "\n".join("x" * 97 for _ in range(120))
    bot(chat).send(replace(MESSAGE, text=text))
    assert (chat.messages[0]["text"], chat.messages[0]["blocks"]) == (text, [])
    assert bot(chat).send(replace(MESSAGE, text=text)).found


def test_what_is_too_long_for_slack_says_where_it_is_cut(chat: ChatServer) -> None:
    bot(chat).send(replace(MESSAGE, text="x" * 40_001))
    assert len(chat.messages[0]["text"]) == 40_000
    assert chat.messages[0]["text"].endswith("(cut here: the ledger has the whole notice)")


@pytest.mark.parametrize("before", [MAX_SECTION - number for number in range(7)])
def test_no_entity_is_cut_in_two(before: int) -> None:
    line = "x" * before + "&amp;&lt;" + "y" * MAX_SECTION
    assert "".join(parts(line)) == line
    assert all(part.count("&") == part.count(";") and len(part) <= MAX_SECTION for part in parts(line))


def test_blank_lines_make_no_empty_section() -> None:
    sections = content("a" * MAX_SECTION + "\n\n\n" + "b" * MAX_SECTION, "id")["blocks"][:-1]
    assert all(section["text"]["text"].strip() for section in sections)


@pytest.mark.parametrize("receipt", ["webhook", "C001/4102444800.000100", "reports/notices/a.txt", "C002/", "/1.2"])
def test_a_receipt_that_is_of_another_place_is_no_thread(chat: ChatServer, receipt: str) -> None:
    bot(chat).send(replace(MESSAGE, channel="#autosave-rollout", id="elsewhere"))
    assert bot(chat).send(replace(MESSAGE, thread=receipt)).reference == f"C002/{chat.messages[1]['ts']}"
    assert chat.messages[1]["thread_ts"] is None


def test_a_follow_up_whose_thread_is_gone_goes_into_the_channel_once(chat: ChatServer) -> None:
    orphan = replace(MESSAGE, thread="C002/4000000000.000100")
    assert not bot(chat).send(orphan).found
    assert chat.messages[0]["thread_ts"] is None
    assert bot(chat).send(orphan).found
    assert chat.ids() == [MESSAGE.id]


def test_without_the_list_of_channels_the_receipts_thread_is_believed(chat: ChatServer) -> None:
    first = bot(chat).send(MESSAGE)
    chat.scopes = frozenset({"chat:write", "channels:history"})
    follow_up = replace(MESSAGE, id="later", thread=first.reference)
    bot(chat).send(follow_up)
    assert bot(chat).send(follow_up).found
    assert chat.messages[1]["thread_ts"] == chat.messages[0]["ts"]


def test_a_private_channel_takes_its_own_scopes(chat: ChatServer) -> None:
    chat.private = frozenset({"incident-autosave"})
    bot(chat).send(MESSAGE)
    assert not bot(chat).send(MESSAGE).found
    chat.scopes |= {"groups:read", "groups:history"}
    assert bot(chat).send(MESSAGE).found
    assert chat.ids() == [MESSAGE.id, MESSAGE.id]


def test_where_the_bot_is_no_member_the_refusal_says_what_to_do(chat: ChatServer) -> None:
    chat.not_joined = frozenset({"incident-autosave"})
    with pytest.raises(NotDelivered, match=r"^Slack: not_in_channel: see that .* invite the bot") as caught:
        bot(chat).send(MESSAGE)
    assert caught.value.is_final


@pytest.mark.parametrize(("after_s", "found"), [(-1, True), (299, True), (301, False)])
def test_a_look_goes_back_to_when_it_was_recorded(chat: ChatServer, after_s: int, found: bool) -> None:
    """And a little further, since two clocks are never the same."""
    bot(chat).send(MESSAGE)
    sent = MESSAGE.recorded_at + timedelta(seconds=FIRST_TS - MESSAGE.recorded_at.timestamp())
    assert bot(chat).send(replace(MESSAGE, recorded_at=sent + timedelta(seconds=after_s))).found is found


def test_an_older_message_is_looked_for_further_back(chat: ChatServer) -> None:
    bot(chat).send(replace(MESSAGE, id="old"))
    one = bot(chat)
    one.send(replace(MESSAGE, id="new", recorded_at=MESSAGE.recorded_at + timedelta(days=90_000)))
    assert one.send(replace(MESSAGE, id="old")).found


def test_the_same_bot_sends_an_id_once(chat: ChatServer) -> None:
    one = bot(chat)
    first = one.send(MESSAGE)
    assert one.send(MESSAGE) == replace(first, found=True)
    assert chat.ids() == [MESSAGE.id]


@pytest.mark.parametrize("path", [HISTORY, LIST])
@pytest.mark.parametrize(
    ("fault", "wait_s"),
    [
        (Fault("", "status", 429, "7"), 7.0),
        (Fault("", "status", 503), None),
        (Fault("", "cut"), None),
        (Fault("", "hang"), None),
        (Fault("", "drip"), None),
        (Fault("", "error", error="internal_error"), None),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_a_look_that_fails_for_now_sends_nothing(
    chat: ChatServer, path: str, fault: Fault, wait_s: float | None
) -> None:
    chat.faults = [replace(fault, path=path)]
    with pytest.raises(NotDelivered) as caught:
        bot(chat).send(MESSAGE)
    assert (caught.value.retry_after_s, caught.value.is_final, caught.value.may_have_arrived) == (wait_s, False, False)
    assert chat.messages == []


def test_a_later_page_that_fails_sends_nothing(chat: ChatServer) -> None:
    for number in range(5):
        bot(chat).send(replace(MESSAGE, id=f"n{number}"))
    chat.faults = [Fault(HISTORY, "status", 500, passes=2)]
    one = bot(chat)
    with pytest.raises(NotDelivered):
        one.send(replace(MESSAGE, id="n0"))
    assert one.send(replace(MESSAGE, id="n0")).found


def test_a_look_in_a_thread_reads_all_its_pages(chat: ChatServer) -> None:
    first = bot(chat).send(MESSAGE)
    for number in range(4):
        bot(chat).send(replace(MESSAGE, id=f"n{number}", thread=first.reference))
    assert bot(chat).send(replace(MESSAGE, id="n3", thread=first.reference)).found
    assert chat.requests.count(HISTORY) == 1


def test_a_redirect_is_not_followed_with_the_token(chat: ChatServer) -> None:
    chat.faults = [Fault("/api/chat.postMessage", "status", 302, location=f"{chat.address}/elsewhere")]
    with pytest.raises(NotDelivered) as caught:
        bot(chat).send(MESSAGE)
    assert caught.value.is_final
    assert [request for request in chat.requests if request.startswith("GET")] == []


@pytest.mark.parametrize(
    "body", ["", "null", "[]", '"x"', "<html>", "{}", '{"ok": true}', '{"ok": false, "error": {"a": 1}}']
)
def test_an_answer_that_is_none_of_slacks_is_no_acknowledgement(chat: ChatServer, body: str) -> None:
    chat.faults = [Fault("/api/chat.postMessage", "body", body=body)]
    one = bot(chat)
    with pytest.raises(NotDelivered) as caught:
        one.send(MESSAGE)
    assert (caught.value.is_final, caught.value.may_have_arrived) == (False, True)
    assert not one.send(MESSAGE).found


@pytest.mark.parametrize(
    "rows",
    ['[1, null, {"metadata": 1}, {"metadata": {"event_type": "phasegate_notice", "event_payload": []}}]', "null"],
)
def test_odd_rows_of_history_are_no_copies(chat: ChatServer, rows: str) -> None:
    chat.faults = [Fault(HISTORY, "body", body=f'{{"ok": true, "messages": {rows}}}')]
    assert not bot(chat).send(MESSAGE).found
    assert chat.ids() == [MESSAGE.id]
