"""FID's Inception network in three conventions: TensorFlow's "inception-2015-12-05", ported to torch twice.

legacy: pytorch-fid's port, after torch's bilinear resize to 299 x 299, which does not antialias.
clean: the port that clean-fid uses (a TorchScript archive), after Pillow's bicubic resize of each channel in float32.
tensorflow: pytorch-fid's port after TensorFlow 1's own resize and scale, as in the network's graph: the convention of
the statistics that TTUR, EDM and OpenAI publish.
Networks and the order of their operations are those of these packages. Here they run on uint8 arrays, a whole batch at
a time, in channels_last memory and with batch normalisation folded into the convolutions; results are equal up to
rounding.

Features are pool3 (2048). Those for sFID are the first 7 channels of mixed_6/conv at 17 x 17 positions, channels last
(2023). Logits are the 1,008 of the last layer without its bias, as for the Inception score ("logits_unbiased" in
torch-fidelity). Sources: Heusel et al. 2017 (arXiv 1706.08500); Parmar et al. 2022 (arXiv 2104.11222); Salimans et al.
2016 (arXiv 1606.03498); Nash et al. 2021 (arXiv 2103.03841).
"""

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from genbench.errors import InputError
from genbench.features.extraction import Extractor
from genbench.features.published_weights import WeightFile, first_words, read_tensors
from genbench.files.artifacts import sha256_file

if TYPE_CHECKING:
    import torch

DIM = 2048
SIZE = 299
SPATIAL_CHANNELS = 7  # of 192: about as many features as in pool3
SPATIAL_DIM = SPATIAL_CHANNELS * 17 * 17

LEGACY_WEIGHTS = WeightFile(
    "pt_inception-2015-12-05-6726825d.pth",
    [
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    ],
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
CLEAN_WEIGHTS = WeightFile(
    "inception-2015-12-05.pt",
    ["https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt"],
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
)


def load_legacy(path: str, device: "torch.device | str") -> Extractor:
    """pytorch-fid's network and resize. path: weights in its format. Raises InputError for other files."""
    model, output = legacy_network(path)
    model.to(device).to(memory_format=_layout(device))
    output = output.to(device)

    def network(pixels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor | None"]:
        images = pixels.permute(0, 3, 1, 2).float() / 255  # (N, C, H, W) in [0, 1]; resized and scaled by the network
        images = images.expand(-1, 3, -1, -1).contiguous(memory_format=_layout(device))
        features = model(images)[0].flatten(1)
        return features, features @ output.T

    info = {"resize": f"torch bilinear to {SIZE}"}
    return Extractor("inception-legacy", DIM, sha256_file(path), network, batch_size=50, info=info)


def load_tensorflow(path: str, device: "torch.device | str") -> Extractor:
    """The same network, after TensorFlow's resize and scale. path: weights as for `load_legacy`."""
    model, output = legacy_network(path)
    model.to(device).to(memory_format=_layout(device))
    output = output.to(device)

    def network(pixels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor | None"]:
        images = as_tensorflow(pixels)
        for block in model.blocks:
            images = block(images)
        features = images.flatten(1)
        return features, features @ output.T

    info = {"resize": f"TensorFlow bilinear to {SIZE}"}
    return Extractor("inception-tensorflow", DIM, sha256_file(path), network, batch_size=50, info=info)


def load_spatial(path: str, device: "torch.device | str") -> Extractor:
    """Features for sFID, from the first half of the network of `load_tensorflow`."""
    model, _ = legacy_network(path)
    model.to(device).to(memory_format=_layout(device))
    middle = model.blocks[2]  # Mixed_5b to 5d, 6a to 6e: TensorFlow calls them mixed to mixed_7
    before, mixed_6 = middle[:6], middle[6]

    def network(pixels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor | None"]:
        images = before(model.blocks[1](model.blocks[0](as_tensorflow(pixels))))
        maps = mixed_6.branch1x1(images)[:, :SPATIAL_CHANNELS]  # (N, 7, 17, 17)
        return maps.permute(0, 2, 3, 1).flatten(1), None  # TensorFlow's layout

    info = {"resize": f"TensorFlow bilinear to {SIZE}", "layer": "mixed_6/conv"}
    return Extractor("inception-spatial", SPATIAL_DIM, sha256_file(path), network, batch_size=50, info=info)


def as_tensorflow(pixels: "torch.Tensor") -> "torch.Tensor":
    """From uint8 (N, H, W, C) to the input of the published graph's first convolution: (N, 3, 299, 299) in [-1, 1]."""
    from genbench.features.resizing import resize, tensorflow_matrix  # and with it Pillow

    return (resize(pixels, SIZE, SIZE, matrix=tensorflow_matrix) - 128) / 128


def _layout(device: "torch.device | str") -> "torch.memory_format":
    from genbench.tensors import image_layout

    return image_layout(device)


def legacy_network(path: str) -> "tuple[Any, torch.Tensor]":
    """pytorch-fid's InceptionV3 with the weights at `path`, folded, and the last layer's weights (1008, 2048)."""
    from pytorch_fid import inception
    from torch.nn import Identity
    from torch.nn.utils.fusion import fuse_conv_bn_eval
    from torchvision.models.inception import BasicConv2d

    state = read_tensors(path)
    try:
        with patch.object(inception, "load_state_dict_from_url", lambda url, progress: state):  # prevents a download
            model = inception.InceptionV3().eval()
    except RuntimeError as error:
        raise InputError(f"{path}: not the weights of pytorch-fid's Inception ({first_words(error)})") from None
    for module in model.modules():
        if isinstance(module, BasicConv2d):
            module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), Identity()
    return model.requires_grad_(False), state["fc.weight"]


def load_clean(path: str, device: "torch.device | str") -> Extractor:
    """clean-fid's network and resize. path: a TorchScript archive like its own, which is code: verify it first.

    Raises InputError if it is not such an archive.
    """
    from genbench.features.resizing import resize

    model, output = clean_network(path, device)

    def network(pixels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor | None"]:
        features = model(resize(pixels, SIZE, SIZE))
        return features, features @ output.T

    info = {"resize": f"Pillow bicubic to {SIZE}"}
    return Extractor("inception-clean", DIM, sha256_file(path), network, batch_size=50, info=info)


def clean_network(path: str, device: "torch.device | str") -> "tuple[Any, torch.Tensor]":
    """clean-fid's network from the archive at `path`, frozen, and the last layer's weights (1008, 2048)."""
    import torch
    from cleanfid.inception_torchscript import InceptionV3W

    if not Path(path).exists():
        raise InputError(f"{path}: no such file")
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)  # the published format is TorchScript
            # clean-fid takes a folder and expects the file there under its own name.
            Path(folder, CLEAN_WEIGHTS.name).symlink_to(Path(path).resolve())
            model = InceptionV3W(folder, download=False)
            output = model.base.output.weight.detach().to(device)
            model = model.to(device).to(memory_format=_layout(device)).eval().requires_grad_(False)
            model.layers = torch.jit.freeze(model.layers)
    except (RuntimeError, AttributeError) as error:
        raise InputError(f"{path}: not a TorchScript archive like clean-fid's ({first_words(error)})") from None
    return model, output
