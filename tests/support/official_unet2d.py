"""Small networks of diffusers with different options."""

import diffusers
import torch

SMALL: dict[str, dict] = {
    "Ho et al.": {
        "block_out_channels": (32, 64, 64),
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1, "norm_eps": 1e-6,
        "attention_head_dim": None, "norm_num_groups": 16,
    },
    "defaults of diffusers": {
        "in_channels": 1, "out_channels": 1, "block_out_channels": (32, 64, 96, 128),
    },
    "scale and shift": {
        "block_out_channels": (32, 48),
        "down_block_types": ("AttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "AttnUpBlock2D"),
        "resnet_time_scale_shift": "scale_shift", "norm_num_groups": 16, "layers_per_block": 1, "dropout": 0.1,
    },
    "scale and shift, attention normalised": {
        "block_out_channels": (32, 64),
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "resnet_time_scale_shift": "scale_shift", "attn_norm_num_groups": 32, "attention_head_dim": 16,
    },
    "odd attention and times": {
        "block_out_channels": (32, 48, 32),
        "down_block_types": ("AttnDownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        "norm_num_groups": 8, "layers_per_block": 1, "add_attention": False, "freq_shift": 2,
    },
    "learned variance": {
        "out_channels": 6, "block_out_channels": (32,),
        "down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "flip_sin_to_cos": False,
    },
}  # fmt: skip


def unet2d(name: str) -> diffusers.UNet2DModel:
    """Return one of them for 16x16 images; no layer keeps its initial zeros or ones, which would hide errors."""
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(sample_size=16, **SMALL[name]).eval()
    with torch.no_grad():
        for parameter in unet.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return unet
