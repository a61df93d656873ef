"""The autoencoder of latent diffusion equals that of diffusers, which loads Rombach et al.'s checkpoints."""

import diffusers
import torch
from torch import Tensor, nn

from genbench.networks.autoencoder_kl import AutoencoderKL


def layers(block: nn.Module) -> list[nn.Module | list[nn.Module]]:
    """Return the layers of one of their blocks, in evaluation order; queries, keys and values are one list."""
    attention = list(getattr(block, "attentions", None) or [])
    found: list[nn.Module | list[nn.Module]] = []
    for part in block.resnets:
        found += [part.norm1, part.conv1, part.norm2, part.conv2]
        found += [part.conv_shortcut] if part.conv_shortcut is not None else []
        for layer in attention[:1]:
            found += [layer.group_norm, [layer.to_q, layer.to_k, layer.to_v], layer.to_out[0]]
        attention = []  # only the first residual block has attention after it
    for name in ("downsamplers", "upsamplers"):
        found += [part.conv for part in getattr(block, name, None) or []]
    return found


def copy(theirs: list[nn.Module | list[nn.Module]], ours: nn.Module) -> None:
    own = [part for part in ours.modules() if list(part.parameters(recurse=False))]
    with torch.no_grad():
        for source, layer in zip(theirs, own, strict=True):
            for name, parameter in layer.named_parameters():
                parts = [part.get_parameter(name) for part in source] if isinstance(source, list) else None
                value: Tensor = torch.cat(parts) if parts else source.get_parameter(name)  # type: ignore[union-attr]
                parameter.copy_(value.view_as(parameter))


def test_it_is_that_of_diffusers() -> None:
    torch.manual_seed(0)
    theirs = diffusers.AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 16, 32),
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=4,
    ).double()
    ours = AutoencoderKL(
        image_shape=(3, 24, 16), latent_size=96, out_features=192, channels=8, channel_mult=[1, 2, 4], norm_groups=4
    ).double()
    encoder, decoder = theirs.encoder, theirs.decoder
    down = [layer for block in (*encoder.down_blocks, encoder.mid_block) for layer in layers(block)]
    up = [layer for block in (decoder.mid_block, *decoder.up_blocks) for layer in layers(block)]
    copy([encoder.conv_in, *down, encoder.conv_norm_out, encoder.conv_out, theirs.quant_conv], ours.encoder)
    copy([theirs.post_quant_conv, decoder.conv_in, *up, decoder.conv_norm_out, decoder.conv_out], ours.decoder)
    x = torch.rand(2, 3, 24, 16, dtype=torch.float64) * 2 - 1
    assert ours.latent_shape == (4, 6, 4)
    with torch.no_grad():
        posterior = theirs.encode(x).latent_dist
        mu, logvar = ours.encoder(x).chunk(2, dim=1)
        torch.testing.assert_close(mu, posterior.mean.flatten(1), rtol=0, atol=1e-12)
        torch.testing.assert_close(logvar, posterior.logvar.flatten(1), rtol=0, atol=1e-12)
        torch.testing.assert_close(ours.decoder(mu), theirs.decode(posterior.mean).sample, rtol=0, atol=1e-12)


def test_with_its_defaults_it_has_the_paper_s_parameters() -> None:
    with torch.device("meta"):
        network = AutoencoderKL(image_shape=(3, 32, 32), latent_size=192, out_features=384)
    counts = [sum(p.numel() for p in part.parameters()) for part in (network.encoder, network.decoder)]
    assert counts == [22_351_280, 32_960_783]  # 55.3 million: kl-f4 of Rombach et al.
