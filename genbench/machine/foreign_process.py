"""A function in a user's file, run in a separate process: arrays are sent and returned as plain bytes.

The process shares no memory and no open file with genbench, and has only the environment variables that Python and a
GPU need. It still has the user's rights: code that cannot be trusted belongs in a container.
"""

import contextlib
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.machine import foreign_worker

KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")


class ForeignProcess:
    """The function `name` of the file `path`, whose SHA-256 begins with `digest`; the first call starts the process."""

    def __init__(self, path: Path, name: str, digest: str, threads: int = 1) -> None:
        self.path, self.name, self.digest, self.threads = path.resolve(), name, digest, threads
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Images, uint8 (N, H, W, 1 or 3), for N rows of values. Raises InputError if the function returns others."""
        header, process = self._ask(values), self._process
        assert process is not None
        assert process.stdout is not None
        shape, dtype = header.get("shape", []), header.get("dtype")
        fits = len(shape) == 4 and shape[0] == len(values) and shape[3] in (1, 3) and 0 not in shape
        if dtype != "uint8" or not fits:
            found = f"{dtype} of shape {tuple(shape)}"
            if "values" in header:
                found += " with values from {:.4g} to {:.4g}".format(*header["values"])
            raise self._error(f"found {found}, expected uint8 of shape ({len(values)}, H, W, C), C 1 or 3")
        size = int(np.prod(shape))
        content = process.stdout.read(size)
        if len(content) < size:
            raise self._error(f"the process ended with status {process.wait()}")
        return np.frombuffer(content, np.uint8).reshape(shape)

    def _ask(self, values: NDArray[Any]) -> dict[str, Any]:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        request = json.dumps({"dtype": str(values.dtype), "shape": values.shape}).encode()
        try:
            process.stdin.write(request + b"\n" + np.ascontiguousarray(values).tobytes())
            process.stdin.flush()
        except BrokenPipeError:
            pass  # the process ended, but its last answer can still be read
        line = process.stdout.readline(1 << 16)
        try:
            header = json.loads(line)
        except ValueError:
            header = None
        if not isinstance(header, dict):
            raise self._error(f"the process ended with status {process.wait()} without an answer")
        if "error" in header:
            said = str(header["error"])
            expected = "" if "expected" in said else f"; expected uint8 of shape ({len(values)}, H, W, C)"
            raise self._error(said + expected)
        return header

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            environment = {key: os.environ[key] for key in KEPT if key in os.environ}
            threads = {key: str(self.threads) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
            self._process = subprocess.Popen(
                [sys.executable, str(foreign_worker.__file__), str(self.path), self.name, self.digest],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self.path.parent,
                env=environment | threads,
            )
            weakref.finalize(self, _end, self._process)
        return self._process

    def _error(self, said: str) -> InputError:
        return InputError(f"{self.path.name}: {self.name}: {said}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was not sent is no longer needed
                pipe.close()
