#!/usr/bin/env bash
# Makes telemetry for a healthy rollout and for each kind of trouble, and shows what phasegate says to it.
set -u
phasegate=${PHASEGATE:-.venv/bin/phasegate}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
for scenario in healthy warning violation-latency violation-failure-rate violation-drift violation-collector \
    missing-batch late-events flood-of-broken-lines no-data; do
    echo "── $scenario"
    "$phasegate" simulate --scenario "$scenario" --output "$place/$scenario.jsonl" >/dev/null 2>&1 || exit 1
    PHASEGATE_CACHE=$place/cache "$phasegate" check --phase B --fixture "$place/$scenario.jsonl"
    echo "   exit $?"
    echo
done
