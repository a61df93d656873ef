# Sourced by the scripts beside it, each of which starts in a temporary folder of its own.
#
#     environment NAME==VERSION ...    makes an environment with these packages; its interpreter is $python
#     expect "FOUND" "EXPECTED"        shows what was found, and fails if it is not what was seen before
#
# METRICS and DIFFUSION are lists of packages that several scripts share. With FINDINGS_CACHE, a folder, environments
# are kept there, one for each list.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

TORCH="torch==2.15.0 torchvision==0.29.2 numpy==2.4.6"
METRICS="$TORCH pillow==13.0.0 scipy==1.17.1 pytorch-fid==0.3.0 clean-fid==0.1.35 torch-fidelity==0.4.0 torchmetrics==1.9.0 prdc==0.2"
DIFFUSION="$TORCH diffusers==0.42.1 torchao==0.18.0 torchode==1.0.1 torchtyping==0.1.5"

environment() {
    local place="${FINDINGS_CACHE:-$folder}/env-$(printf '%s\n' "$@" | sha256sum | cut -c1-12)"
    python="$place/bin/python"
    [ -e "$place/complete" ] && return
    rm -rf "$place"
    python3 -m venv "$place"
    "$python" -m pip install --quiet "$@"
    touch "$place/complete"
}

expect() {
    echo "$1"
    [ "$1" = "$2" ] || { echo "it has changed; seen before:"; echo "$2"; exit 1; }
}
