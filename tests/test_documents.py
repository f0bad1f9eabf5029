"""Documents in step with the policy: what is stale, what is renewed, and what is left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from checker.cli.app import cli
from checker.cli.docs import command
from checker.errors import GovernedFilesInvalid
from checker.governance.documents import documents, outdated, read, renew
from checker.policy.load import load_policy
from tests import decisions as build
from tests.test_render import other_rollout

POLICY = build.policy()
DOCUMENT = "docs/design/autosave-merge-rollout.md"
EMPTY = "# Title\n\n<!-- phasegate:{0} -->\nold\n<!-- /phasegate:{0} -->\nend"
ALL = "\n".join(EMPTY.format(name) for name in ("phases", "thresholds", "gates", "notices"))


def test_the_shipped_document_is_in_step() -> None:
    shipped = load_policy(build.PROJECT / "policy" / "policy.yaml")
    text = read(build.PROJECT / DOCUMENT)
    assert outdated(shipped, text, DOCUMENT) == []
    assert [f"<!-- phasegate:{name} -->" in text for name in ("phases", "thresholds", "gates", "notices")] == [True] * 4


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("phases", "| B (Broad) | 30 % | duty of B | 24 h | SRE |"),
        ("phases", "| A (Canary) | 5 % | duty of A | 8 consecutive batches | SRE + Dev Lead |"),
        (
            "thresholds",
            "| save latency P95 | `slo/save_latency_p95.sql` | ≤ 2.5 s (warn past 2 s) | ≤ 2.0 s (warn past 1.6 s) "
            "| ≤ 1.8 s (warn past 1.44 s) | rolls back | – |",
        ),
        ("thresholds", "| history drift | `slo/history_drift.sql` | = 0 | = 0 | = 0 | rolls back | – |"),
        ("gates", "| B | C | 24 h | `gate/continuous_compliance.sql` | hours 24, max_critical_alerts 0 |"),
        ("gates", "| C | complete | 72 h | `gate/continuous_without_incident.sql` | hours 72 |"),
        ("notices", "| `autosave-ok` | A, B, C | #autosave-rollout | every SLO is met | B, C | `autosave-ok.j2` |"),
        (
            "notices",
            "| `autosave-no-verdict` | A, B, C | #autosave-rollout | `no_data` or `error`, 2 windows in a row "
            "| A, B, C | `autosave-no-verdict.j2` |",
        ),
    ],
)
def test_a_table_says_what_the_policy_says(table: str, row: str) -> None:
    assert row in renew(POLICY, EMPTY.format(table), "x.md").splitlines()


def test_only_what_stands_between_markers_is_written_and_once_is_enough() -> None:
    renewed = renew(POLICY, ALL, "x.md")
    assert renewed.startswith("# Title\n\n<!-- phasegate:phases -->\n\n| Phase |")
    assert renewed.endswith("\n\n<!-- /phasegate:notices -->\nend")
    assert "old" not in renewed.splitlines()
    assert renew(POLICY, renewed, "x.md") == renewed
    assert outdated(POLICY, renewed, "x.md") == []


def test_every_stale_table_is_told() -> None:
    problems = outdated(POLICY, ALL, "x.md")
    assert [(problem.line, "run `phasegate docs`" in problem.message) for problem in problems] == [
        (3, True),
        (9, True),
        (15, True),
        (21, True),
    ]


@pytest.mark.parametrize("changed", ["phases", "thresholds", "gates", "notices"])
def test_a_changed_policy_makes_its_table_stale(changed: str) -> None:
    renewed = renew(POLICY, ALL, "x.md")
    slower = build.slo("save_latency_p95", {"A": 2.5, "B": 2.0, "C": 1.7}, title="save latency P95")
    gates = {**POLICY.gates, "B": build.policy().gates["C"]}
    notices = {**POLICY.notices, "autosave-ok": build.notice_rule("ok", "ok", "ABC", "#other", "BC")}
    wider = (build.phase("A", "Canary", "6 %", ("SRE", "Dev Lead")), *POLICY.phases[1:])
    policies = {
        "phases": build.policy(phases=wider),
        "thresholds": build.policy(slos={**POLICY.slos, "save_latency_p95": slower}),
        "gates": build.policy(gates=gates, phases=POLICY.phases),
        "notices": build.policy(notices=notices),
    }
    problems = outdated(policies[changed], renewed, "x.md")
    assert any(repr(changed) in problem.message for problem in problems)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n<!-- phasegate:phase -->", "x.md:2: unknown table 'phase'; did you mean 'phases'?"),
        ("<!-- phasegate:zzz -->", "x.md:1: unknown table 'zzz' (known: phases, thresholds, gates, notices)"),
        ("<!-- phasegate:gates -->\n", "x.md:1: the table 'gates' is not closed; add <!-- /phasegate:gates -->"),
        ("<!-- /phasegate:gates -->", "x.md:1: closes 'gates', which is not open here"),
        (
            "<!-- phasegate:gates -->\n<!-- phasegate:phases -->\n<!-- /phasegate:phases -->",
            "x.md:1: the table 'gates' is not closed; add <!-- /phasegate:gates -->",
        ),
    ],
)
def test_a_faulty_marker_is_told_with_its_line_and_nothing_is_renewed(text: str, expected: str) -> None:
    assert expected in [str(problem) for problem in outdated(POLICY, text, "x.md")]
    with pytest.raises(GovernedFilesInvalid):
        renew(POLICY, text, "x.md")


@pytest.mark.parametrize(
    "text",
    [
        "no marker at all\n",
        "```html\n<!-- phasegate:phases -->\n```\n",
        "~~~~\n```\n<!-- phasegate:phases -->\n~~~~\n",
        "in a sentence <!-- phasegate:phases --> it is no marker\n",
        "",
    ],
)
def test_what_is_no_marker_is_left_alone(text: str) -> None:
    assert outdated(POLICY, text, "x.md") == []
    assert renew(POLICY, text, "x.md") == text


def test_line_ends_stay_as_they_are() -> None:
    renewed = renew(POLICY, ALL.replace("\n", "\r\n"), "x.md")
    assert renewed.replace("\r\n", "").count("\n") == 0
    assert outdated(POLICY, renewed, "x.md") == []


@pytest.mark.parametrize("evil", ["a | b", "one\ntwo", "<!-- /phasegate:phases -->\n"])
def test_no_value_breaks_out_of_its_cell(evil: str) -> None:
    hostile = build.policy(phases=(build.phase("A", evil, evil, (evil,)), *POLICY.phases[1:]))
    renewed = renew(hostile, EMPTY.format("phases"), "x.md")
    assert outdated(hostile, renewed, "x.md") == []
    assert len(renewed.splitlines()) == 12


def test_another_rollout_has_its_own_columns() -> None:
    text = renew(other_rollout(), EMPTY.format("thresholds"), "x.md")
    assert "| SLO | Query | Phase A-1 | Phase B-0 | A violation | Note |" in text
    assert "| ≥ 0.995 | ≥ 0.995 | rolls back |" in text


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's governed files and its design documents."""
    for name in ("policy", "queries", "schemas", "docs"):
        shutil.copytree(build.PROJECT / name, tmp_path / name)
    return tmp_path


def run(project: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and all that `phasegate docs` says in `project`."""
    ran = CliRunner().invoke(command, ["--policy", str(project / "policy" / "policy.yaml"), *arguments])
    return ran.exit_code, ran.output if ran.exception is None or ran.exit_code != 1 else ran.output + str(ran.exception)


def test_the_command_renews_and_checks(project: Path) -> None:
    document = project / DOCUMENT
    fresh = document.read_bytes()
    document.write_bytes(fresh.replace("≤ 2.5 s".encode(), "≤ 9.9 s".encode()))
    code, said = run(project, "--check")
    assert (code, f"{DOCUMENT}:" in said, "'thresholds'" in said) == (1, True, True)
    assert run(project) == (0, f"{DOCUMENT}: renewed\n")
    assert document.read_bytes() == fresh
    assert run(project) == (0, f"{DOCUMENT}: in step\n")
    assert run(project, "--check") == (0, "1 document is in step with the policy\n")
    assert [path.name for path in document.parent.iterdir() if path.name.startswith(".")] == []


def test_the_command_keeps_line_ends(project: Path) -> None:
    document = project / DOCUMENT
    windows = document.read_bytes().replace(b"\n", b"\r\n")
    document.write_bytes(windows.replace("≤ 2.5 s".encode(), "≤ 9.9 s".encode()))
    assert run(project) == (0, f"{DOCUMENT}: renewed\n")
    assert document.read_bytes() == windows


def test_only_documents_with_a_marker_are_looked_at(project: Path) -> None:
    (project / "docs" / "design" / "other.md").write_text("no marker\n", encoding="utf-8")
    assert documents(project) == (project / DOCUMENT,)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"no marker\n", "no document in docs/design/ holds a table"), (b"\xff\n", "is not UTF-8 (byte 0)")],
)
def test_nothing_to_renew_is_no_success(project: Path, content: bytes, expected: str) -> None:
    (project / DOCUMENT).write_bytes(content)
    code, said = run(project)
    assert code != 0
    assert expected in said


@pytest.mark.parametrize("linked", ["docs", "docs/design"])
def test_documents_are_read_through_no_link(linked: str, project: Path) -> None:
    (project / linked).rename(project / "elsewhere")
    (project / linked).symlink_to(project / "elsewhere")
    code, said = run(project)
    assert code != 0
    assert f"{linked}: is a link; put the documents themselves there" in said


def test_nothing_is_written_through_a_link(project: Path) -> None:
    document, other = project / DOCUMENT, project / "other"
    other.write_text("as it was")
    document.write_bytes(document.read_bytes().replace("≤ 2.5 s".encode(), "≤ 9.9 s".encode()))
    (document.parent / f".{document.name}.new").symlink_to(other)
    assert run(project) == (0, f"{DOCUMENT}: renewed\n")
    assert other.read_text() == "as it was"
    assert not document.is_symlink()


@pytest.mark.parametrize("content", ["<!-- phasegate:phases -->\n", "\ud800"])
def test_a_name_with_a_line_break_begins_no_line(content: str, project: Path) -> None:
    (project / "docs/design/a\nqueries: fine\n.md").write_bytes(content.encode(errors="surrogatepass"))
    ran = CliRunner().invoke(cli, ["validate", "--policy", str(project / "policy/policy.yaml")])
    said = f"{ran.output}{ran.exception}"
    assert "docs/design/a\\nqueries: fine\\n.md:" in said
    assert "\nqueries" not in said
