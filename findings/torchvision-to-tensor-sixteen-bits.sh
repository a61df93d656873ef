#!/usr/bin/env bash
# torchvision's to_tensor makes the brighter half of a 16-bit image negative.
#
# Expected: floats from 0 to 1, as of images of eight bits, or integers from 0 to 65,535.
# Seen:     with torchvision 0.29.2 an image in mode "I;16" (a grey PNG of 16 bits) becomes int16, unscaled. Values from
#           32,768 on wrap around: white is -1. Training on it goes on without a warning.
# What to do: torchvision.io.decode_image, which gives uint16; or np.asarray(image).astype(np.float32) / 65535.
#
# Output seen on 2026-11-28, Python 3.11:
#     0, 32767, 32768, 65535 become 0, 32767, -32768, -1 in torch.int16
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
from torchvision.transforms.functional import to_tensor

values = np.array([[0, 32767, 32768, 65535]], dtype=np.uint16)
Image.fromarray(values).save("grey.png")
found = to_tensor(Image.open("grey.png"))
print(", ".join(map(str, values[0])), "become", ", ".join(map(str, found.flatten().tolist())), "in", found.dtype)
END
expect "$("$python" -W ignore try.py)" '0, 32767, 32768, 65535 become 0, 32767, -32768, -1 in torch.int16'
