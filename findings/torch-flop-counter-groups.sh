#!/usr/bin/env bash
# torch's FLOP counter counts the weights' gradient of a grouped convolution once for each group.
#
# Expected: the backward pass of a convolution costs twice its forward pass, also with groups: both its gradients are
#           products of the same size.
# Seen:     with torch 2.15.0, FlopCounterMode counts (1 + groups) forward passes for it. For the 3x3 convolutions of R3GAN's
#           published networks, with 8 groups or more, training seems to cost several times what it costs. A comment in
#           torch's formula says that it leaves groups out.
# What to do: count the backward pass as two forward passes, which do respect groups, before models are compared at equal
#           compute.
#
# Output seen on 2026-11-29, Python 3.11:
#     1 group: backward / forward = 2
#     8 groups: backward / forward = 9
#     32 groups: backward / forward = 33
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 numpy==2.4.6

cat > try.py <<'END'
import torch
from torch.utils.flop_counter import FlopCounterMode

for groups in (1, 8, 32):
    layer = torch.nn.Conv2d(32, 32, 3, padding=1, groups=groups)
    x = torch.randn(4, 32, 14, 14, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        loss = layer(x).sum()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    ratio = backward.get_total_flops() / forward.get_total_flops()
    print(f"{groups} group{'s' * (groups > 1)}: backward / forward = {ratio:g}")
END
expect "$("$python" -W ignore try.py 2> log || cat log)" '1 group: backward / forward = 2
8 groups: backward / forward = 9
32 groups: backward / forward = 33'
