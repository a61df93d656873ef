#!/usr/bin/env bash
# torch.randn with one seed: a longer tensor does not begin with the numbers of a shorter one.
#
# Expected: randn(32) begins with randn(20) of the same seed, as NumPy's and most generators' numbers do; so that the first
#           images of a large batch are those of a small one.
# Seen:     with torch 2.15.0 on a CPU, 16 numbers or more are made in groups of 16, and where the size is no multiple of 16
#           the last 16 numbers are drawn again; fewer than 16 are made one by one in another way. A latent of size 100, drawn
#           for 1 and for 2 images with one seed, agrees in 84 of the 100 numbers of the first image; sizes 15 and 16 share
#           not one number.
# What to do: a generator for each image, or one draw of the largest size that is sliced.
#
# Output seen on 2026-11-28, Python 3.11:
#     randn(15) and randn(16): 0 of 15 are the same
#     randn(20) and randn(32): 4 of 20 are the same
#     randn(100) and randn(200): 84 of 100 are the same
#     randn(160) and randn(176): 160 of 160 are the same
#     NumPy's normal(20) and normal(32): 20 of 20 are the same
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 diffusers==0.42.1 torchao==0.18.0 \
    torchode==1.0.1 torchtyping==0.1.5

cat > try.py <<'END'
import numpy as np
import torch


def draw(size):
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


for small, large in ((15, 16), (20, 32), (100, 200), (160, 176)):
    same = (draw(small) == draw(large)[:small]).sum().item()
    print(f"randn({small}) and randn({large}): {same} of {small} are the same")
same = (np.random.default_rng(0).normal(size=20) == np.random.default_rng(0).normal(size=32)[:20]).sum()
print(f"NumPy's normal(20) and normal(32): {same} of 20 are the same")
END
expect "$("$python" -W ignore try.py)" "randn(15) and randn(16): 0 of 15 are the same
randn(20) and randn(32): 4 of 20 are the same
randn(100) and randn(200): 84 of 100 are the same
randn(160) and randn(176): 160 of 160 are the same
NumPy's normal(20) and normal(32): 20 of 20 are the same"
