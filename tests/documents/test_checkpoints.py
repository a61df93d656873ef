"""docs/checkpoints.md lists every option of the programs that write checkpoints, and of the formats that read them."""

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import diffusers
import pytest
from entries import MODELS

from genbench.importing import FORMATS
from genbench.importing.diffusers_config import SamplingConfig, SchedulerConfig, UNet2DConfig
from genbench.importing.nvlabs_ddgan import FIXED
from genbench.models.diffusion import Diffusion
from genbench.networks.unet import UNet
from genbench.schema import keywords

TEXT = (Path(__file__).parents[2] / "docs/checkpoints.md").read_text(encoding="utf-8")


def names(text: str) -> set[str]:
    """Return the single words in code style."""
    return set(re.findall(r"`([A-Za-z_]\w*)`", text))


def listed(heading: str, column: int = 0) -> set[str]:
    """Return the names in a column of the first table below a heading."""
    found = re.search(rf"^#+ {re.escape(heading)}.*?\n((?:\|[^\n]*\n)+)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, heading
    return {name for row in found[1].splitlines()[2:] for name in names(row.split(" | ")[column])}


def arguments(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self", "image_shape"}


@pytest.mark.parametrize("format", FORMATS)
def test_every_option_of_a_format_is_in_its_row(format: str) -> None:
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{format}` |"))
    assert names(row.split(" | ")[3]) == keywords(FORMATS[format]).keys() - {"key"}


def test_every_key_of_a_network_of_diffusers_is_listed() -> None:
    found = listed("`diffusers`: config.json of a UNet2DModel")
    assert arguments(diffusers.UNet2DModel) <= found
    assert {field.name for field in fields(UNet2DConfig)} <= found


def test_every_key_of_a_scheduler_of_diffusers_is_listed() -> None:
    found = listed("`diffusers`: scheduler_config.json")
    assert arguments(diffusers.DDPMScheduler) | arguments(diffusers.DDIMScheduler) <= found | {"predict_epsilon"}
    known = {field.name for kind in (SchedulerConfig, SamplingConfig) for field in fields(kind)}
    assert known - {"predict_epsilon"} <= found  # the page lists this one together with its value


def test_every_option_of_ddgan_that_must_be_the_default_is_listed() -> None:
    assert FIXED.keys() <= listed("`ddgan`: the flags of its authors' train_ddgan.py")


def test_every_key_of_a_model_that_is_exported_is_listed() -> None:
    assert arguments(UNet) | arguments(Diffusion) == listed("The other way") - {"bare"}
    assert MODELS["ddpm"]["denoiser"].keys() - {"class"} <= listed("The other way")
