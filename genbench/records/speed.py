"""speed.json: how fast a model samples, timed with nothing else running beside it."""

from pydantic import Field

from genbench.records.provenance import Provenance
from genbench.records.record import Record, only


class SamplerSpeed(Record):
    """How fast one sampler draws."""

    unavailable: str | None = only("where a sampler could not be timed, instead of the numbers", "the reason")
    batch_seconds: list[float] | None = Field(
        default=None, description="how long a batch took, of the slowest rank: one number for each repeat"
    )
    batch_size: int | None = Field(default=None, description="images of a batch, of each rank")
    seconds_per_50k: float | None = Field(
        default=None, description="time for 50,000 images, from the median of the repeats"
    )
    seconds_per_50k_range: list[float] | None = Field(
        default=None, description="the same from the fastest and from the slowest repeat"
    )
    images_per_second: float | None = Field(default=None, description="from the median, too")
    latency_batch1_seconds: float | None = Field(default=None, description="time to draw a single image")
    warmup_seconds: float | None = Field(
        default=None, description="time of the first batch, which is no part of the timing"
    )
    nfe: int | None = Field(default=None, description="evaluations of the network for an image, counted")
    other_work: float | None = Field(
        default=None, description="how many cores other processes kept busy meanwhile; null if unknown"
    )


class Speed(Record):
    """How fast a model draws with each of its samplers, one after another on one machine."""

    samplers: dict[str, SamplerSpeed] = Field(description="by name: see below")
    device: str | None = Field(default=None, description="the machine's GPU or processor")
    cores: int | None = Field(default=None, description="cores of the machine")
    ranks: int | None = Field(default=None, description="processes that drew at the same time, a batch each")
    threads: int | None = Field(default=None, description="CPU threads of each")
    model_sha256: str | None = Field(default=None, description="hash of the weights")
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")
