"""genbench: a reproducible benchmark of image generative models.

load_suite  loads a suite by its name or file: a data set, models, and how each is trained
build       builds an untrained model of a suite
train       trains a model of a suite as the workflow does
load        loads a trained model from its file, or from another project's checkpoint
sample      draws images from a trained model: image i is a function of seed i
show        arranges images in one picture
evaluate    compares images with real ones: FID, KID, precision and more
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genbench.api import build, load, load_suite, sample, show, train
    from genbench.evaluation import evaluate

if sys.platform == "darwin":  # the processor computes what torch lacks on Apple's GPU; torch reads it at its import
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

__version__ = "0.1.0"
__all__ = ["build", "evaluate", "load", "load_suite", "sample", "show", "train"]


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that `import genbench` takes less than a second and does not load torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("genbench.evaluation" if name == "evaluate" else "genbench.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
