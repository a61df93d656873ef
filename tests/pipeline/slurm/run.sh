#!/usr/bin/env bash
# run.sh: run the tests marked slurm on a local Slurm, which is started before them and stopped afterwards.
set -euo pipefail
cd "$(dirname "$0")/../../.."
folder=$(mktemp -d)
trap 'tests/pipeline/slurm/stop.sh "$folder" && rm -r "$folder"' EXIT
tests/pipeline/slurm/start.sh "$folder"
export SLURM_CONF=$folder/slurm.conf PATH=$folder/bin:$PATH
uv run --extra slurm pytest -m slurm --numprocesses=0 "$@"
