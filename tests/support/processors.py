"""Processors that do or do not multiply bfloat16 and float16 natively, whatever this machine has."""

from types import SimpleNamespace

import pytest
import torch


def pretend(patch: pytest.MonkeyPatch, *, bf16: bool, fp16: bool = False) -> None:
    """Make this machine's processor claim that it multiplies these natively, or that it does not."""
    patch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    patch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bf16)
    patch.setattr(torch.ops.mkldnn, "_is_mkldnn_fp16_supported", lambda: fp16)


def pretend_apple(patch: pytest.MonkeyPatch) -> None:
    """Make PyTorch look as on a Mac with Apple's processor: without oneDNN, and without the operations about it."""
    pretend(patch, bf16=False)
    patch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    patch.setattr(torch.ops, "mkldnn", SimpleNamespace())
