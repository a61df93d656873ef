"""Training loops as in tutorials, over given networks: these peers are not programs."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def diffusers_example(unet: nn.Module, images: Tensor, lr: float) -> Callable[[], None]:
    """An iteration as in diffusers' example train_unconditional.py, with its scheduler, AdamW, clipping and EMA.

    unet: A UNet2DModel. images: The batch (N, C, H, W) of every iteration.
    """
    from diffusers.optimization import get_scheduler
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
    from diffusers.training_utils import EMAModel

    scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear")
    optimizer = torch.optim.AdamW(unet.parameters(), lr=lr)
    learning_rate = get_scheduler("constant_with_warmup", optimizer, num_warmup_steps=5000)
    average = EMAModel(unet.parameters(), decay=0.9999)

    def iterate() -> None:
        unet.train()
        eps = torch.randn_like(images)
        t = torch.randint(0, 1000, (len(images),))
        loss = F.mse_loss(unet(scheduler.add_noise(images, eps, t), t).sample, eps)
        loss.backward()
        nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        learning_rate.step()
        optimizer.zero_grad()
        average.step(unet.parameters())
        loss.item()  # for the progress bar

    return iterate


def wgan_gp(
    generator: nn.Module, critic: nn.Module, images: Tensor, latent_size: int, n_critic: int, lr: float
) -> Callable[[], None]:
    """WGAN-GP's algorithm 1: `n_critic` iterations of the critic, one of the generator, on one batch (N, C, H, W)."""
    optimizers = [torch.optim.Adam(network.parameters(), lr=lr, betas=(0.0, 0.9)) for network in (generator, critic)]

    def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def penalty(fake: Tensor) -> Tensor:
        u = torch.rand(len(images), 1, 1, 1)
        between = (u * images + (1 - u) * fake).requires_grad_()
        logits = critic(between)
        (gradient,) = torch.autograd.grad(logits, between, torch.ones_like(logits), create_graph=True)
        return 10 * (gradient.flatten(1).norm(2, dim=1) - 1).square().mean()

    def iterate() -> None:
        for _ in range(n_critic):
            fake = generator(torch.randn(len(images), latent_size)).detach()
            update(optimizers[1], critic(fake).mean() - critic(images).mean() + penalty(fake))
        update(optimizers[0], -critic(generator(torch.randn(len(images), latent_size))).mean())

    return iterate
