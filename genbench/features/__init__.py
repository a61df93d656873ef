"""Images to features: the networks whose features are compared, and the files of features.

Features are computed once for each set of images, in exact float32, and stored with the hashes of the images and of the
network's weights. Each extractor is one file. Torch is imported only where a network runs: evaluation reads the files
of features without it.
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
