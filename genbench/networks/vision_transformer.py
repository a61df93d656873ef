"""The vision transformer of DINOv2: pre-norm blocks whose branches are scaled by a learned vector.

Sources: Dosovitskiy et al. 2021 (arXiv 2010.11929); Oquab et al. 2024 (arXiv 2304.07193); the scales are those of
Touvron et al. 2021 (arXiv 2103.17239). Parameters have the names of DINOv2's published files.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-6  # of the layer norms
OFFSET = 0.1  # DINOv2 enlarges the grid of positions by this share of a patch before it interpolates


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (N, heads, T, D / heads)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).flatten(2))  # (N, T, D)


class Mlp(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, EPSILON)
        self.attn = Attention(dim, heads)
        self.ls1 = LayerScale(dim)
        self.norm2 = nn.LayerNorm(dim, EPSILON)
        self.mlp = Mlp(dim)
        self.ls2 = LayerScale(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    def __init__(self, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).flatten(2).transpose(1, 2)  # (N, patches, D)


class VisionTransformer(nn.Module):
    """grid: patches per side for which the positions were learned, 37 in DINOv2 (518 pixels, patches of 14)."""

    def __init__(self, *, dim: int, depth: int, heads: int, grid: int, patch: int) -> None:
        super().__init__()
        self.grid, self.patch = grid, patch
        self.patch_embed = PatchEmbed(dim, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid**2, dim))
        self.mask_token = nn.Parameter(torch.zeros(1, dim))  # used only in training, but in the published files
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, EPSILON)

    def positions(self, side: int) -> Tensor:
        """The embeddings of the positions of the class token and of side x side patches, (1, 1 + side^2, D)."""
        if side == self.grid:
            return self.pos_embed
        learned = self.pos_embed[:, 1:].unflatten(1, (self.grid, self.grid)).permute(0, 3, 1, 2)  # (1, D, grid, grid)
        scale = (side + OFFSET) / self.grid
        patches = F.interpolate(learned, scale_factor=(scale, scale), mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], patches.flatten(2).transpose(1, 2)], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """The class token after the last norm, (N, D), for normalised square images (N, 3, S, S)."""
        x = self.patch_embed(images)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = self.blocks(x + self.positions(images.shape[-1] // self.patch))
        return self.norm(x)[:, 0]
