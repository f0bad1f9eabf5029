#!/usr/bin/env bash
# Makes telemetry of every scenario, a day of it or less, and shows what phasegate says to each (about half a minute).
set -u
phasegate=${PHASEGATE:-.venv/bin/phasegate}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export PHASEGATE_CACHE=$place/cache
for scenario in $("$phasegate" simulate --list | awk '/^[a-z]/ { print $1 }'); do
    echo "── $scenario"
    "$phasegate" simulate --scenario "$scenario" --out "$place/$scenario" >"$place/said" || exit 1
    # what simulate says ends with the check to make: its phase and its clock
    read -r phase as_of < <(sed -nE 's/.*check --phase ([^ ]+) .*--as-of ([^ ]+)$/\1 \2/p' "$place/said")
    "$phasegate" check --phase "$phase" --logs "$place/$scenario" --as-of "$as_of"
    echo "   exit $?"
    echo
done
