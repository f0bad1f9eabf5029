"""Changes, repositories and places made to slip past a review, or to make it say what is not so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from checker.cli.review import _output
from checker.engines.local import local_mapper
from checker.errors import UsageError
from checker.governance.approvals import required
from checker.governance.other_changes import signer_change
from checker.governance.query_same import canonical
from checker.reporter.notice_diff import same_words
from checker.reviewing.compare import compare
from checker.reviewing.replaying import Span
from checker.reviewing.review import Asked, consequences_of, review, reviewed_of
from checker.reviewing.revision import authors_of, both_revisions
from tests.batches import FIRST, WINDOW, closed, write_batches
from tests.commands import phasegate
from tests.policy_repository import POLICY_FILE, Edit, PolicyRepository, make_repository

TIGHTER, LOOSER = Edit(POLICY_FILE, "C: 1.8}", "C: 1.7}"), Edit(POLICY_FILE, "C: 1.8}", "C: 1.9}")
SCHEMA = "schemas/event.schema.json"
SOURCES = "      paths: [telemetry/*.jsonl]\n"
FIRST_OF_ALL = "coalesce(*columns('^(event|phase)$'))"
TWICE = """    - name: prom
      kind: prometheus
      url: http://127.0.0.1:9090
      metrics:
        - {name: saves, query: first}
        - {name: saves, query: second}
"""


@pytest.fixture
def repository(tmp_path: Path) -> PolicyRepository:
    return make_repository(tmp_path / "project")


# What an approval is bound to


def test_an_approval_is_bound_to_the_pinned_engine(repository: PolicyRepository) -> None:
    first = repository.change([LOOSER, Edit("constraints.txt", "duckdb==2.0.0", "duckdb==2.0.1")])
    second = repository.change([LOOSER, Edit("constraints.txt", "duckdb==2.0.0", "duckdb==9.9.9")])
    made = [reviewed_of(repository.compared(head)) for head in (first, second)]
    assert made[0].direction == made[1].direction == "unknown"
    assert made[0].digest != made[1].digest
    assert "9.9.9" in made[1].engine


def test_a_pin_of_any_length_is_bound(repository: PolicyRepository) -> None:
    heads = (repository.change([Edit("requirements.txt", "", f"duckdb {'=' * 900}{end}\n")]) for end in "12")
    made = [reviewed_of(repository.compared(head)) for head in heads]
    assert made[0].engine != made[1].engine
    assert max(len(row.engine) for row in made) <= 500  # what approvals.schema.json allows


def test_without_a_change_of_a_pin_the_engine_is_its_version(repository: PolicyRepository) -> None:
    compared = repository.compared(repository.change([LOOSER]))
    assert reviewed_of(compared).engine == compared.after.engine


# Who made the change


def shallow(repository: PolicyRepository, tmp_path: Path) -> PolicyRepository:
    """A clone of depth 1 in which an earlier commit's author is no longer seen."""
    repository.git("checkout", "--quiet", "--detach", "base")
    LOOSER.make(repository.root)
    repository.git("add", "--all")
    repository.git("-c", "user.email=hidden@autosave.example", "commit", "--quiet", "--message", "the change")
    (repository.root / "notes.md").write_text("notes\n", encoding="utf-8")
    repository.commit("words alone")
    repository.git("branch", "feature")
    place, source = tmp_path / "shallow", repository.root.as_uri()
    subprocess.run(["git", "clone", "-q", "--depth", "1", "--branch", "feature", source, str(place)], check=True)
    made = PolicyRepository(place)
    made.git("fetch", "-q", "--depth", "1", "origin", "refs/tags/base:refs/tags/base")
    return made


def test_a_history_that_was_cut_off_hides_no_author(repository: PolicyRepository, tmp_path: Path) -> None:
    cut = shallow(repository, tmp_path)
    with (
        both_revisions(cut.policy, "base", "HEAD") as (known, before, after),
        pytest.raises(UsageError, match=r"cut off .* fetch-depth: 0"),
    ):
        authors_of(known, before, after, ())


def test_a_shallow_clone_that_has_the_whole_change_is_reviewed(repository: PolicyRepository, tmp_path: Path) -> None:
    cut = shallow(repository, tmp_path)
    cut.git("tag", "here")
    head = cut.commit("on top")
    with both_revisions(cut.policy, "here", head) as (known, before, after):
        assert authors_of(known, before, after, ()) == {"author@autosave.example"}


def test_a_graft_hides_no_author(repository: PolicyRepository) -> None:
    first = repository.change([LOOSER])
    head = repository.commit("words alone")
    (repository.root / ".git/info/grafts").write_text(f"{head}\n", encoding="utf-8")
    with both_revisions(repository.policy, "base", head) as (known, before, after):
        assert known.merge_base(str(before.commit), str(after.commit)) == before.commit != first


# What is read of a revision


def test_an_event_schema_in_any_folder_is_read_at_the_base(repository: PolicyRepository) -> None:
    (repository.root / "events").mkdir()
    shutil.move(repository.root / SCHEMA, repository.root / "events/events.json")
    Edit(POLICY_FILE, SCHEMA, "events/events.json").make(repository.root)
    base = repository.commit("moved")
    TIGHTER.make(repository.root)
    assert repository.compared(None, base).direction.value == "tightening"
    assert repository.compared(repository.commit("tighter"), base).direction.value == "tightening"


@pytest.mark.parametrize("path", ["../outside.json", "/etc/outside.json", "."])
def test_an_event_schema_outside_of_the_project_is_a_problem_of_the_base(
    path: str, repository: PolicyRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    base = repository.change([Edit(POLICY_FILE, SCHEMA, f'"{path}"')])
    repository.git("checkout", "--quiet", "--force", "base")
    done = phasegate(capsys, "review", "--base", base, "--policy", repository.policy)
    assert done.code == 2
    assert "event_schema" in done.err


def test_a_link_among_the_documents_of_the_base_does_not_stop_a_review(repository: PolicyRepository) -> None:
    (repository.root / "docs").mkdir()
    (repository.root / "docs/newest.md").symlink_to("notes.md")
    base = repository.commit("a link")
    TIGHTER.make(repository.root)
    assert repository.compared(None, base).direction.value == "tightening"


@pytest.mark.parametrize("name", ["a b", "ä b'\"", "a\nb", "[ab]*", ":(glob)x"])
def test_a_project_in_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    inner = make_repository(tmp_path / name / "pro ject")
    shutil.rmtree(inner.root / ".git")
    outer = PolicyRepository(tmp_path / name)
    outer.git("init", "--quiet")
    outer.commit("base")
    outer.git("tag", "--annotate", "--message", "tagged", "base")
    TIGHTER.make(inner.root)
    with both_revisions(inner.policy, "base", None) as (known, before, _):
        assert known.changed_paths(str(before.commit), None) == (POLICY_FILE,)
    assert inner.compared(None).direction.value == "tightening"


def test_no_filter_of_the_repository_runs(repository: PolicyRepository, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (repository.root / ".git/info/attributes").write_text("*.yaml filter=a=b\n*.j2 filter=a.b\n", encoding="utf-8")
    config = repository.root / ".git/config"
    for name in ("a=b", "a.b"):
        drivers = f'[filter "{name}"]\n\tclean = "touch {ran}; cat"\n\tprocess = "touch {ran}"\n\trequired = true\n'
        config.write_text(config.read_text(encoding="utf-8") + drivers, encoding="utf-8")
    Edit("policy/templates/autosave-ok.j2", "✅", "✔").make(repository.root)
    TIGHTER.make(repository.root)
    with both_revisions(repository.policy, "base", None) as (known, before, _):
        changed = known.changed_paths(str(before.commit), None)
    assert {POLICY_FILE, "policy/templates/autosave-ok.j2"} <= set(changed)
    assert not ran.exists()


def test_a_head_that_there_is_not_is_named_as_the_head(
    repository: PolicyRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    done = phasegate(capsys, "review", "--base", "base", "--head", "nosuch", "--policy", repository.policy)
    assert done.code == 2
    assert done.err.startswith("--head 'nosuch': git knows no such commit")


# What is the same, and what is not


@pytest.mark.parametrize(
    ("base", "head", "is_same"),
    [
        ("{{ 1 }}", "{{ true }}", False),
        ("{{ 0 }}", "{{ false }}", False),
        ("{{ 1 }}", "{{ 1.0 }}", False),
        ("{{ (1, 2) }}", "{{ (true, 2) }}", False),
        ("{% if phase in ('A', 1) %}x{% endif %}", "{% if phase in ('A', true) %}x{% endif %}", False),
        ("{{ phase }} on", "{{ phase }}  on", False),
        ("{{ phase }} on", "{{ phase -}} on", False),
        ("{{ phase }}", "{{ phase }}{# said #}", True),
        ("{{ 'A' }}\n", '{{ "A" }}', True),
    ],
)
def test_templates_are_the_same_where_jinja_reads_the_same_of_the_same_types(
    base: str, head: str, is_same: bool
) -> None:
    assert same_words(base, head) is is_same


def quantile(text: str) -> object:
    """DuckDB's tree of a quantile with this fraction, as far as it matters."""
    literal = {"expression": {"literal": {"kind": "NUMERIC", "text": text}}}
    return canonical({"class": "FUNCTION", "function_name": "quantile_disc", "arguments": [{}, literal]})


@pytest.mark.parametrize("text", [".95", "0.950", "00.95", "0.9_5", "0.95000000000000"])
def test_a_fraction_is_the_same_with_digits_that_say_nothing(text: str) -> None:
    assert quantile(text) == quantile("0.95")


@pytest.mark.parametrize("text", [f"0.95{'0' * 14}", f"0.95{'0' * 35}", f"{'0' * 40}.95", "0.951"])
def test_a_fraction_is_another_where_a_double_or_a_decimal_may_tell_the_digits(text: str) -> None:
    assert quantile(text) != quantile("0.95")


@pytest.mark.parametrize(("read", "direction"), [("event", "neutral"), (FIRST_OF_ALL, "unknown")])
def test_the_order_of_columns_counts_where_a_query_reads_all(
    read: str, direction: str, repository: PolicyRepository
) -> None:
    query = "queries/slo/success_rate.sql"
    Edit(query, "select window_start, event\n", f"select window_start, {read} as event\n").make(repository.root)
    base = repository.commit("reads")
    document = json.loads((repository.root / SCHEMA).read_text(encoding="utf-8"))
    document["properties"] = dict(reversed(document["properties"].items()))
    (repository.root / SCHEMA).write_text(json.dumps(document), encoding="utf-8")
    with both_revisions(repository.policy, base, None) as (_, before, after):
        assert compare(before, after).direction.value == direction


def test_two_metrics_of_one_name_are_both_compared(repository: PolicyRepository) -> None:
    base = repository.change([Edit(POLICY_FILE, SOURCES, SOURCES + TWICE)])
    Edit(POLICY_FILE, "query: first", "query: other").make(repository.root)
    found = repository.compared(None, base)
    assert found.direction.value == "unknown"
    assert [change.subject for change in found.changes] == ["collector.sources.prom.metrics"]


def test_a_line_that_only_a_few_readers_end_is_one_line_of_signers() -> None:
    base, head = b"a@x ssh-ed25519 AAAA\n", b"# a@x\x0bssh-ed25519 BBBB\na@x ssh-ed25519 AAAA\n"
    change = signer_change(base, head, "policy/allowed_signers")
    assert change is not None
    assert change.direction.value == "neutral"
    change = signer_change(b"\xff@x ssh-ed25519 AAAA\n", b"\xfe@x ssh-ed25519 AAAA\n", "policy/allowed_signers")
    assert change is not None
    assert change.direction.value == "loosening"


# Whom a change concerns


def test_a_phase_taken_away_concerns_those_that_stood_beside_it(repository: PolicyRepository) -> None:
    text = repository.policy.read_text(encoding="utf-8")
    start, end = text.index("  - name: B"), text.index("  - name: C")
    gate, last = text.index("  B:\n    title: 24"), text.index("  C:\n    title: 72")
    text = text[:start] + text[end:gate] + text[last:]
    for old, new in ((", B: 2.0", ""), (", B: 0.5", ""), ("A: 0, B: 0", "A: 0"), (", B: 120", ""), (", B: 99", "")):
        assert old in text
        text = text.replace(old, new)
    text = text.replace("[A, B, C]", "[A, C]").replace("[B, C]", "[C]").replace("[A, B]", "[A]")
    repository.policy.write_text(text, encoding="utf-8")
    (repository.root / "queries/gate/continuous_compliance.sql").unlink()
    found = repository.compared(None)
    gone = [change for change in found.changes if change.rule == "phase"]
    assert [(change.subject, change.phases) for change in gone] == [("phases.B", ("A", "B", "C"))]
    roles = {row.role for row in required(found.before.policy, gone)}
    assert roles == {"Governance committee", "Dev Lead", "SRE"}


def test_a_phase_under_another_name_concerns_the_old_one(repository: PolicyRepository) -> None:
    text = repository.policy.read_text(encoding="utf-8")
    assert "name: C" in text
    repository.policy.write_text(text.replace("name: C", "name: D").replace("C: ", "D: ").replace("C]", "D]"))
    found = repository.compared(None)
    (renamed,) = [change for change in found.changes if change.rule == "phase"]
    assert renamed.phases == ("A", "B", "C", "D")


# What is said of the consequences


def test_a_phase_whose_events_only_base_lets_in_is_replayed(repository: PolicyRepository, tmp_path: Path) -> None:
    logs = write_batches(tmp_path / "logs", "B", ["met"] * 4)
    document = json.loads((repository.root / SCHEMA).read_text(encoding="utf-8"))
    document["properties"]["phase"] = {"type": "string", "enum": ["A"]}
    document["properties"]["schema_version"] = {"type": "integer", "enum": [1, 2]}
    (repository.root / SCHEMA).write_text(json.dumps(document), encoding="utf-8")
    at = closed(4)
    span = Span(logs, "logs", FIRST, FIRST + WINDOW * 4, at, run=local_mapper(1))
    made = consequences_of(repository.compared(None), span, Asked((), frozenset(), at))
    assert [replay.phase for replay in made.replays] == ["B"]
    assert "B" not in made.not_replayed
    assert {flip.after for flip in made.flips} == {"no_data"}


def test_a_notice_is_rendered_with_the_template_that_it_had(repository: PolicyRepository) -> None:
    head = repository.change(
        [
            Edit(POLICY_FILE, "template: autosave-warn.j2", "template: autosave-incident.j2"),
            Edit(POLICY_FILE, "template: autosave-no-verdict.j2", "template: autosave-incident.j2"),
            Edit("policy/templates/autosave-warn.j2", "", ""),
            Edit("policy/templates/autosave-no-verdict.j2", "", ""),
        ]
    )
    shown = {row.notice for row in repository.compared(head).templates}
    assert shown == {"autosave-warn", "autosave-no-verdict"}


@pytest.mark.parametrize(
    ("edit", "is_told"),
    [
        (Edit("queries/slo/success_rate.sql", "with\n", "-- the saves\nwith\n"), True),
        (Edit(POLICY_FILE, "title: Broad", "title: Wide"), False),
    ],
)
def test_that_streaks_start_anew_is_told_also_of_a_neutral_change(
    edit: Edit, is_told: bool, repository: PolicyRepository
) -> None:
    compared = repository.compared(repository.change([edit]))
    made = review(compared, None, Asked((), frozenset(), closed(1)))
    assert made.direction.value == "neutral"
    assert any("streaks start anew" in told for told in made.warnings) is is_told


# Where documents are written


def test_a_document_replaces_no_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="is no regular file"):
        _output(f"json:{pipe}")
    assert pipe.is_fifo()


def test_a_document_that_cannot_be_written_is_told(
    repository: PolicyRepository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    logs = write_batches(tmp_path / "logs", "C", ["met"] * 2)
    where = ("--base", "base", "--policy", repository.policy, "--logs", logs, "--as-of", "2026-01-01T00:35:00Z")
    done = phasegate(capsys, "review", *where, "--no-cache", "--output", f"json:{tmp_path}/file/below.json")
    assert done.code == 2
    assert "cannot be written" in done.err
