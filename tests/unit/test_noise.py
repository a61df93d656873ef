"""Philox against the published test vectors; noise depends on seeds, not on batches."""

import math

import pytest
import torch

from genbench.processes.noise import Noise, philox

# Random123, kat_vectors, philox4x32 with 10 rounds: counter, key, result.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_vectors(counter: str, key: str, expected: str) -> None:
    words = tuple(torch.tensor([int(word, 16)]) for word in counter.split())
    k0, k1 = (int(word, 16) for word in key.split())
    found = " ".join(f"{int(word):08x}" for word in philox(words, (k0, k1)))
    assert found == expected


def test_a_row_depends_on_its_seed_and_draw_alone() -> None:
    whole = Noise(torch.arange(10))
    first, second = whole.normal(3, 5), whole.normal(3, 5)
    part = Noise(torch.tensor([7, 2]))
    assert torch.equal(part.normal(3, 5), first[[7, 2]])
    assert torch.equal(part.normal(3, 5), second[[7, 2]])
    assert not torch.equal(first, second)


def test_the_key_and_the_high_bits_of_a_seed_tell_streams_apart() -> None:
    seeds = torch.tensor([1, 1 + 2**32])
    rows = Noise(seeds).uniform(4)
    assert not torch.equal(rows[0], rows[1])
    assert not torch.equal(rows, Noise(seeds, key=1).uniform(4))
    assert not torch.equal(Noise(seeds, key=1).uniform(4), Noise(seeds, key=1 + 2**32).uniform(4))


def test_normal_numbers_have_the_moments_of_a_normal_distribution() -> None:
    x = Noise(torch.arange(500)).normal(1001).double()  # odd: one half of the last pair is dropped
    count = x.numel()
    assert abs(x.mean()) < 4 / math.sqrt(count)
    assert abs(x.var() - 1) < 4 * math.sqrt(2 / count)
    assert abs((x**4).mean() - 3) < 4 * math.sqrt(96 / count)
    assert abs((x[:, :500] * x[:, 500:1000]).mean()) < 4 / math.sqrt(count / 2)  # both halves of Box-Muller pairs


def test_uniform_numbers_stay_inside_the_open_interval() -> None:
    x = Noise(torch.arange(1000)).uniform(1000)
    assert 0 < x.min() < 1e-5
    assert 1 - 1e-5 < x.max() < 1
    assert abs(x.double().mean() - 0.5) < 4 * math.sqrt(1 / 12 / x.numel())


def test_integers_cover_their_range_evenly() -> None:
    x = Noise(torch.arange(6000)).integers(1, 7)
    counts = torch.bincount(x, minlength=8)
    assert counts[0] == counts[7] == 0
    assert (counts[1:7] - 1000).abs().max() < 5 * math.sqrt(1000)


def test_meta_noise_has_the_right_shapes() -> None:
    noise = Noise(torch.empty(3, dtype=torch.int64, device="meta"))
    assert noise.normal(2, 5).shape == (3, 2, 5)
    assert noise.integers(0, 5).shape == (3,)


@pytest.mark.gpu
def test_noise_is_the_same_on_cpu_and_gpu() -> None:
    cpu, gpu = Noise(torch.arange(50), key=7), Noise(torch.arange(50, device="cuda"), key=7)
    assert torch.equal(cpu.bits(1000), gpu.bits(1000).cpu())
    assert torch.equal(cpu.integers(0, 1000, 9), gpu.integers(0, 1000, 9).cpu())
    assert torch.equal(cpu.uniform(3, 5), gpu.uniform(3, 5).cpu())
    torch.testing.assert_close(gpu.normal(1001).cpu(), cpu.normal(1001), rtol=2e-7, atol=0)  # differs in the last bit
