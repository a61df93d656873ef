"""Images to features: the networks in whose eyes real and generated images are compared, and the files between.

Features are computed once for each set of images, in float32 and without shortcuts, and kept with the hashes of the
images and of the network's weights. One file for each extractor. Torch is imported only where a network runs:
evaluation reads these files without.
"""

from genbench.features.extraction import Extractor, ExtractorKind, extract
from genbench.features.extractors import EXTRACTORS, load_extractor
from genbench.features.files import load_features, save_features
from genbench.features.guards import check_images

__all__ = [
    "EXTRACTORS",
    "Extractor",
    "ExtractorKind",
    "check_images",
    "extract",
    "load_extractor",
    "load_features",
    "save_features",
]
