"""R3GAN's networks and losses, to compare with ours: weights by formula for both, and the authors' code if available.

    python tests/support/official_r3gan.py CHECKOUT tests/support/data/r3gan.json

writes the outputs of the authors' code, from a checkout of github.com/brownvc/R3GAN (whose licence keeps it out of this
repository). Tests compare ours with this file, without the checkout.
"""

import json
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import packaging.version
import torch
from official_ddgan import uniform, weights
from torch import Tensor, nn

from genbench.models import Batch, build
from genbench.processes.noise import Noise

LATENT_SIZE, GAMMA, BLOCKS, EXPANSION = 64, 0.5, 2, 2
# The generator's widths, smallest side first, and the cardinality of each.
TINY: dict[str, list[int]] = {"widths": [16, 12, 12, 8], "cardinality": [8, 6, 6, 4]}
CIFAR10: dict[str, list[int]] = {"widths": [768] * 4, "cardinality": [96] * 4}
FFHQ_64: dict[str, list[int]] = {"widths": [768] * 4 + [384], "cardinality": [96] * 4 + [48]}
LAYERS = {
    "widen.weight": "LinearLayer1.Layer.weight",
    "widen.bias": "NonLinearity1.Bias",
    "conv.weight": "LinearLayer2.Layer.weight",
    "conv.bias": "NonLinearity2.Bias",
    "narrow.weight": "LinearLayer3.Layer.weight",
}


def entry(options: Mapping[str, list[int]]) -> dict[str, Any]:
    """Our entry of the whole GAN."""
    widths, cardinality = options["widths"], options["cardinality"]
    group_width = EXPANSION * widths[0] // cardinality[0]
    return {
        "class": "gan.GAN", "objective": "relativistic", "penalty": {"name": "r1+r2", "gamma": GAMMA},
        "latent_size": LATENT_SIZE,
        "generator": {"class": "r3gan.Generator", "channels": widths, "group_width": group_width},
        "discriminator": {"class": "r3gan.Discriminator", "channels": widths[::-1], "group_width": group_width},
    }  # fmt: skip


def image_shape(options: Mapping[str, list[int]]) -> tuple[int, int, int]:
    side = 4 * 2 ** (len(options["widths"]) - 1)
    return 3, side, side


def model_weights(model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Weights by formula for both networks, by our names, even in layers that training begins at zero."""
    return {
        name: weights({key: tuple(p.shape) for key, p in getattr(model, name).named_parameters()})
        for name in ("generator", "discriminator")
    }


def batch(options: Mapping[str, list[int]]) -> Batch:
    """Four real images, and the noise from which latents are drawn."""
    real = uniform("real", (4, *image_shape(options)))
    return Batch(real, torch.zeros(4, dtype=torch.int64), Noise(torch.arange(4), key=3))


def their_name(name: str, network: str, sides: int) -> str:
    """Return their name of a tensor of our generator or discriminator."""
    generator = network == "generator"
    kind, _, rest = name.partition(".")
    if kind == "stages":
        side, block, layer = rest.split(".", 2)
        return f"MainLayers.{side}.Layers.{int(block) + generator}.{LAYERS[layer]}"
    transition = 0 if generator else BLOCKS  # its place in a stage
    if kind == "between":
        return f"MainLayers.{int(rest[0]) + generator}.Layers.{transition}.LinearLayer.Layer.weight"
    if kind in ("basis", "linear"):
        own = {"basis": "Basis" if generator else "Basis.weight", "linear": "LinearLayer.weight"}
        return f"MainLayers.{0 if generator else sides - 1}.Layers.{transition}.{own[kind]}"
    return {"to_images": "AggregationLayer", "from_images": "ExtractionLayer"}[kind] + ".Layer.weight"


def official_networks(
    repository: str, options: Mapping[str, list[int]], states: Mapping[str, Mapping[str, Tensor]]
) -> tuple[dict[str, nn.Module], type]:
    """The authors' generator and discriminator with these weights by our names, and their class of losses."""
    pkg_resources = types.SimpleNamespace(parse_version=packaging.version.parse)  # setuptools no longer has it
    with mock.patch.dict(sys.modules, pkg_resources=pkg_resources), mock.patch.object(sys, "path", [*sys.path]):
        sys.modules.pop("torch_utils", None)  # may be another checkout's
        sys.path.insert(0, repository)
        from R3GAN.Networks import Discriminator, Generator
        from R3GAN.Trainer import AdversarialTraining
    widths, groups, blocks = options["widths"], options["cardinality"], [BLOCKS] * len(options["widths"])
    networks = {
        "generator": Generator(LATENT_SIZE, widths, groups, blocks, EXPANSION),
        "discriminator": Discriminator(widths[::-1], groups[::-1], blocks, EXPANSION),
    }
    for network, state in states.items():
        renamed = {their_name(name, network, len(widths)): value for name, value in state.items()}
        found = networks[network].load_state_dict(renamed, strict=False)
        assert not found.unexpected_keys
        assert all(name.endswith("Resampler.Kernel") for name in found.missing_keys)
    return networks, AdversarialTraining


def official_answers(repository: str, options: Mapping[str, list[int]]) -> dict[str, Any]:
    """Return their generator's images (4, 3, H, W), their discriminator's logits (4,) for real images, and losses.

    Also returns the norms of the gradients of the discriminator's loss with penalties and of the generator's loss,
    by our names of the tensors.
    """
    with torch.device("meta"):
        model = build(entry(options), image_shape(options))
    networks, training = official_networks(repository, options, model_weights(model))
    noise, x = batch(options).noise, batch(options).x0
    generator, discriminator = networks["generator"], networks["discriminator"]
    trainer = training(lambda z, _: generator(z), lambda x, _: discriminator(x))
    loss, _, r1, r2 = trainer.AccumulateDiscriminatorGradients(noise.normal(LATENT_SIZE), x, None, GAMMA)
    penalty = GAMMA / 2 * (r1 + r2).mean()
    found: dict[str, Any] = {"discriminator": loss.mean() + penalty, "penalty": penalty}
    discriminator.requires_grad_(False)
    generator.zero_grad()
    loss, _ = trainer.AccumulateGeneratorGradients(noise.normal(LATENT_SIZE), x, None)
    found["generator"] = loss.mean()
    found["gradients"] = {
        f"{name}.{key}": networks[name].get_parameter(their_name(key, name, len(options["widths"]))).grad.norm()
        for name in networks
        for key, _ in getattr(model, name).named_parameters()
    }
    with torch.no_grad():
        return found | {"images": generator(batch(options).noise.normal(LATENT_SIZE)), "logits": discriminator(x)}


def as_numbers(found: Any) -> Any:
    """Return tensors as numbers with six digits; for images, every third pixel in both directions."""
    if isinstance(found, Mapping):
        return {name: as_numbers(value) for name, value in found.items()}
    if found.ndim:
        return [as_numbers(part) for part in (found[:, :, ::3, ::3] if found.ndim == 4 else found)]
    return float(f"{found.item():.6g}")


if __name__ == "__main__":
    note = (
        "What the code of github.com/brownvc/R3GAN (commit 19a7ddf) answers with the weights and inputs of "
        "tests/support/official_r3gan.py, which wrote this file. Every third pixel each way; gradients are norms."
    )
    numbers = {"note": note, **as_numbers(official_answers(sys.argv[1], TINY))}
    Path(sys.argv[2]).write_text(json.dumps(numbers) + "\n", encoding="utf-8")
