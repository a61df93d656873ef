#!/usr/bin/env bash
# torch's deterministic algorithms: the same seed trains another network on another kind of x86 processor.
#
# Expected: torch.use_deterministic_algorithms(True), one thread, float32, the same seed, package and data: the same weights.
# Seen:     with torch 2.15.0, convolutions by kernels for SSE 4.1 differ in the last bits from those that the processor is
#           given by itself (AVX2, AVX-512), and 400 steps of a small GAN amplify 1e-6 to 8 % of what training moved the
#           weights. Nothing warns; virtual machines may call both processors by one name. ONEDNN_MAX_CPU_ISA stands here
#           for the other processor.
# What to do: state the vector instructions beside a result, compare means over several seeds, and measure distances with
#           weights that are shipped, not trained again: a classifier's features change with it.
#
# Output seen on 2026-11-29, Python 3.11, a processor with AVX2:
#     trained twice, equal: True
#     one convolution, other kernels: equal False, close True
#     400 steps, other kernels: apart by more than 1 % of what training moved: True
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 pillow==13.0.0 scipy==1.17.1 pytorch-fid==0.3.0 \
    clean-fid==0.1.35 torch-fidelity==0.4.0 torchmetrics==1.9.0 prdc==0.2

cat > train.py <<'END'
import sys

import torch
from torch import nn

torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)
torch.manual_seed(0)
generator = nn.Sequential(
    nn.Linear(16, 32 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (32, 7, 7)), nn.Upsample(scale_factor=2),
    nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(16, 1, 3, padding=1), nn.Tanh(),
)
critic = nn.Sequential(
    nn.Conv2d(1, 16, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 3, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(),
    nn.Linear(32 * 7 * 7, 1),
)
first = torch.cat([w.detach().flatten() for w in generator.parameters()])
rows = torch.linspace(-1, 1, 28)
real = torch.stack([torch.outer(torch.cos(k * rows), torch.sin((k + 1) * rows)) for k in range(64)])[:, None]
with torch.no_grad():
    convolution = nn.Conv2d(64, 32, 3, padding=1)(torch.randn(8, 64, 14, 14))
both = [torch.optim.Adam(net.parameters(), 1e-3, betas=(0.5, 0.999)) for net in (generator, critic)]
for _ in range(400):
    for optimizer, sign in zip(both[::-1], (1, -1)):
        optimizer.zero_grad()
        fake = critic(generator(torch.randn(32, 16)))
        loss = nn.functional.softplus(sign * fake).mean()
        if sign > 0:
            loss = loss + nn.functional.softplus(-critic(real[torch.randint(64, (32,))])).mean()
        loss.backward()
        optimizer.step()
last = torch.cat([w.detach().flatten() for w in generator.parameters()])
torch.save({"convolution": convolution, "moved": last - first}, sys.argv[1])
END
cat > compare.py <<'END'
import torch

one, again, other = (torch.load(f"{name}.pt") for name in ("one", "again", "other"))
print("trained twice, equal:", torch.equal(one["moved"], again["moved"]))
a, b = one["convolution"], other["convolution"]
print(f"one convolution, other kernels: equal {torch.equal(a, b)}, close {torch.allclose(a, b, atol=1e-5)}")
distance = (one["moved"] - other["moved"]).norm() / one["moved"].norm()
print("400 steps, other kernels: apart by more than 1 % of what training moved:", bool(distance > 0.01))
END
"$python" train.py one.pt
"$python" train.py again.pt
ONEDNN_MAX_CPU_ISA=SSE41 "$python" train.py other.pt
expect "$("$python" -W ignore compare.py)" 'trained twice, equal: True
one convolution, other kernels: equal False, close True
400 steps, other kernels: apart by more than 1 % of what training moved: True'
