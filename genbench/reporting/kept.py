"""A cache of what was made from the same bytes with the same options, in a folder below the results.

When one of hundreds of rows changes, the page is made again: its other pictures and plots are read from here.
"""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from genbench.files.artifacts import atomic_path

log = logging.getLogger(__name__)


class Kept:
    """A folder of files named by the hash of what they were made from; without a folder, everything is made again.

    Each file begins with the hash of the rest; a damaged file is made again. A folder that cannot be written is not
    used: it only saves time.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self.used = folder, set[str]()

    def get(self, make: Callable[[], bytes], *made_from: bytes | str) -> bytes:
        """The bytes that `make` returns, which depend only on `made_from`."""
        if self.folder is None:
            return make()
        parts = [part.encode(errors="surrogatepass") if isinstance(part, str) else part for part in made_from]
        name = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
        self.used.add(name)
        path = self.folder / name
        try:
            digest, data = path.read_bytes().split(b"\n", 1)
            if digest.decode() == hashlib.sha256(data).hexdigest():
                return data
        except (OSError, ValueError):
            pass
        data = make()
        try:
            with atomic_path(path) as temporary:
                temporary.write_bytes(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
        except OSError as error:
            log.debug("%s", error)
            self.folder = None
        return data

    def forget(self) -> None:
        """Remove files that `get` has not used: nothing on the page is made from them any more."""
        for path in self.folder.iterdir() if self.folder and self.folder.is_dir() else ():
            if path.name not in self.used:
                path.unlink(missing_ok=True)
