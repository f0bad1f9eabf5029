"""Runs governed queries over made-up relations, for what of their contract shows only when they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from checker.analyzer.explain import task_rows
from checker.analyzer.gate import gate_runner
from checker.analyzer.history import gate_windows_back
from checker.analyzer.made_up import FIRST, fill_events, gate_relations
from checker.analyzer.queries import Query
from checker.analyzer.results import FIRST_COLUMNS, measurements
from checker.analyzer.rules import IngestRules
from checker.analyzer.sandbox import Rows, parser
from checker.analyzer.spans import OpenSpan, SloTask, Span, open_span
from checker.errors import Problem, QueryFailed
from checker.model import Measurement, Window
from checker.policy.model import Policy
from checker.windows import iso, windows_between

if TYPE_CHECKING:
    import duckdb

SPAN_WINDOWS = 16
_SLO_TYPES = ("TIMESTAMP", "DOUBLE", "BIGINT")
_GATE_TYPES = ("VARCHAR", "DOUBLE", "DOUBLE", "BOOLEAN", "TIMESTAMP", "VARCHAR")
