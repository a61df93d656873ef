"""FID, KID, precision and more of two sets of images: python examples/fid_of_two_folders.py FAKE REAL [FEATURES...]

FAKE and REAL are each a folder, an archive or an npz of images. FEATURES are inception-clean (clean-fid's FID),
inception-legacy (pytorch-fid's), dinov2 or efficientnet; the first three download their weights. The same from a shell:
genbench evaluate.
"""

import sys

from genbench import evaluate

fake, real, *features = sys.argv[1:]
evaluation = evaluate(fake, real, features=features or None)
for line in [*evaluation.missing, *evaluation.warnings]:
    print(line)  # weights that are unavailable, metrics that need more images
print(evaluation.table[["label", "value", "n_fake", "n_real"]].to_string())
