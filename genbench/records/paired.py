"""paired.json: how far a quantised network's images are from those of the float32 network."""

from pydantic import Field

from genbench.records.provenance import Provenance
from genbench.records.record import Record, only


class Paired(Record):
    """How far images are from the float32 network's images of the same seeds, image by image."""

    reference_sha256: str | None = Field(default=None, description="hash of the float32 network's images")
    unavailable: str | None = only("if nothing was drawn, instead of the numbers", "the reason")
    psnr: float | None = Field(default=None, description="PSNR to the image of the same seed, in dB: mean over images")
    psnr_std: float | None = Field(default=None, description="standard deviation over images")
    psnr_min: float | None = Field(default=None, description="minimum over images")
    num_images: int | None = Field(default=None, description="number of images compared")
    identical_images: int | None = Field(
        default=None, description="number of equal images, whose PSNR is computed as if one value differed by one"
    )
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")
