"""What a decision was made from, as digests."""

from __future__ import annotations

from collections import Counter

from checker.analyzer.governed import Governed
from checker.analyzer.history import History
from checker.model import Provenance


def provenance_of(history: History) -> Provenance:
    """What the decision was made from; the logs are those of every judged window and of its lookback."""
    governed = history.governed
    length = governed.policy.window
    before = governed.lookback // length
    first = min(history.judged)
    return Provenance(
        governed_digest=governed.governed_digest,
        judging_digest=governed.judging_digest,
        queries=_query_digests(governed),
        logs_digest=history.telemetry.logs_digest(
            {*history.judged, *(first - length * n for n in range(1, before + 1))}
        ),
        engine=governed.engine,
    )


def _query_digests(governed: Governed) -> dict[str, str]:
    """Digest of each query by its name; by its path where an SLO's query and a gate's share the name."""
    names = Counter(query.name for query in governed.queries.values())
    return {
        query.name if names[query.name] == 1 else path: query.digest for path, query in sorted(governed.queries.items())
    }
