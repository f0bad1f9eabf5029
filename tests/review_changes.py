"""Changes of AutoSave's governed files, each with the direction that a careful person would give it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.policy_repository import POLICY_FILE, SUCCESS_RATE, Edit


@dataclass(frozen=True, slots=True)
class Case:
    """A change, the worst direction of it, and the rules that must have told."""

    name: str
    direction: str
    rules: frozenset[str]
    edits: tuple[Edit, ...]


def policy(name: str, direction: str, rules: str, *pairs: tuple[str, str]) -> Case:
    """A change of the policy alone."""
    return Case(name, direction, frozenset(rules.split()), tuple(Edit(POLICY_FILE, old, new) for old, new in pairs))


def files(name: str, direction: str, rules: str, *edits: tuple[str, str, str]) -> Case:
    """A change of any files."""
    return Case(name, direction, frozenset(rules.split()), tuple(Edit(*edit) for edit in edits))


def without(path: str, name: str, direction: str, rules: str, *pairs: tuple[str, str]) -> Case:
    """A change of the policy that has no use any more for the file `path`, which goes with it."""
    case = policy(name, direction, rules, *pairs)
    return Case(name, direction, case.rules, (*case.edits, Edit(path, "", "")))


P95, RATE = "queries/slo/save_latency_p95.sql", "queries/slo/failure_rate.sql"
DRIFT, SUCCESS, LATENCY = (
    "queries/slo/history_drift.sql",
    "queries/slo/success_rate.sql",
    "queries/slo/collector_latency.sql",
)
BATCHES, HOURS = "queries/gate/consecutive_batches.sql", "queries/gate/continuous_compliance.sql"
WARN, OK = "policy/templates/autosave-warn.j2", "policy/templates/autosave-ok.j2"
SCHEMA = "schemas/event.schema.json"
UNKNOWN, LOOSER, TIGHTER, NEUTRAL = "unknown", "loosening", "tightening", "neutral"

POLICY_CASES = (
    policy("a larger upper limit", LOOSER, "threshold", ("C: 1.8}", "C: 1.9}")),
    policy("a smaller upper limit", TIGHTER, "threshold", ("C: 1.8}", "C: 1.6}")),
    policy("a limit spelled with another zero", NEUTRAL, "", ("C: 1.8}", "C: 1.80}")),
    policy("a larger lower limit", TIGHTER, "threshold", ("C: 99.5}", "C: 99.6}")),
    policy("a smaller lower limit", LOOSER, "threshold", ("A: 98, B", "A: 97, B")),
    policy("one limit up, another down", LOOSER, "threshold", ("A: 2.5, B: 2.0, C: 1.8", "A: 2.6, B: 2.0, C: 1.7")),
    policy(
        "another exact value", UNKNOWN, "threshold", ("threshold: {A: 0, B: 0, C: 0}", "threshold: {A: 1, B: 1, C: 1}")
    ),
    policy("an earlier warning", TIGHTER, "warn-at", ("C: 1.8}\n    warn_at: 0.8", "C: 1.8}\n    warn_at: 0.7")),
    policy("a later warning", LOOSER, "warn-at", ("C: 1.8}\n    warn_at: 0.8", "C: 1.8}\n    warn_at: 0.9")),
    policy("the default said no more", NEUTRAL, "", ("C: 1.8}\n    warn_at: 0.8\n", "C: 1.8}\n")),
    policy("a warning below a larger value", TIGHTER, "warn-below", ("warn_below: 99.7", "warn_below: 99.8")),
    policy("a warning below a smaller value", LOOSER, "warn-below", ("warn_below: 99.7", "warn_below: 99.6")),
    policy(
        "a warning line said for each phase",
        NEUTRAL,
        "",
        ("warn_below: 99.7", "warn_below: {A: 99.7, B: 99.7, C: 99.7}"),
    ),
    policy("more samples where too few hold", UNKNOWN, "min-samples", ("min_samples: 1\n", "min_samples: 30\n")),
    policy("more samples where too few violate", TIGHTER, "min-samples", ("min_samples: 5", "min_samples: 30")),
    policy("fewer samples where too few violate", LOOSER, "min-samples", ("min_samples: 5", "min_samples: 2")),
    policy("no data violates", TIGHTER, "on-no-data", ("on_no_data: hold", "on_no_data: violation")),
    policy("no data holds", LOOSER, "on-no-data", ("on_no_data: violation", "on_no_data: hold")),
    policy("a violation rolls back", TIGHTER, "on-violation", ("on_violation: hold", "on_violation: rollback")),
    policy("a violation is observed", LOOSER, "on-violation", ("on_violation: hold", "on_violation: observe")),
    policy(
        "lte becomes gte",
        UNKNOWN,
        "comparison threshold warn-below",
        (
            "comparison: lte\n    threshold: {A: 2.5, B: 2.0, C: 1.8}\n    warn_at: 0.8",
            "comparison: gte\n    threshold: {A: 1.8, B: 2.0, C: 2.5}\n    warn_below: 2.6",
        ),
    ),
    without(
        "queries/slo/history_drift.sql",
        "an SLO taken away",
        LOOSER,
        "slo",
        (
            """  history_drift:
    title: history drift
    query: slo/history_drift.sql
    unit: events/window
    comparison: eq
    threshold: {A: 0, B: 0, C: 0}
    on_violation: rollback
    note: Event raised when `current.json` and `index.json` disagree
    cross_check: {how: count_per_window, events: [autosave.history.drift], over: 1h}
    companion:            # a drift beyond what the garbage collector keeps has lost a generation
      event: autosave.history.drift
      between: [current_generation, index_generation]
      within: {event: autosave.history.gc, field: max_generations}
""",
            "",
        ),
    ),
    policy(
        "an SLO more",
        TIGHTER,
        "slo",
        (
            "\ngates:\n",
            """  second_p95:
    query: slo/save_latency_p95.sql
    unit: s
    comparison: lte
    threshold: {A: 9, B: 9, C: 9}

gates:
""",
        ),
    ),
    policy(
        "an SLO more that is observed",
        UNKNOWN,
        "slo",
        (
            "\ngates:\n",
            """  second_p95:
    query: slo/save_latency_p95.sql
    unit: s
    comparison: lte
    threshold: {A: 9, B: 9, C: 9}
    on_violation: observe

gates:
""",
        ),
    ),
    policy("an SLO under another name", UNKNOWN, "slo", ("  success_rate:\n", "  share_of_success:\n")),
    policy("fewer batches", LOOSER, "gate-parameter", ("{batches: 8}", "{batches: 4}")),
    policy("more batches", TIGHTER, "gate-parameter", ("{batches: 8}", "{batches: 12}")),
    policy("fewer hours", LOOSER, "gate-parameter", ("{hours: 24,", "{hours: 12,")),
    policy("more hours", TIGHTER, "gate-parameter", ("{hours: 72,", "{hours: 96,")),
    policy("more alerts allowed", LOOSER, "gate-parameter", ("max_critical_alerts: 0", "max_critical_alerts: 1")),
    without(
        "queries/gate/continuous_without_incident.sql",
        "another gate for a phase",
        UNKNOWN,
        "gate phase-gate query-tree",
        (
            "Governance approval\n    approvers: [Governance committee]\n    gate: C",
            "Governance approval\n    approvers: [Governance committee]\n    gate: B",
        ),
        (
            """  C:
    title: 72 h of continuous SLO compliance, no incident among the Slack notifications
    query: gate/continuous_without_incident.sql
    parameters: {hours: 72, max_incident_notices: 0}
""",
            "",
        ),
    ),
    policy(
        "a gate under another name",
        NEUTRAL,
        "phase-gate gate",
        ("approvers: [SRE, Dev Lead]\n    gate: A", "approvers: [SRE, Dev Lead]\n    gate: eight"),
        ("gates:\n  A:\n", "gates:\n  eight:\n"),
    ),
    policy("an approver taken away", LOOSER, "approvers", ("approvers: [SRE, Dev Lead]", "approvers: [SRE]")),
    policy("an approver more", TIGHTER, "approvers", ("approvers: [SRE]", "approvers: [SRE, Dev Lead]")),
    policy(
        "approvers in another order", NEUTRAL, "approvers", ("[SRE, Dev Lead]\n    gate", "[Dev Lead, SRE]\n    gate")
    ),
    policy("a phase's title", NEUTRAL, "words", ("title: Broad", "title: Wide")),
    policy("another audience in words alone", NEUTRAL, "audience", ("audience: 30 %", "audience: 30 % of users")),
    policy("another share of the audience", UNKNOWN, "audience", ("audience: 30 %", "audience: 40 %")),
    without(
        "policy/templates/autosave-recovered.j2",
        "a notice taken away",
        LOOSER,
        "notice",
        (
            """  autosave-recovered:
    channel: "#incident-autosave"
    outcome: recovered
    phases: [A, B, C]
    template: autosave-recovered.j2
""",
            "",
        ),
    ),
    policy(
        "a notice in fewer phases",
        LOOSER,
        "notice-phases notice-automatic",
        ("outcome: violation\n    phases: [A, B, C]", "outcome: violation\n    phases: [B, C]"),
    ),
    policy(
        "a notice unasked in one phase more", TIGHTER, "notice-automatic", ("automatic: [B, C]", "automatic: [A, B, C]")
    ),
    policy(
        "a notice in another channel",
        UNKNOWN,
        "notice-channel",
        ('channel: "#incident-autosave"\n    outcome: violation', 'channel: "#other"\n    outcome: violation'),
    ),
    policy("a notice after more windows", LOOSER, "notice-after", ("after_windows: 2", "after_windows: 3")),
    policy("a notice for every window", TIGHTER, "notice-repeat", ("repeat: on_change", "repeat: every_window")),
    policy("the rollback executes", UNKNOWN, "rollback-mode", ("mode: propose\n", "mode: execute\n")),
    policy(
        "another argument of the rollback",
        UNKNOWN,
        "rollback-command",
        ("[autosave-release, set-phase,", "[autosave-release, force-phase,"),
    ),
    policy(
        "another length of time among its arguments",
        UNKNOWN,
        "rollback-command",
        ('"--to={rollback_to}"]', '"--to={rollback_to}", "60s"]'),
    ),
    policy("a shorter recovery", LOOSER, "recovery", ("for: 30m}", "for: 15m}")),
    policy("a longer recovery", TIGHTER, "recovery", ("for: 30m}", "for: 60m}")),
    policy("the same time in other words", NEUTRAL, "", ("window: 15m\n", "window: 900s\n")),
    policy("another lateness", UNKNOWN, "no-rule", ("lateness: 5m ", "lateness: 10m ")),
    policy(
        "more broken lines put up with", LOOSER, "max-quarantined", ("max_quarantined: 0.05", "max_quarantined: 0.5")
    ),
    policy(
        "fewer broken lines put up with", TIGHTER, "max-quarantined", ("max_quarantined: 0.05", "max_quarantined: 0.01")
    ),
    policy(
        "a freeze more",
        TIGHTER,
        "freezes",
        ("\nredact:", '\nfreezes: [{days: [Sat, Sun], reason: "weekend"}]\nredact:'),
    ),
    policy("a field shown that was not", LOOSER, "redact", ('"*email*", ip]', '"*email*"]')),
    policy("a comment", NEUTRAL, "", ("window: 15m\n", "window: 15m   # a quarter of an hour\n")),
    policy(
        "a later phase may be looser",
        LOOSER,
        "allow-looser",
        ("\nphases: ", "\nallow_looser: slow machines in C\nphases: "),
    ),
    policy(
        "a source more",
        UNKNOWN,
        "source",
        (
            "      paths: [telemetry/*.jsonl]\n",
            "      paths: [telemetry/*.jsonl]\n    - {name: other, kind: files, paths: [other/*.jsonl]}\n",
        ),
    ),
    policy(
        "a warning of a small volume later", LOOSER, "volume", ("warn_below: 0.5, before", "warn_below: 0.3, before")
    ),
    policy("another retry", UNKNOWN, "no-rule", ("retry: [30s, 60s,", "retry: [10s, 60s,")),
    policy(
        "the same number as another type, which a gate's query can tell",
        UNKNOWN,
        "gate-parameter",
        ("{batches: 8}", "{batches: 8.0}"),
    ),
    policy(
        "people for a role that is called as the order of a list is within the program",
        LOOSER,
        "people",
        ("    SRE: [sre@", '    "(order)": [other@autosave.example]\n    SRE: [sre@'),
    ),
    files(
        "a notice more, in words that nobody has seen",
        UNKNOWN,
        "notice",
        (
            POLICY_FILE,
            "\nnotices:\n",
            """
notices:
  autosave-incident-too:
    channel: "#incident-autosave"
    outcome: violation
    phases: [A, B, C]
    template: other.j2
""",
        ),
        ("policy/templates/other.j2", "", "{{ title }} {{ phase }} violation: restart it by hand\n"),
    ),
    policy(
        "a notice more, in another channel",
        UNKNOWN,
        "notice",
        (
            "\nnotices:\n",
            """
notices:
  autosave-incident-too:
    channel: "#other"
    outcome: violation
    phases: [A, B, C]
    template: autosave-incident.j2
""",
        ),
    ),
    policy(
        "a notice more, to the same people in the same words",
        TIGHTER,
        "notice",
        (
            "\nnotices:\n",
            """
notices:
  autosave-incident-too:
    channel: "#incident-autosave"
    outcome: violation
    phases: [A, B, C]
    template: autosave-incident.j2
""",
        ),
    ),
    files(
        "an SLO more by a query that nobody has seen",
        UNKNOWN,
        "slo",
        (
            POLICY_FILE,
            "\ngates:\n",
            """  second_rate:
    query: slo/second_rate.sql
    unit: "%"
    comparison: lte
    threshold: {A: 9, B: 9, C: 9}

gates:
""",
        ),
        (
            "queries/slo/second_rate.sql",
            "",
            SUCCESS_RATE.replace("success_rate", "second_rate").replace("100 *", "1 *"),
        ),
    ),
)

QUERY_CASES = (
    files("a comment in a query", NEUTRAL, "query-text", (P95, "with\n    saves", "-- the saves\nwith\n    saves")),
    files(
        "white space and upper case",
        NEUTRAL,
        "query-text",
        (
            P95,
            "select window_start, duration_ms\n        from events\n",
            "SELECT window_start,\n   duration_ms FROM events\n",
        ),
    ),
    files("words of the header", NEUTRAL, "query-text", (P95, "95th percentile of the time", "95 % of the time")),
    files("cast in two spellings", NEUTRAL, "query-text", (BATCHES, "$batches::double", "cast($batches as double)")),
    files("0.95 as .95", NEUTRAL, "query-text", (P95, "duration_ms, 0.95)", "duration_ms, .95)")),
    files(
        "0.95 with zeros enough to be too wide a DECIMAL for quantile_disc",
        UNKNOWN,
        "query-tree",
        (P95, "duration_ms, 0.95)", f"duration_ms, 0.95{'0' * 35})"),
    ),
    files(
        "other rows shown behind the value",
        UNKNOWN,
        "query-header",
        (P95, "-- worst: saves by duration_ms desc\n", ""),
    ),
    files("a quantile of 0.90", UNKNOWN, "query-tree", (P95, "duration_ms, 0.95)", "duration_ms, 0.90)")),
    files(
        "swapped cohort filters",
        UNKNOWN,
        "query-tree",
        (
            RATE,
            "filter (where saves.event = 'autosave.save.error')",
            "filter (where saves.event = 'autosave.save.completed')",
        ),
    ),
    files(
        "an inverted ratio",
        UNKNOWN,
        "query-tree",
        (
            RATE,
            "100 * (count(*) filter (where saves.event = 'autosave.save.error')) / nullif(count(saves.event), 0)",
            "100 * count(saves.event) / nullif((count(*) filter (where saves.event = 'autosave.save.error')), 0)",
        ),
    ),
    files(
        "and, or: another precedence",
        UNKNOWN,
        "query-tree",
        (
            RATE,
            "event in ('autosave.save.completed', 'autosave.save.error') and phase = $phase",
            "event = 'autosave.save.completed' or event = 'autosave.save.error' and phase = $phase",
        ),
    ),
    files(
        "> becomes >=",
        UNKNOWN,
        "query-tree",
        (DRIFT, "hour.window_start > windows.window_start", "hour.window_start >= windows.window_start"),
    ),
    files(
        "a wider time bound",
        UNKNOWN,
        "query-tree",
        (DRIFT, "interval '1 hour'", "interval '2 hours'"),
        (DRIFT, "lookback: 45 minutes", "lookback: 105 minutes"),
    ),
    files(
        "a filter moved into a case",
        UNKNOWN,
        "query-tree",
        (P95, "        where event = 'autosave.save.completed' and phase = $phase\n", "        where phase = $phase\n"),
        (
            P95,
            "quantile_cont(saves.duration_ms, 0.95)",
            "quantile_cont(case when saves.event = 'autosave.save.completed' then saves.duration_ms end, 0.95)",
        ),
        (P95, "select window_start, duration_ms\n", "select window_start, duration_ms, event\n"),
    ),
    files(
        "the sign flipped and lte to gte",
        UNKNOWN,
        "query-tree comparison threshold warn-below",
        (P95, "quantile_cont(saves.duration_ms, 0.95) / 1000", "-quantile_cont(saves.duration_ms, 0.95) / 1000"),
        (
            POLICY_FILE,
            "comparison: lte\n    threshold: {A: 2.5, B: 2.0, C: 1.8}\n    warn_at: 0.8",
            "comparison: gte\n    threshold: {A: -2.5, B: -2.0, C: -1.8}\n    warn_below: -1.4",
        ),
    ),
    files(
        "a distinct count",
        UNKNOWN,
        "query-tree",
        (RATE, "nullif(count(saves.event), 0)", "nullif(count(distinct saves.event), 0)"),
    ),
    files("the phase filter dropped", UNKNOWN, "query-tree", (LATENCY, " and phase = $phase", "")),
    files("a left join made an inner one", UNKNOWN, "query-tree", (LATENCY, "left join seals", "join seals")),
    files("max becomes min", UNKNOWN, "query-tree", (LATENCY, "max(seals.latency_ms)", "min(seals.latency_ms)")),
    files(
        "samples counted otherwise",
        UNKNOWN,
        "query-tree",
        (SUCCESS, "count(saves.event) as samples", "count(*) as samples"),
    ),
    files("a longer lookback alone", UNKNOWN, "query-header", (P95, "lookback: 0", "lookback: 1 hour")),
    files(
        "the order of a list of values",
        UNKNOWN,
        "query-tree",
        (
            RATE,
            "event in ('autosave.save.completed', 'autosave.save.error')",
            "event in ('autosave.save.error', 'autosave.save.completed')",
        ),
    ),
    files("a wider DECIMAL", UNKNOWN, "query-tree", (SUCCESS, "100 * (count", "100.0 * (count")),
    files(
        "a gate that counts a warning as a break",
        UNKNOWN,
        "query-tree",
        (
            BATCHES,
            "coalesce(bool_and(judgements.status in ('ok', 'warn')), false)",
            "coalesce(bool_and(judgements.status in ('ok')), false)",
        ),
    ),
    files(
        "a gate's parameter with its query",
        UNKNOWN,
        "query-tree gate-parameter",
        (BATCHES, "streak.met_windows >= $batches", "streak.met_windows > $batches"),
        (POLICY_FILE, "{batches: 8}", "{batches: 12}"),
    ),
    files(
        "a gate that never asks for alerts",
        UNKNOWN,
        "query-tree",
        (HOURS, "severity = 'critical'", "severity = 'none'"),
    ),
    files(
        "a query in another file",
        NEUTRAL,
        "query-file",
        (POLICY_FILE, "query: slo/success_rate.sql", "query: slo/share.sql"),
    ),
    files(
        "another query in another file",
        UNKNOWN,
        "query-file query-tree",
        (POLICY_FILE, "query: slo/success_rate.sql", "query: slo/share_of_all.sql"),
    ),
)

OTHER_CASES = (
    files("a comment in a template", NEUTRAL, "template-text", (OK, "✅", "{# shown in Slack #}✅")),
    files("another word in a template", UNKNOWN, "template-tree", (WARN, "nearing limits", "near its limits")),
    files(
        "a description in the event schema",
        NEUTRAL,
        "schema-description",
        (SCHEMA, '\n  "title": ', '\n  "$comment": "kept by hand",\n  "title": '),
    ),
    files("another engine", UNKNOWN, "engine", ("constraints.txt", "duckdb==2.0.0", "duckdb==2.0.1")),
    files(
        "another engine behind a marker",
        UNKNOWN,
        "engine",
        ("constraints.txt", "duckdb==2.0.0", 'duckdb==2.0.0; python_version < "3"\n duckdb==2.0.1'),
    ),
    files(
        "another engine below a comment that ends in a backslash",
        UNKNOWN,
        "engine",
        ("requirements.txt", "", "# the engine \\\nduckdb==2.0.1\n"),
    ),
    files(
        "another engine in a last line that ends in a backslash",
        UNKNOWN,
        "engine",
        ("requirements.txt", "", "duckdb==2.0.1 \\"),
    ),
    files(
        "another engine over two lines",
        UNKNOWN,
        "engine",
        ("requirements.txt", "", "duckdb \\\n # as measured\n==2.0.1\n"),
    ),
    files("a local build of the engine", UNKNOWN, "engine", ("constraints.txt", "duckdb==2.0.0", "duckdb==2.0.0+own")),
    files(
        "an engine from an address",
        UNKNOWN,
        "engine",
        ("requirements.txt", "", "duckdb @ https://packages.example/duckdb-2.0.0-py3-none-any.whl\n"),
    ),
    files("an engine of any later version", UNKNOWN, "engine", ("requirements.txt", "", "duckdb>=2\n")),
    files("packages from another file", UNKNOWN, "engine", ("requirements.txt", "", "-r more.txt")),
    files(
        "a comment at the engine's pin",
        NEUTRAL,
        "",
        ("constraints.txt", "duckdb==2.0.0", "duckdb == 2.0.0  # as measured"),
    ),
    files("another pin", NEUTRAL, "", ("constraints.txt", "click==8.1.7", "click==8.1.8")),
    files("a signer more", LOOSER, "signers", ("policy/allowed_signers", "", "a@autosave.example ssh-ed25519 AAAA\n")),
    files("longer approvals", LOOSER, "valid-for", (POLICY_FILE, "valid_for: 30d", "valid_for: 60d")),
    files("a governed file that nothing reads, and nothing else", NEUTRAL, "", ("docs/notes.md", "", "notes\n")),
)
CASES = (*POLICY_CASES, *QUERY_CASES, *OTHER_CASES)
