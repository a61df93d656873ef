#!/usr/bin/env bash
# clean-fid's KID differs between two calls on the same features, and between sets that are smaller than it says.
#
# Expected: one number for the same features; an error, or a note, where a set is smaller than the subsets of 1,000.
# Seen:     with clean-fid 0.1.35, kernel_distance draws subsets from NumPy's global random numbers, which nothing seeds; and
#           it takes subsets of the smaller set's size without a word, so that the number of images changes what is computed.
#           torch-fidelity 0.4.0 seeds (kid_rng_seed=2020) and refuses.
# What to do: numpy.random.seed before the call, at least 1,000 images of each set, and state both.
#
# Output seen on 2026-11-28, Python 3.11:
#     two calls are equal: False
#     after numpy.random.seed(0) they are equal: True
#     200 images: a number
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 pillow==13.0.0 scipy==1.17.1 pytorch-fid==0.3.0 \
    clean-fid==0.1.35 torch-fidelity==0.4.0 torchmetrics==1.9.0 prdc==0.2

cat > try.py <<'END'
import numpy as np
from cleanfid.fid import kernel_distance

random = np.random.default_rng(0)
real, fake = random.normal(size=(1500, 16)), random.normal(0.1, 1, size=(1500, 16))
print("two calls are equal:", kernel_distance(real, fake) == kernel_distance(real, fake))


def seeded():
    np.random.seed(0)
    return kernel_distance(real, fake)


print("after numpy.random.seed(0) they are equal:", seeded() == seeded())
few = kernel_distance(real[:200], fake[:200])
print("200 images:", "a number" if np.isfinite(few) else few)
END
expect "$("$python" -W ignore try.py)" 'two calls are equal: False
after numpy.random.seed(0) they are equal: True
200 images: a number'
