# Functions for the scripts beside it, each of which works in a temporary folder of its own, $folder.
#
#     environment NAME==VERSION ...    makes an environment with these packages; its interpreter is $python
#     expect "FOUND" "EXPECTED"        shows what was found, and fails if it is not what was seen before
#
# With FINDINGS_CACHE, a folder, environments are kept there, one for each list of packages.
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
