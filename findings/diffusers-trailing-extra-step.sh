#!/usr/bin/env bash
# diffusers: timestep_spacing="trailing" visits the time -1 for 62 of the 1,000 numbers of steps, and wrecks the sample.
#
# Expected: `n` times from 999 downwards for set_timesteps(n), whatever n.
# Seen:     with diffusers 0.42.1, in DDIM, DDPM, Euler, DPM-Solver++ and UniPC alike, rounding of arange(1000, 0, -1000 / n)
#           gives n + 1 values for n = 61, 103, 121, 122, 201, ... The last time is -1, which indexes the schedule from its end:
#           the finished image is taken for pure noise at t = 999. With an exact model of data with standard deviation 0.5,
#           DDIM's samples have 0.49 after 60 steps and 0.00 after 61. No warning.
# What to do: numbers of steps that divide 1,000, or check min(scheduler.timesteps) >= 0.
#
# Output seen on 2026-11-28, Python 3.11:
#     numbers of steps with a time of -1: 62, the first 61, 103, 121, 122, 201
#     60 steps: 60 times, the last 16, standard deviation 0.49
#     61 steps: 62 times, the last -1, standard deviation 0.00
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 diffusers==0.42.1 torchao==0.18.0 \
    torchode==1.0.1 torchtyping==0.1.5

cat > try.py <<'END'
import torch
from diffusers import DDIMScheduler

scheduler = DDIMScheduler(timestep_spacing="trailing", clip_sample=False)
found = []
for steps in range(1, 1001):
    scheduler.set_timesteps(steps)
    if min(scheduler.timesteps) < 0:
        found.append(steps)
print(f"numbers of steps with a time of -1: {len(found)}, the first {', '.join(map(str, found[:5]))}")
for steps in (60, 61):
    scheduler.set_timesteps(steps)
    x = torch.randn(1, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for t in scheduler.timesteps:
        alpha = scheduler.alphas_cumprod[t]
        noise = (1 - alpha).sqrt() * x / (0.25 * alpha + 1 - alpha)  # exact for data from N(0, 0.25)
        x = scheduler.step(noise, t, x).prev_sample
    times = scheduler.timesteps
    print(f"{steps} steps: {len(times)} times, the last {times[-1]}, standard deviation {x.std():.2f}")
END
expect "$("$python" -W ignore try.py 2> log || cat log)" 'numbers of steps with a time of -1: 62, the first 61, 103, 121, 122, 201
60 steps: 60 times, the last 16, standard deviation 0.49
61 steps: 62 times, the last -1, standard deviation 0.00'
