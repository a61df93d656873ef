#!/usr/bin/env bash
# Snakemake overlooks a changed parameter where its function also takes `input`.
#
# Expected: `--rerun-triggers` has params by default, so a job whose parameter changed runs again, whichever arguments the
#           function of the parameter takes.
# Seen:     with snakemake 9.27.1 the job of `params: value=lambda wildcards: config["value"]` runs again, and that of
#           `lambda wildcards, input: config["value"]` does not: its old output stays, without a word.
# What to do: let functions of parameters take `wildcards` only, and `input` only for what follows from the paths of the input.
#
# Output seen on 2026-11-27, Python 3.11:
#     runs again: plain
#     stays as it was: of_input
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment snakemake==9.27.1

cat > Snakefile <<'END'
rule all:
    input:
        "plain.txt",
        "of_input.txt",


rule plain:
    input:
        "in.txt",
    output:
        "plain.txt",
    params:
        value=lambda wildcards: config["value"],
    shell:
        "echo {params.value} > {output}"


rule of_input:
    input:
        "in.txt",
    output:
        "of_input.txt",
    params:
        value=lambda wildcards, input: config["value"],
    shell:
        "echo {params.value} > {output}"
END
touch in.txt
export PATH="$(dirname "$python"):$PATH"
snakemake --cores 1 --quiet all --config value=1 2> /dev/null
snakemake --cores 1 --quiet all --config value=2 2> /dev/null

for rule in plain of_input; do
  case $(cat "$rule.txt") in
    2) echo "runs again: $rule" ;;
    1) echo "stays as it was: $rule" ;;
  esac
done | tee found.txt
printf 'runs again: plain\nstays as it was: of_input\n' | diff - found.txt
