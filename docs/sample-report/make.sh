#!/usr/bin/env bash
# Makes the sample report anew: every figure in it is of a drill that runs here and now, on the container engine.
set -euo pipefail
cd "$(dirname "$0")"
drdrill=${DRDRILL:-drdrill}
state=$(mktemp -d)
files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
export DRDRILL_STATE="$state"
echo "runs are kept in $state"

# A drill that misses its objective is part of the sample; one that leaves something or does not run is not.
drill() {
  local status=0
  "$drdrill" run "$@" || status=$?
  case "$status" in 0 | 10) ;; *) exit "$status" ;; esac
}
finding() { # the id of the newest open finding whose text holds the words
  "$drdrill" finding list --format json | python3 -c '
import json, sys
found = [one for one in json.load(sys.stdin) if sys.argv[1] in json.dumps(one)]
print(max(found, key=lambda one: one["opened"])["id"])' "$1"
}

# The monitor as somebody set it once: it takes a minute to believe that a site is gone.
sed 's/interval: 500ms, timeout: 400ms, failures: 3/interval: 10s, timeout: 2s, failures: 5/' store.yaml >"$files/store.yaml"
drill complete_site_failure --env "$files/store.yaml"
missed=$(finding "recovery time")
"$drdrill" finding assign "$missed" --to "On-call engineer"
"$drdrill" finding cause "$missed" "The monitor asks every 10 s and believes the fifth failure."

# Mended, and drilled again.
drill complete_site_failure region_outage service_killed replication_stall --env store.yaml
drill accidental_deletion data_corruption --env store.yaml
"$drdrill" tabletop complete_site_failure --env store.yaml --script exercise.yaml || [ $? -eq 10 ]

quarter=$(date -u +%Y)-Q$((($(date -u +%-m) + 2) / 3))
for format in html pdf markdown; do
  case "$format" in markdown) end=md ;; *) end=$format ;; esac
  "$drdrill" report quarterly --quarter "$quarter" --program program.yaml --format "$format" --out "report.$end"
  "$drdrill" verify "report.$end"
done
