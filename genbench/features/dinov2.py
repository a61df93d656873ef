"""DINOv2 ViT-L/14: features learned without labels, whose distances agree better with people than Inception's.

FD-DINOv2 as in Stein et al. 2023 (arXiv 2306.04675) and their package dgm-eval: the class token (1024) of images of
224 x 224. Weights and network: Oquab et al. 2024 (arXiv 2304.07193). The network is built here, and no downloaded code
is executed.
"""

from typing import TYPE_CHECKING

from genbench.errors import InputError
from genbench.features.extraction import Extractor
from genbench.features.published_weights import WeightFile, first_words, read_tensors
from genbench.files.artifacts import sha256_file

if TYPE_CHECKING:
    import torch

    from genbench.networks.vision_transformer import VisionTransformer

DIM = 1024
SIZE = 224
HEAD = 64  # dimensions of an attention head, in every published size
MEAN = (0.485, 0.456, 0.406)  # mean and, below, standard deviation of ImageNet's images in [0, 1]
STD = (0.229, 0.224, 0.225)

WEIGHTS = WeightFile(
    "dinov2_vitl14_pretrain.pth",
    ["https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth"],
    "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
)


def load(path: str, device: "torch.device | str") -> Extractor:
    """The class token of the transformer with the weights at `path`, which determine its size.

    Images of any size are resized to 224 x 224 by Pillow's bicubic filter and rounded to whole levels, as dgm-eval does
    by default, and normalised by ImageNet's statistics; grey is repeated to three channels.
    Raises InputError if the file does not contain such weights.
    """
    import torch

    from genbench.features.resizing import resize

    model = build(path).to(device)
    dim = model.pos_embed.shape[2]
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, STD))

    def network(pixels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor | None"]:
        return model((resize(pixels, SIZE, SIZE, rounded=True) / 255 - mean) / std), None

    info = {"resize": f"Pillow bicubic to {SIZE}, rounded"}
    return Extractor("dinov2", dim, sha256_file(path), network, batch_size=50, info=info)


def build(path: str) -> "VisionTransformer":
    """The transformer of a published file. Raises InputError if it belongs to another network."""
    from genbench.networks.vision_transformer import VisionTransformer

    state = read_tensors(path)
    try:
        dim, _, patch, _ = state["patch_embed.proj.weight"].shape
        grid = round((state["pos_embed"].shape[1] - 1) ** 0.5)
        depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
        model = VisionTransformer(dim=dim, depth=depth, heads=dim // HEAD, grid=grid, patch=patch)
        model.load_state_dict(state)
    except (KeyError, ValueError, IndexError, ZeroDivisionError, RuntimeError) as error:
        raise InputError(f"{path}: not the weights of a DINOv2 transformer ({first_words(error)})") from None
    return model.eval().requires_grad_(False)
