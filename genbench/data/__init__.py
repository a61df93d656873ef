"""The data sets: from an entry of a suite to uint8 images, split into train and test.

There is one file per source (demo, idx, cifar, cub, shapes, iclevr, folder). Each has a function whose keyword-only
options are the entry's schema. `describe` describes the data set of an entry before it is prepared, `prepare` returns
its images, and `prepare_data` writes them. Nothing here imports torch.
"""

from genbench.data.datasets import SOURCES, default_name, describe, open_dataset, prepare
from genbench.data.description import Dataset, Description
from genbench.data.image_set import ImageSet, choose, load_image_set, make_image_set, save_image_set
from genbench.data.prepared import prepare_data
from genbench.data.samples import load_images, load_labels, save_samples

__all__ = [
    "SOURCES",
    "Dataset",
    "Description",
    "ImageSet",
    "choose",
    "default_name",
    "describe",
    "load_image_set",
    "load_images",
    "load_labels",
    "make_image_set",
    "open_dataset",
    "prepare",
    "prepare_data",
    "save_image_set",
    "save_samples",
]
