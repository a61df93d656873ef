"""training.json: how a model was trained, and the cost."""

from typing import Any

from pydantic import Field

from genbench.records.provenance import Provenance
from genbench.records.record import Record, only


class Training(Record):
    """How a model was trained; only known keys for a published checkpoint."""

    steps: int | None = Field(default=None, description="iterations")
    flops: int | None = only(
        "with `training: flops`", "FLOPs of all iterations, forward and backward, including a first stage"
    )
    images_seen: int | None = Field(default=None, description="images processed: steps times batch size")
    seconds: float | None = Field(default=None, description="training time, without interruptions")
    compile_seconds: float | None = only(
        "with `compile: true`", "part of `seconds`: the first iterations after each start, which compile networks"
    )
    images_per_second: float | None = Field(default=None, description="images processed per second of that time")
    batch_size: int | None = Field(default=None, description="images per iteration, on all ranks together")
    precision: str | None = Field(default=None, description="numeric precision, such as `fp32`")
    device: str | None = Field(default=None, description="the machine's GPU or processor")
    ranks: int | None = Field(default=None, description="processes that trained together")
    parameters: dict[str, int] | None = Field(default=None, description="number of weights of each network")
    weights: str | None = Field(
        default=None, description="kind of weights in the file: `ema` (a moving average), `raw` or `unknown`"
    )
    ema_decay: float | None = Field(default=None, description="decay of the moving average; 0 without one")
    ema_lengths: list[float] | None = only(
        "with `training: ema_lengths`",
        "lengths of the saved averages, as shares of the training",
    )
    seed: int | None = Field(default=None, description="seed of the training")
    resumed: int | None = Field(default=None, description="how often it was resumed")
    peak_memory_bytes: int | None = Field(default=None, description="peak memory held on a GPU; null on a CPU")
    data_sha256: str | None = Field(default=None, description="hash of the training images")
    entry_sha256: str | None = Field(
        default=None, description="hash of the entry's keys `model` and `training`, as JSON with sorted keys"
    )
    first_stage_sha256: str | None = only("with `first_stage`", "hash of the weights of the first stage")
    imported: dict[str, Any] | None = only(
        "for a published checkpoint, instead of unknown keys", "format, options, files with their hashes, and a note"
    )
    model_sha256: str | None = Field(default=None, description="hash of the weights")
    history_sha256: str | None = Field(default=None, description="hash of history.jsonl")
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")
