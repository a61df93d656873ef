"""Train a GAN on your own images: python examples/own_data.py FOLDER_OR_ARCHIVE [STEPS]

The images may be in one folder, in one folder per class, or in a .zip or .tar. Each is cropped to a square and resized.
"""

import sys

from genbench import load_suite, sample, show, train

path = sys.argv[1]
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 2000

suite = load_suite("demo")  # provides the recipes; the data set is replaced below
suite["dataset"] = {"source": "folder", "name": "mine", "path": path, "image_size": 32, "filter": "bicubic"}
suite["models"]["gan"]["training"]["flip"] = True  # any key of the recipe: docs/suites.md

model = train(suite, "gan", steps=steps, folder="own_data")
show(sample(model, seeds=range(64))).save("own_data.png")
print("own_data.png: 64 images; own_data/model.safetensors: load() reads it")
