"""speed.json: how fast a model samples, timed while nothing else runs."""

from pydantic import Field

from genbench.records.provenance import Provenance
from genbench.records.record import Record, only


class SamplerSpeed(Record):
    """How fast one sampler draws."""

    unavailable: str | None = only("if a sampler could not be timed, instead of the numbers", "the reason")
    batch_seconds: list[float] | None = Field(
        default=None, description="time for a batch on the slowest rank: one number per repeat"
    )
    batch_size: int | None = Field(default=None, description="images per batch on each rank")
    seconds_per_50k: float | None = Field(
        default=None, description="time for 50,000 images, from the median of the repeats"
    )
    seconds_per_50k_range: list[float] | None = Field(
        default=None, description="the same from the fastest and the slowest repeat"
    )
    images_per_second: float | None = Field(default=None, description="images per second, from the median")
    latency_batch1_seconds: float | None = Field(default=None, description="time to draw a single image")
    warmup_seconds: float | None = Field(
        default=None, description="time of the first batch, which is not part of the timing"
    )
    nfe: int | None = Field(default=None, description="network evaluations per image, counted")
    other_work: float | None = Field(
        default=None, description="number of cores that other processes used meanwhile; null if unknown"
    )


class Speed(Record):
    """How fast a model draws with each of its samplers, one after another on one machine."""

    samplers: dict[str, SamplerSpeed] = Field(description="by name: see below")
    device: str | None = Field(default=None, description="the machine's GPU or processor")
    cores: int | None = Field(default=None, description="cores of the machine")
    ranks: int | None = Field(default=None, description="processes that drew at the same time, one batch each")
    threads: int | None = Field(default=None, description="CPU threads per process")
    model_sha256: str | None = Field(default=None, description="hash of the weights")
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")
