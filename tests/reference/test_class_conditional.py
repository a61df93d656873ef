"""Class-conditional checkpoints of OpenAI and of diffusers: outputs and samples by class, and refused files."""

import json
from pathlib import Path

import diffusers
import pytest
import torch
from official_class_conditional import CLASSES, NETWORKS, SIZE, T, inputs
from official_ddgan import weights
from official_improved_diffusion import Draws

from genbench.errors import InputError
from genbench.importing import read_checkpoint
from genbench.importing.improved_diffusion import official_shapes
from genbench.models import build
from genbench.models.diffusion import Diffusion
from genbench.networks.unet import UNet

EXPECTED = json.loads((Path(__file__).parents[1] / "support/data/class_conditional.json").read_text(encoding="utf-8"))
PROCESS = {"image_size": SIZE, "timesteps": T, "schedule": "cosine"}
SMALL = {
    "sample_size": 16, "block_out_channels": (32, 64), "norm_num_groups": 16, "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip


def model_of(format: str, path: Path, **options: object) -> Diffusion:
    imported = read_checkpoint(format, path, **options)
    model = build(imported.model, imported.image_shape)
    model.load_state_dict(imported.tensors)
    assert isinstance(model, Diffusion)
    return model.eval()


def openai_model(name: str, folder: Path) -> Diffusion:
    """Return our model of one of NETWORKS, imported from a file in OpenAI's format."""
    options = NETWORKS[name]
    blocks = {"resample": "block", "head_channels": 16} if options.get("resblock_updown") else {"num_heads": 4}
    with torch.device("meta"):
        unet = UNet(
            image_shape=(3, SIZE, SIZE), out_channels=6, channels=32, channel_mult=[1, 2, 2], num_res_blocks=1,
            attention_resolutions=[8], scale_shift_norm=True, num_classes=CLASSES, **blocks,
        )  # fmt: skip
    torch.save(weights(official_shapes(unet)), folder / "ema_0.9999_000100.pt")
    given: dict[str, object] = {"rescale_timesteps": False}  # their functions' default
    if options.get("resblock_updown"):
        given |= {"num_head_channels": 16, "use_new_attention_order": True}
    return model_of(f"{name.partition(',')[0]}-diffusion", folder / "ema_0.9999_000100.pt", **PROCESS, **given)


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_it_answers_and_draws_as_openai_s_did(name: str, tmp_path: Path) -> None:
    model = openai_model(name, tmp_path)
    x_t, t, y = inputs()
    found = model.denoiser(x_t, t, model.multi_hot(y))[:, :, ::3, ::3]
    torch.testing.assert_close(found, torch.tensor(EXPECTED[name]["answers"]), rtol=0, atol=3e-5)
    samples = model.sample(Draws(4))[:, :, ::3, ::3]  # seed i has class i mod 3
    torch.testing.assert_close(samples, torch.tensor(EXPECTED[name]["samples"]), rtol=0, atol=2e-4)
    assert model.num_classes == CLASSES
    with pytest.raises(InputError, match=r"key 'guidance': found 2\.0, but label_dropout is 0"):
        model.check_sampler({"guidance": 2.0})


@pytest.mark.parametrize("kind", [None, "timestep"])
@torch.no_grad()
def test_a_unet2d_with_classes_answers_as_diffusers(kind: str | None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(**SMALL, class_embed_type=kind, num_class_embeds=None if kind else 5).eval()
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler()).save_pretrained(tmp_path)
    model = model_of("diffusers", tmp_path, **({"num_classes": 5} if kind else {}))
    x_t, t, y = 2 * torch.rand(4, 3, 16, 16) - 1, torch.tensor([0, 3, 500, 999]), torch.tensor([4, 0, 2, 1])
    expected = unet(x_t, t, class_labels=y).sample
    torch.testing.assert_close(model.denoiser(x_t, t, model.multi_hot(y)), expected, rtol=0, atol=2e-5)
    assert (expected - unet(x_t, t, class_labels=y.flip(0)).sample).abs().max() > 1e-3
    assert model.num_classes == 5


@torch.no_grad()
def test_a_unet2d_inside_a_module_that_embeds_several_labels(tmp_path: Path) -> None:
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(**SMALL, class_embed_type="identity").eval()
    whole = torch.nn.ModuleDict({"model": unet, "embed": torch.nn.Linear(24, 128)})
    unet.save_config(tmp_path)
    torch.save(whole.state_dict(), tmp_path / "diffusion_pytorch_model.bin")
    process = {"timesteps": 10, "schedule": "linear", "prediction": "eps", "num_classes": 24}
    model = model_of("diffusers", tmp_path, label_layer="embed", **process)
    x_t, t = 2 * torch.rand(4, 3, 16, 16) - 1, torch.tensor([0, 3, 500, 999])
    labels = (torch.rand(4, 24) < 0.1).float()
    expected = unet(x_t, t, class_labels=whole["embed"](labels)).sample
    torch.testing.assert_close(model.denoiser(x_t, t, labels), expected, rtol=0, atol=2e-5)
    with pytest.raises(InputError, match="key 'class_embed_type': found 'identity', and no option label_layer"):
        model_of("diffusers", tmp_path, **process)
    with pytest.raises(InputError, match=r"missing class_embedding\.weight"):
        model_of("diffusers", tmp_path, label_layer="labels", **process)


def test_classes_that_are_not_said_or_not_there_are_refused(tmp_path: Path) -> None:
    diffusers.UNet2DModel(**SMALL, class_embed_type="timestep").save_pretrained(tmp_path / "timestep")
    diffusers.UNet2DModel(**SMALL).save_pretrained(tmp_path / "none")
    process = {"timesteps": 10, "schedule": "linear", "prediction": "eps"}
    with pytest.raises(
        InputError, match=r"does not say num_classes \(num_class_embeds is null\); expected it as an opt"
    ):
        read_checkpoint("diffusers", tmp_path / "timestep", **process)
    with pytest.raises(InputError, match="option num_classes: found 5, but this network has no classes"):
        read_checkpoint("diffusers", tmp_path / "none", **process, num_classes=5)
