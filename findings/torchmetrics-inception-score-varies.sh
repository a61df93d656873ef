#!/usr/bin/env bash
# torchmetrics' InceptionScore gives other numbers for the same images each time.
#
# Expected: one number for one set of images, as torch-fidelity's (rng_seed=2020) and OpenAI's (no shuffle) give.
# Seen:     with torchmetrics 1.9.0, compute() shuffles the images with torch's global random numbers before it makes the ten
#           parts. The mean and the deviation over parts differ between two calls on the same metric object.
# What to do: torch.manual_seed before each compute(), and state the seed.
#
# Output seen on 2026-11-28, Python 3.11:
#     without a seed, two calls are equal: False
#     with one seed, two calls are equal: True
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 pillow==13.0.0 scipy==1.17.1 pytorch-fid==0.3.0 \
    clean-fid==0.1.35 torch-fidelity==0.4.0 torchmetrics==1.9.0 prdc==0.2

cat > try.py <<'END'
import torch
from torchmetrics.image.inception import InceptionScore


class AsLogits(torch.nn.Module):
    def forward(self, x):
        return x


logits = 2 * torch.randn(500, 64, generator=torch.Generator().manual_seed(0))


def score(seed=None):
    metric = InceptionScore(feature=AsLogits())
    metric.update(logits)
    if seed is not None:
        torch.manual_seed(seed)
    return metric.compute()[0].item()


print("without a seed, two calls are equal:", score() == score())
print("with one seed, two calls are equal:", score(1) == score(1))
END
expect "$("$python" -W ignore try.py)" 'without a seed, two calls are equal: False
with one seed, two calls are equal: True'
