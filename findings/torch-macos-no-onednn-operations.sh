#!/usr/bin/env bash
# PyTorch's wheel for Apple's processors lacks the operations that ask oneDNN what a processor computes in.
#
# Expected: torch.ops.mkldnn._is_mkldnn_bf16_supported() and _is_mkldnn_fp16_supported() are there in each wheel of a release,
#           and return False where there is no oneDNN.
# Seen:     the library of torch 2.15.0 for Linux on ARM registers them, and that for macOS on ARM does not: it has no oneDNN.
#           So the attribute is missing there, and the question ends in an AttributeError. This was read in the wheels: no
#           Mac was at hand. torchao met it in torch 2.11 (its issue 4403).
# What to do: ask torch.backends.mkldnn.is_available() first.
#
# Output seen on 2026-11-29, Python 3.11:
#     manylinux_2_28_aarch64: _is_mkldnn_bf16_supported True, _is_mkldnn_fp16_supported True
#     macosx_14_0_arm64: _is_mkldnn_bf16_supported False, _is_mkldnn_fp16_supported False
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment numpy==2.4.6

cat > registered.py <<'END_OF_PYTHON'
import sys
import zipfile
from pathlib import Path

for platform in sys.argv[1:]:
    (wheel,) = Path(platform).glob("torch-2.15.0-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if Path(name).stem == "libtorch_cpu"]
        library = archive.read(name)
    operations = ("_is_mkldnn_bf16_supported", "_is_mkldnn_fp16_supported")
    print(f"{platform}: {', '.join(f'{name} {name.encode() in library}' for name in operations)}")
END_OF_PYTHON
platforms=(manylinux_2_28_aarch64 macosx_14_0_arm64)
for platform in "${platforms[@]}"; do
    "$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 --platform "$platform" \
        --dest "$platform" torch==2.15.0
done
expect "$("$python" registered.py "${platforms[@]}")" \
'manylinux_2_28_aarch64: _is_mkldnn_bf16_supported True, _is_mkldnn_fp16_supported True
macosx_14_0_arm64: _is_mkldnn_bf16_supported False, _is_mkldnn_fp16_supported False'
