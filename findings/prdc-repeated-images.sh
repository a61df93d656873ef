#!/usr/bin/env bash
# prdc: a set of images compared with itself has precision, recall, density and coverage 0 if each image is in it six times.
#
# Expected: 1: every generated image lies in the manifold of the real ones, since it is one of them. torch-fidelity says 1.
# Seen:     with prdc 0.2, an image counts if its distance is *less* than the radius to the k-th neighbour (k = 5), where the
#           paper (Kynkaanniemi et al. 2019, eq. 1) says "at most". Where an image is there k + 1 times, its radius is 0, and
#           no distance is less than 0. Features here are whole numbers, so that distances are exact; with others, rounding
#           makes some distances of copies larger than 0, and the answer lies between 0 and 1. Data sets that were enlarged by
#           copies, and samples of a collapsed generator, are of this kind.
# What to do: count copies once, or use a program that says "at most".
#
# Output seen on 2026-11-28, Python 3.11:
#     prdc: precision 0.0, recall 0.0, density 0.0, coverage 0.0
#     torch-fidelity: precision 1.0, recall 1.0
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 pillow==13.0.0 scipy==1.17.1 pytorch-fid==0.3.0 \
    clean-fid==0.1.35 torch-fidelity==0.4.0 torchmetrics==1.9.0 prdc==0.2

cat > try.py <<'END'
import contextlib
import io

import numpy as np
import prdc
import torch
from torch_fidelity.metric_prc import prc_features_to_metric

features = np.repeat(np.random.default_rng(0).integers(10, size=(200, 64)).astype(float), 6, axis=0)
with contextlib.redirect_stdout(io.StringIO()):
    found = prdc.compute_prdc(features, features, nearest_k=5)
print("prdc:", ", ".join(f"{name} {value:.1f}" for name, value in found.items()))
tensor = torch.from_numpy(features)
found = prc_features_to_metric(tensor, tensor, prc_neighborhood=5, prc_batch_size=1200, save_cpu_ram=True, verbose=False)
print(f"torch-fidelity: precision {found['precision']:.1f}, recall {found['recall']:.1f}")
END
expect "$("$python" -W ignore try.py)" 'prdc: precision 0.0, recall 0.0, density 0.0, coverage 0.0
torch-fidelity: precision 1.0, recall 1.0'
