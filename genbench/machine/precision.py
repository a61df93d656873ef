"""Which precisions a device multiplies natively, and which of them `auto` chooses."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "tf32", "bf16", "fp16"]


def multiplies(device: "torch.device", precision: Precision) -> bool:
    """Whether a device multiplies numbers of this precision natively. Elsewhere torch emulates it, some 10 to 100 times
    slower than float32."""
    import torch

    if device.type == "cuda":
        return precision != "bf16" or torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and not torch.backends.mkldnn.is_available():  # such as for Apple's processors
        return precision in ("fp32", "tf32")
    if device.type == "cpu" and precision == "bf16":  # oneDNN's own test also passes where it is emulated
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if device.type == "cpu" and precision == "fp16":
        return torch.ops.mkldnn._is_mkldnn_fp16_supported()
    return precision in ("fp32", "tf32")  # where there is no tf32, torch computes in float32


def native_to_processor() -> list[Precision]:
    """The half precisions that this machine's processor multiplies natively."""
    import torch

    halves: tuple[Precision, ...] = ("bf16", "fp16")
    return [precision for precision in halves if multiplies(torch.device("cpu"), precision)]


def native_precision(device: "torch.device") -> Precision:
    """bf16 where a processor or an NVIDIA GPU multiplies it natively, else fp32.

    Never tf32: GPUs that have it multiply in bf16, too. Apple's GPUs train in fp32.
    """
    return "bf16" if device.type in ("cpu", "cuda") and multiplies(device, "bf16") else "fp32"
