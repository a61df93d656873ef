"""genbench: a reproducible benchmark of image generative models."""

__version__ = "0.1.0"
