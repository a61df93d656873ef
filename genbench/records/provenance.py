"""Where a file comes from."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from genbench.machine import provenance
from genbench.records.record import Record


class Provenance(Record):
    """Where a file comes from."""

    genbench_commit: str | None = Field(
        default=None, description="the commit, with `+changes` if files differ from it; null outside a checkout"
    )
    code_sha256: str | None = Field(
        default=None, description="hash of the code that computed it: equal hashes mean the same code"
    )
    python: str | None = Field(default=None, description="version of Python")
    platform: str | None = Field(default=None, description="the machine's system")
    packages: dict[str, str] = Field(default_factory=dict, description="versions of the packages used")
    command: str | None = Field(default=None, description="the script and its arguments")
    time: str | None = Field(default=None, description="when the file was written, in UTC")

    @classmethod
    def collect(cls, *packages: str, kind: str | None = None, model: Mapping[str, Any] | None = None) -> "Provenance":
        """The provenance of a file written now; arguments as in `genbench.machine.provenance.collect`."""
        return cls(**provenance.collect(*packages, kind=kind, model=model))
