#!/usr/bin/env bash
# pytorch-fid, clean-fid and torch-fidelity see grey images of 16 bits as white: two sets that differ are the same to them.
#
# Expected: the upper eight bits, or an error. Medical images and depth maps are stored so.
# Seen:     with Pillow 13.0.0 a PNG of 16 grey bits opens in mode "I;16", and convert("RGB") limits its values to 255 instead
#           of scaling them: of 1,024 levels from 0 to 65,535, all but 4 are white. pytorch-fid 0.3.0 (shown here) converts
#           so, as the other two do, without a warning. FID of such sets measures nothing.
# What to do: make eight bits of them first (divide by 257), and state it.
#
# Output seen on 2026-11-28, Python 3.11:
#     levels in the file: 1024, mean 0.500 of white
#     levels that pytorch-fid reads: 5, mean 0.998 of white
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 pillow==13.0.0 scipy==1.17.1 pytorch-fid==0.3.0 \
    clean-fid==0.1.35 torch-fidelity==0.4.0 torchmetrics==1.9.0 prdc==0.2

cat > try.py <<'END'
import numpy as np
from PIL import Image
from pytorch_fid.fid_score import ImagePathDataset
from torchvision.transforms import ToTensor

image = np.linspace(0, 65535, 1024).round().astype(np.uint16).reshape(32, 32)
Image.fromarray(image).save("grey.png")
print(f"levels in the file: {len(np.unique(image))}, mean {image.mean() / 65535:.3f} of white")
seen = ImagePathDataset(["grey.png"], ToTensor())[0]
print(f"levels that pytorch-fid reads: {len(seen.unique())}, mean {seen.mean():.3f} of white")
END
expect "$("$python" -W ignore try.py)" 'levels in the file: 1024, mean 0.500 of white
levels that pytorch-fid reads: 5, mean 0.998 of white'
