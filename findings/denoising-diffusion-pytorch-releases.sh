#!/usr/bin/env bash
# Releases of denoising-diffusion-pytorch read each other's weights without an error and compute another network.
#
# Expected: a file whose names and shapes all fit is the same network in the next patch release.
# Seen:     0.26.4 divides the values of its linear attention by the number of positions, which 0.26.3 does not; 0.28.0 scales
#           the similarity of its attention otherwise than 0.27.12. load_state_dict(strict=True) passes in both cases, and the
#           output moves by a percent or more. A file of the Trainer from before December 2022 does not say its release.
# What to do: write down the release with the weights; genbench asks for it where the file does not say.
#
# Output seen on 2026-11-28, Python 3.11:
#     0.26.3 -> 0.26.4: same names and shapes, output moves by 1.6%
#     0.27.12 -> 0.28.0: same names and shapes, output moves by 1.0%
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 einops==0.8.1 tqdm==4.70.1 accelerate==1.15.0 ema-pytorch==0.7.7
for version in 0.26.3 0.26.4 0.27.12 0.28.0; do
    "$python" -m pip install --quiet --no-deps --target "$version" denoising-diffusion-pytorch=="$version"
done

cat > compute.py <<'END'
import sys

import torch

sys.path.insert(0, sys.argv[1])
from denoising_diffusion_pytorch import Unet

model = Unet(dim=16, dim_mults=(1, 2))
generator = torch.Generator().manual_seed(0)
weights = {name: 0.2 * torch.randn(value.shape, generator=generator) for name, value in sorted(model.state_dict().items())}
model.load_state_dict(weights, strict=True)
with torch.no_grad():
    output = model(torch.randn(1, 3, 16, 16, generator=generator), torch.tensor([5]))
torch.save({"shapes": {name: tuple(value.shape) for name, value in weights.items()}, "output": output}, f"{sys.argv[1]}.pt")
END
cat > compare.py <<'END'
import sys

import torch

old, new = (torch.load(f"{version}.pt", weights_only=True) for version in sys.argv[1:])
names = "same names and shapes" if old["shapes"] == new["shapes"] else "other names or shapes"
moved = ((new["output"] - old["output"]).norm() / old["output"].norm()).item()
print(f"{sys.argv[1]} -> {sys.argv[2]}: {names}, output moves by {moved:.1%}")
END
for version in 0.26.3 0.26.4 0.27.12 0.28.0; do "$python" -W ignore compute.py "$version"; done
expect "$("$python" compare.py 0.26.3 0.26.4; "$python" compare.py 0.27.12 0.28.0)" '0.26.3 -> 0.26.4: same names and shapes, output moves by 1.6%
0.27.12 -> 0.28.0: same names and shapes, output moves by 1.0%'
