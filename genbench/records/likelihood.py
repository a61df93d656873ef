"""likelihood.json: a diffusion model's bound on the likelihood of held-out images."""

from pydantic import Field, model_validator

from genbench.errors import InputError
from genbench.records.provenance import Provenance
from genbench.records.record import Record


class Terms(Record):
    """The terms of the bound, except the prior's."""

    t: list[int] = Field(default_factory=list, description="the times")
    bits_per_dim: list[float] = Field(default_factory=list, description="the term at each time: mean over images")

    @model_validator(mode="after")
    def _fit(self) -> "Terms":
        if (times := len(self.t)) != (values := len(self.bits_per_dim)):
            raise InputError(f"found {times} times and {values} values, expected as many of both")
        return self


class Likelihood(Record):
    """The variational bound on -log2 p(x0) of held-out images, in bits per dimension."""

    bits_per_dim: float = Field(description="the bound: mean over images")
    standard_error: float | None = Field(default=None, description="standard error of that mean")
    prior: float | None = Field(default=None, description="the prior's term of the bound, in bits per dimension")
    terms: Terms = Field(
        default_factory=Terms, description="the other terms: the times `t`, and `bits_per_dim` at each"
    )
    images: int | None = Field(default=None, description="number of held-out images")
    steps: int | None = Field(default=None, description="number of times at which the bound was computed")
    noise_seeds: str | None = Field(default=None, description="seeds of the noise: START:STOP")
    split: str | None = Field(default=None, description="split of the data set")
    images_sha256: str | None = Field(default=None, description="hash of the images")
    model_sha256: str | None = Field(default=None, description="hash of the weights")
    device: str | None = Field(default=None, description="the machine's GPU or processor")
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")
