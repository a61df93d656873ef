"""DINOv2's transformer: features of another implementation, names in the published files, and refused weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.models.vision_transformer import EncoderBlock

from genbench.errors import InputError
from genbench.features import EXTRACTORS, extract, load_extractor
from genbench.networks.vision_transformer import VisionTransformer

DIM, HEADS = 128, 2


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Random weights of a small transformer, with the names and shapes of the published files."""
    torch.manual_seed(0)
    model = VisionTransformer(dim=DIM, depth=2, heads=HEADS, grid=37, patch=14)
    return {name: torch.randn_like(value) * 0.2 for name, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def weights(state, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("dinov2") / "weights.pth"
    torch.save(state, path)
    return path


def reference(state: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """The same transformer built from torchvision's blocks, with each branch's scale in its last weights."""
    x = F.conv2d(images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=14)
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x.flatten(2).mT], dim=1)
    grid = state["pos_embed"][0, 1:].T.reshape(1, DIM, 37, 37)
    grid = F.interpolate(grid, scale_factor=16.1 / 37, mode="bicubic")
    x = x + torch.cat([state["pos_embed"][:, :1], grid.flatten(2).mT], dim=1)
    for i in range(2):
        of = {name.removeprefix(f"blocks.{i}."): v for name, v in state.items() if name.startswith(f"blocks.{i}.")}
        for branch, scale in (("attn.proj", "ls1.gamma"), ("mlp.fc2", "ls2.gamma")):
            of[f"{branch}.weight"] = of[f"{branch}.weight"] * of[scale][:, None]
            of[f"{branch}.bias"] = of[f"{branch}.bias"] * of[scale]
        names = {"ln_1": "norm1", "ln_2": "norm2", "mlp.0": "mlp.fc1", "mlp.3": "mlp.fc2"}
        names |= {"self_attention.out_proj": "attn.proj"}
        block = EncoderBlock(HEADS, DIM, 4 * DIM, 0, 0).eval()
        block.load_state_dict(
            {f"{to}.{kind}": of[f"{name}.{kind}"] for to, name in names.items() for kind in ("weight", "bias")}
            | {f"self_attention.in_proj_{kind}": of[f"attn.qkv.{kind}"] for kind in ("weight", "bias")}
        )
        x = block(x)
    norm = nn.LayerNorm(DIM, 1e-6)
    norm.load_state_dict({kind: state[f"norm.{kind}"] for kind in ("weight", "bias")})
    return norm(x)[:, 0]


def test_features_are_those_of_torchvisions_blocks_on_pillows_images(state, weights):
    images = np.random.default_rng(0).integers(0, 256, size=(5, 32, 32, 3), dtype=np.uint8)
    resized = [Image.fromarray(image).resize((224, 224), Image.Resampling.BICUBIC) for image in images]
    pictures = torch.stack([torch.from_numpy(np.array(image)) for image in resized]).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.inference_mode():
        expected = reference(state, (pictures - mean) / std).numpy()
    extractor = load_extractor(f"dinov2:{weights}", any_weights=True)
    found, logits = extract(images, extractor, batch_size=2)
    assert logits is None
    assert found.shape == (5, extractor.dim) == (5, DIM)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert extractor.name == "dinov2-unofficial"


def test_positions_learnt_for_the_size_are_taken_as_they_are(state, weights):
    model = VisionTransformer(dim=DIM, depth=2, heads=HEADS, grid=37, patch=14)
    model.load_state_dict(state)
    assert model.positions(37) is model.pos_embed
    assert model.positions(16).shape == (1, 1 + 16 * 16, DIM)


def test_the_published_file_has_these_names_and_shapes():
    with torch.device("meta"):
        model = VisionTransformer(dim=EXTRACTORS["dinov2"].dim, depth=24, heads=16, grid=37, patch=14)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert len(shapes) == 343
    assert (
        sum(map(torch.Size.numel, map(torch.Size, shapes.values()))) == 304_368_640
    )  # the published 1,217,586,395 bytes
    assert shapes["pos_embed"] == (1, 1370, 1024)
    assert shapes["mask_token"] == (1, 1024)
    assert shapes["blocks.23.attn.qkv.weight"] == (3072, 1024)
    assert shapes["blocks.0.ls1.gamma"] == shapes["norm.bias"] == (1024,)


def test_other_weights_are_refused(state, weights, tmp_path):
    with pytest.raises(InputError, match=r"found SHA-256 \w{64}, expected d5383ea8\w{56} of the published dinov2"):
        load_extractor(f"dinov2:{weights}")
    path = tmp_path / "weights.pth"
    changes = [("norm.bias", None), ("pos_embed", torch.zeros(1, 4, DIM)), ("patch_embed.proj.weight", torch.zeros(3))]
    for name, value in changes:
        other = state | {name: value}
        torch.save({key: tensor for key, tensor in other.items() if tensor is not None}, path)
        with pytest.raises(InputError, match="not the weights of a DINOv2 transformer"):
            load_extractor(f"dinov2:{path}", any_weights=True)
