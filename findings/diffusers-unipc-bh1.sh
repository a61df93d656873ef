#!/usr/bin/env bash
# diffusers' UniPCMultistepScheduler with solver_type="bh1" returns NaN in its last step, under its own defaults otherwise.
#
# Expected: a sample, as with "bh2": both are choices of B(h) in the paper (Zhao et al. 2023), whose step to sigma = 0 is the
#           predicted image.
# Seen:     with diffusers 0.42.1, the last step goes to sigma = 0, where h is infinite; B(h) = h then is infinite, too, and is
#           multiplied by a sum of no terms. Every value is NaN, without a warning. With "bh2", B(h) is finite there.
# What to do: solver_type="bh2", or final_sigmas_type="sigma_min".
#
# Output seen on 2026-11-28, Python 3.11:
#     bh1 zero: nan
#     bh1 sigma_min: finite
#     bh2 zero: finite
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 diffusers==0.42.1 torchao==0.18.0 \
    torchode==1.0.1 torchtyping==0.1.5

cat > try.py <<'END'
import torch
from diffusers import UniPCMultistepScheduler

for solver_type, last in (("bh1", "zero"), ("bh1", "sigma_min"), ("bh2", "zero")):
    scheduler = UniPCMultistepScheduler(solver_type=solver_type, final_sigmas_type=last)
    scheduler.set_timesteps(10)
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for t in scheduler.timesteps:
        x = scheduler.step(0.5 * x, t, x).prev_sample
    print(f"{solver_type} {last}: {'finite' if x.isfinite().all() else 'nan' if x.isnan().all() else x}")
END
found=$("$python" try.py 2> log) || { cat log; exit 1; }
expect "$found" $'bh1 zero: nan\nbh1 sigma_min: finite\nbh2 zero: finite'
