"""Draw from a published checkpoint: python examples/published_checkpoint.py PATH [FORMAT KEY=VALUE...]

For example, with these arguments:

ddpm-cifar10-32
ema_0.9999_500000.pt improved-diffusion image_size=32 timesteps=4000 schedule=cosine
netG_1200.pth ddgan image_size=32 timesteps=4

docs/checkpoints.md lists the options of each format. A folder of diffusers needs none.
"""

import sys

import yaml

from genbench import load, sample, show

path, *others = sys.argv[1:]
format = others.pop(0) if others else None
options = {key: yaml.safe_load(value) for key, _, value in (option.partition("=") for option in others)}

model = load(path, format=format, **options)
few = {"method": "ddim", "steps": 50} if model.family == "Diffusion" else {}  # instead of about 1000
images = sample(model, seeds=range(16), **few)
show(images).save("published.png")
print(f"published.png: 16 images of {model.family}, {sum(p.numel() for p in model.parameters()):,} parameters")
