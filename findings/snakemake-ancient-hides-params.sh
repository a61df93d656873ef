#!/usr/bin/env bash
# Snakemake overlooks a changed parameter of a job that has ancient input from a job that runs again.
#
# Expected: `ancient` says that newer input is no reason to run again; a changed parameter still is one, as without it.
# Seen:     with snakemake 9.27.1, one changed value is a parameter of two jobs, and the second reads the first one's output
#           as ancient: only the first runs again, and the second's old output stays, without a word. The run after that, in
#           which the first has nothing to do, runs the second.
# What to do: no `ancient` between jobs that share a parameter; or run again until there is nothing to do.
#
# Output seen on 2026-11-28, Python 3.11:
#     first run: old old
#     after the change: new old
#     and once more: new new
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment snakemake==9.27.1

cat > Snakefile <<'END'
rule all:
    input:
        "second.txt",


rule first:
    output:
        "first.txt",
    params:
        value=lambda wildcards: config["value"],
    shell:
        "echo {params.value} > {output}"


rule second:
    input:
        ancient("first.txt"),
    output:
        "second.txt",
    params:
        value=lambda wildcards: config["value"],
    shell:
        "echo {params.value} > {output}"
END

run() {  # run WORDS VALUE: make both files, and print what they hold
  "$(dirname "$python")/snakemake" --cores 1 --quiet all --config value="$2" > log 2>&1 || { cat log; exit 1; }
  echo "$1: $(cat first.txt) $(cat second.txt)"
}

found=$(run "first run" old; run "after the change" new; run "and once more" new)
expect "$found" $'first run: old old\nafter the change: new old\nand once more: new new'
