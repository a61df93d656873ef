"""The suite calibration: it is checked with small files in the same formats; without files, one line names them all."""

from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from official_ddgan import weights
from official_unet2d import SMALL

from genbench.errors import InputError
from genbench.importing.improved_diffusion import official_shapes as improved_shapes
from genbench.importing.nvlabs_ddgan import official_shapes as ddgan_shapes
from genbench.networks import ncsnpp
from genbench.networks.unet import UNet
from genbench.suites.load import find_suite, load_suite
from genbench.suites.preflight import check_suite, preflight

PATH = find_suite("calibration")
SHAPE = (3, 32, 32)
FID = "fid_tensorflow_published"


def save_published(folder: Path) -> None:
    """Save the suite's files for small networks, as DDPMPipeline, OpenAI and the authors of DDGAN write them."""
    unet = diffusers.UNet2DModel(sample_size=32, **SMALL["Ho et al."])
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler(variance_type="fixed_large")).save_pretrained(
        folder / "ddpm-cifar10-32"
    )
    options = {"channels": 8, "channel_mult": [1, 2], "num_res_blocks": 1, "attention_resolutions": [16]}
    generator = ncsnpp.Generator(image_shape=SHAPE, latent_size=8, latent_embedding=12, latent_layers=2, **options)
    state = {f"module.{name}": value for name, value in weights(ddgan_shapes(generator)).items()}
    torch.save(state, folder / "netG_1200.pth")
    with torch.device("meta"):
        network = UNet(image_shape=SHAPE, out_channels=6, scale_shift_norm=True, **options | {"channels": 32})
    np.savez(folder / "fid_stats_cifar10_train.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    for name in ("cifar10_uncond_50M_500K.pt", "cifar10_uncond_vlb_50M_500K.pt"):
        torch.save(weights(improved_shapes(network)), folder / name)


def test_published_files_go_through_preflight_and_their_figures_into_the_plan(tmp_path: Path) -> None:
    save_published(tmp_path)
    plan = preflight(load_suite(PATH), str(tmp_path), str(PATH))
    nfe = {name: {key: sampler.nfe for key, sampler in entry.samplers.items()} for name, entry in plan.models.items()}
    assert nfe["ddpm"] == {
        "ddpm-1000": 1000,
        "ddim-10": 10,
        "ddim-20": 20,
        "ddim-50": 49,
        "ddim-100": 96,
    }  # some times coincide
    assert (nfe["ddgan"], nfe["iddpm-hybrid"]) == ({"default": 4}, {"all-4000": 4000})
    figures = {
        (name, figure.quantity, figure.sampler): figure.value
        for name, entry in plan.models.items()
        for figure in entry.published
    }
    assert figures["ddpm", FID, "ddpm-1000"] == 3.17
    assert figures["ddpm", FID, "ddim-10"] == 13.36
    assert figures["ddgan", FID, "default"] == 3.75
    assert figures["iddpm-hybrid", FID, "all-4000"] == 3.19


def test_all_files_that_are_missing_stand_in_one_line_with_where_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "netG_1200.pth").touch()
    suite = load_suite(PATH)
    with pytest.raises(InputError) as found:
        check_suite(suite, str(tmp_path), "calibration.yaml")
    said = str(found.value)
    assert said.startswith(f"calibration.yaml: files: {len(suite['files']) - 1} missing, to be put into {tmp_path}: ")
    assert "\n" not in said
    for name, where in suite["files"].items():
        assert (f"{name} (from {where})" in said) == (name != "netG_1200.pth")


def test_the_suite_lists_where_to_get_all_that_it_names() -> None:
    suite = load_suite(PATH)
    named = {entry["pretrained"]["path"] for entry in suite["models"].values()}
    assert named | set(suite["evaluation"]["statistics"].values()) == suite["files"].keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"quantity": "fid_clean"},
            r"models: ddpm: published: quantity: found 'fid_clean'.*one of:.*fid_legacy",
        ),
        ({"sampler": "ddim-11"}, r"models: ddpm: published: fid_legacy: sampler: found 'ddim-11'"),
        ({"step": 5}, r"models: ddpm: published: fid_legacy: key 'step': found 5, expected one of snapshots"),
        ({"images": 5}, r"fid_legacy: found seconds without images, or images without seconds"),
        ({"quantity": "loss"}, r"published: loss: found a figure of a training, but nothing is trained here"),
    ],
)
def test_figures_of_what_there_will_not_be_are_refused(change: dict, message: str, tmp_path: Path) -> None:
    suite = load_suite(PATH)
    figure = {"quantity": "fid_legacy", "value": 3.0, "source": "x"} | change
    suite["models"] = {"ddpm": suite["models"]["ddpm"] | {"published": [figure]}}
    suite["files"] = {}
    np.savez(tmp_path / "fid_stats_cifar10_train.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    with pytest.raises(InputError, match=message):
        check_suite(suite, str(tmp_path), "calibration.yaml")
