#!/usr/bin/env bash
# Run all findings, or those named: run.sh [NAME.sh ...]. Scripts of the same packages share an environment.
# A line for each says whether it still holds; the exit status is the number of those that changed or could not run.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export FINDINGS_CACHE="${FINDINGS_CACHE:-$(mktemp -d)}"
[ $# -gt 0 ] || { cd "$here" && set -- *-*.sh; }
changed=0
for name in "$@"; do
    if bash "$here/$(basename "$name")" > "$FINDINGS_CACHE/$(basename "$name").log" 2>&1; then
        echo "holds    $name"
    else
        echo "CHANGED  $name: $FINDINGS_CACHE/$(basename "$name").log"
        changed=$((changed + 1))
    fi
done
exit "$changed"
