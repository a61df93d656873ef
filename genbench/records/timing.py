"""timing.json: how samples were drawn, and how long that took. samples.npz contains it too.

Other jobs may have run meanwhile, so a report compares the times in speed.json.
"""

from typing import Any

from pydantic import Field, model_validator

from genbench.errors import InputError
from genbench.records.provenance import Provenance
from genbench.records.record import Record, only

GIVEN = "for samples that were drawn elsewhere"


class Calibration(Record):
    """The pass over samples that determines the ranges of a network's activations."""

    images: int = Field(description="number of images drawn for it")
    inputs: int = Field(description="number of inputs of the network in these draws")
    seconds: float = Field(description="time of calibration, which is not part of the timing")


class Quantisation(Record):
    """How a network was quantised."""

    scheme: str | None = Field(default=None, description="name of the scheme")
    library: str | None = Field(default=None, description="name and version of the library that computes it")
    network_bytes: int = Field(description="size of a file with the network's weights in this scheme")
    network_bytes_fp32: int = Field(description="size of a file with these weights in float32")
    conversion_seconds: float = Field(description="time of conversion, which is not part of the timing")
    calibration: Calibration | None = Field(
        default=None, description="null, or: images, inputs of the network, and seconds of calibration"
    )


class Timing(Record):
    """How long samples took to draw; only known keys for samples from elsewhere, or that could not be drawn."""

    unavailable: str | None = only(
        "if a quantised network could not be used, and nothing was drawn, instead of the numbers",
        "the reason",
    )
    num_images: int | None = Field(default=None, description="number of images in samples.npz")
    num_samples: int | None = only(GIVEN, "number of images in samples.npz")
    timed_images: int | None = Field(
        default=None, description="number of timed images: all but the first batch, if there are others"
    )
    seconds: float | None = Field(default=None, description="time for these images on the slowest rank")
    images_per_second: float | None = Field(default=None, description="timed images per second; null if unknown")
    seconds_per_50k: float | None = Field(
        default=None, description="time for 50,000 images at this rate; other jobs may have run too; null if unknown"
    )
    extrapolated: bool | None = Field(default=None, description="whether fewer than 50,000 images were timed")
    latency_batch1_seconds: float | None = Field(default=None, description="time to draw a single image")
    warmup_seconds: float | None = Field(
        default=None, description="time of the first batch, which is not part of the timing"
    )
    io_seconds: float | None = Field(default=None, description="time of writing, which is not part of the timing")
    batch_size: int | None = Field(default=None, description="images per batch")
    nfe: int | None = Field(default=None, description="network evaluations per image, counted")
    device: str | None = Field(default=None, description="the machine's GPU or processor")
    ranks: int | None = Field(default=None, description="processes that shared the seeds")
    precision: str | None = Field(default=None, description="numeric precision: `fp32`, or a scheme of quantisation")
    threads: int | None = Field(default=None, description="CPU threads")
    peak_memory_bytes: int | None = Field(default=None, description="peak memory held on a GPU; null on a CPU")
    seeds: str | None = Field(default=None, description="seeds of the samples: START:STOP")
    options: dict[str, Any] | None = Field(
        default=None, description="options of the sampler; `method` was called `step` or `algorithm` before 0.2"
    )
    condition: dict[str, Any] | None = Field(default=None, description="the images or labels that were given, or null")
    model_sha256: str | None = Field(default=None, description="hash of the weights")
    ema_length: float | None = only(
        "with a sampler's `ema_length`", "share of the training over which the weights were averaged"
    )
    quantisation: Quantisation | None = Field(default=None, description="null, or how the network was quantised")
    given: bool | None = only(GIVEN, "always `true`")
    source: str | None = only(GIVEN, "name of the file or folder that they came from")
    lossy: bool | None = only(GIVEN, "whether their storage was lossy, such as JPEG")
    notes: list[str] | None = only(GIVEN, "remarks that readers of the numbers need")
    samples_sha256: str | None = Field(default=None, description="hash of the images")
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")

    @model_validator(mode="after")
    def _has_speed(self) -> "Timing":
        for key in ("seconds_per_50k", "images_per_second"):
            if self.unavailable is None and key not in self.model_fields_set:
                raise InputError(f"key {key!r} is missing")
        return self
