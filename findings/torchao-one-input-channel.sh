#!/usr/bin/env bash
# torchao cannot convert the weights of layers with one input channel to int8.
#
# Expected: a convolution of grey images with int8 weights, as of images with two channels.
# Seen:     with torchao 0.18.0, quantize_(model, IntxWeightOnlyConfig(torch.int8)) ends in a RuntimeError if a weight has size 1
#           along its second axis: the first convolution of grey images, depthwise convolutions, linear layers of one number.
# What to do: leave these layers out with filter_fn; they have few weights.
#
# Output seen on 2026-11-29, Python 3.11:
#     Conv2d(2, 16, 7): int8
#     Conv2d(1, 16, 7): RuntimeError: shape '[16, 1, 7, 7]' is invalid for input of size 1
#     Conv2d(16, 16, 3, groups=16): RuntimeError: shape '[16, 1, 3, 3]' is invalid for input of size 1
#     Linear(1, 8): RuntimeError: shape '[8, 1]' is invalid for input of size 1
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 diffusers==0.42.1 torchao==0.18.0 \
    torchode==1.0.1 torchtyping==0.1.5

cat > try.py <<'END'
import logging

logging.disable()
import torch
from torch.nn import Conv2d, Linear, Sequential
from torchao.quantization import IntxWeightOnlyConfig, quantize_

for name in ("Conv2d(2, 16, 7)", "Conv2d(1, 16, 7)", "Conv2d(16, 16, 3, groups=16)", "Linear(1, 8)"):
    model = Sequential(eval(name))
    try:
        quantize_(model, IntxWeightOnlyConfig(torch.int8), filter_fn=lambda layer, _: isinstance(layer, (Conv2d, Linear)))
        print(f"{name}: {'int8' if 'Int8' in type(model[0].weight).__name__ else 'unchanged'}")
    except RuntimeError as error:
        print(f"{name}: RuntimeError: {error}")
END
expect "$("$python" -W ignore try.py 2> log || cat log)" \
"Conv2d(2, 16, 7): int8
Conv2d(1, 16, 7): RuntimeError: shape '[16, 1, 7, 7]' is invalid for input of size 1
Conv2d(16, 16, 3, groups=16): RuntimeError: shape '[16, 1, 3, 3]' is invalid for input of size 1
Linear(1, 8): RuntimeError: shape '[8, 1]' is invalid for input of size 1"
