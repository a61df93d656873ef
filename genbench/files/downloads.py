"""Finding a data set's files on this machine, or fetching them from their publisher over a network that may fail."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from genbench.errors import InputError
from genbench.machine.progress import Progress

log = logging.getLogger(__name__)

PAUSES: tuple[float, ...] = (1, 4, 10)  # seconds before another round, while no round brings new bytes
TIMEOUT = 30  # seconds without a byte
CHUNK = 1 << 16


def existing_path(path: str, data_root: Path, key: str = "path") -> Path:
    """The file or folder at a user's `path`: as given, or inside `data_root`. Raises InputError if in neither."""
    if "\0" in path:
        raise InputError(f"key {key!r}: found {path!r}, expected a path without control characters")
    given = Path(path).expanduser()
    for place in (given, data_root / given):
        if place.is_file() or place.is_dir():
            return place
        if place.exists():  # reading it could wait for ever
            raise InputError(f"key {key!r}: found {path!r}, a pipe or a device, expected a file or folder")
    also = "" if given.is_absolute() else f", nor {data_root / given}"
    raise InputError(f"key {key!r}: found {path!r}, and there is no such file or folder{also}")


def first_existing(places: Sequence[Path]) -> Path | None:
    return next((place for place in places if place.exists()), None)


def download(
    urls: Sequence[str],
    target: Path,
    check: Callable[[Path], object],
    otherwise: str = "the suite demo needs no download",
) -> None:
    """Fetch `target` from the first of `urls` whose content passes `check`; only then does the file get its name.

    `check` gets the path of the partial file and raises InputError for wrong content. An interrupted download goes on
    where it stopped, in this run or another, if the server supports it. A round asks every URL once; URLs that are
    missing or serve something else are not asked again. Rounds continue while they bring new bytes, and otherwise after
    each of PAUSES. Then InputError is raised: it states the reasons, where to put the file by hand, and `otherwise`,
    what can be done without the file.
    """
    reasons: dict[str, str] = {}
    remaining, pauses, longest = list(urls), list(PAUSES), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with _open_part(target) as part:
        while remaining and not target.exists():  # another process may have fetched it while this one waited
            for url in list(remaining):
                try:
                    _fetch_checked(url, part, Path(part.name), check)
                except _FetchError as error:
                    if reasons.get(url) != error.reason:  # once is enough
                        log.warning("%s: %s: %s", target.name, url, error.reason)
                    reasons[url] = error.reason
                    if not error.again:
                        remaining.remove(url)
                else:
                    os.fsync(part.fileno())
                    os.replace(part.name, target)
                    return
            if _size(part) > longest:
                longest, pauses = _size(part), list(PAUSES)
            elif remaining and pauses:
                log.info("%s: trying again in %g seconds", target.name, pauses[0])
                time.sleep(pauses.pop(0))
            else:
                break
        if target.exists():
            return
        kept = f" {_size(part):,} bytes are kept in {part.name}, for the next attempt to go on." if _size(part) else ""
    tried = "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
    raise InputError(
        f"{target}: missing, and could not be downloaded ({tried}).{kept} "
        f"Without a network, fetch {urls[0]} elsewhere and put it at {target}; {otherwise}"
    )


def unreachable(urls: Sequence[str], seconds: float = 5) -> str | None:
    """Why none of `urls` can be downloaded at this moment; None if one can. Downloads nothing."""
    import requests

    reason = None
    for url in urls:
        try:
            with requests.head(url, allow_redirects=True, timeout=seconds) as response:
                if response.status_code < 400 or response.status_code in (403, 405):  # the server may refuse only HEAD
                    return None
                reason = f"HTTP {response.status_code}"
        except requests.RequestException as error:
            reason = type(error).__name__
    return reason


class _FetchError(Exception):
    def __init__(self, reason: str, again: bool) -> None:
        self.reason, self.again = reason, again


@contextmanager
def _open_part(target: Path) -> Iterator[BinaryIO]:
    """The partial file of `target`, open for appending once no other process writes it; removed if left empty.

    Its name keeps the suffix of `target`, from which some checks find the format.
    """
    from genbench.files.locks import lock  # imported only by jobs that download

    path = target.with_name(f"{target.stem}.part{target.suffix}")
    while True:
        with open(path, "ab") as part:
            with suppress(OSError):  # a download does without a lock, whatever the reason
                lock(part)
            if not _is_at(part, path):
                continue  # the holder of the lock has renamed or removed the file meanwhile
            try:
                yield part
            finally:
                if _size(part) == 0:
                    path.unlink(missing_ok=True)
            return


def _is_at(part: BinaryIO, path: Path) -> bool:
    """Whether the open file is the one at `path`, by a single look: before a second one, it could be removed."""
    try:
        return os.path.samestat(os.fstat(part.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _size(part: BinaryIO) -> int:
    part.flush()
    return os.fstat(part.fileno()).st_size


def _fetch_checked(url: str, part: BinaryIO, path: Path, check: Callable[[Path], object]) -> None:
    """Complete the partial file from `url` and check it. Wrong content is dropped; a resumed download starts again."""
    while True:
        resumed = _fetch(url, part)
        try:
            check(path)
            return
        except InputError as error:
            part.truncate(0)
            if not resumed:
                target = f"{path.stem.removesuffix('.part')}{path.suffix}"
                raise _FetchError(str(error).replace(str(path), target), again=False) from None
            log.warning("%s: %s: the continued download is damaged: starting it again", path.name, url)


def _fetch(url: str, part: BinaryIO) -> bool:
    """Append to the partial file what it lacks of the file at `url`; returns whether it had any bytes before."""
    import requests
    import urllib3

    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            hops = [one.url for one in (*response.history, response)]
            if url.startswith("https:") and not all(hop.startswith("https:") for hop in hops):
                # Not every download has a checksum: a hub's list of files has none.
                raise _FetchError("redirected away from https", again=False)
            status, content_range = response.status_code, response.headers.get("Content-Range", "")
            if have and status == 416 and content_range == f"bytes */{have}":
                return True  # complete already, and interrupted before its check
            if have and (status == 416 or (status == 206 and not content_range.startswith(f"bytes {have}-"))):
                part.truncate(0)
                return _fetch(url, part)
            if status == 200:
                part.truncate(0)  # a server without ranges also starts from the beginning
                have = 0
            elif not (have and status == 206):
                raise _FetchError(f"HTTP {status}", again=status in (408, 425, 429) or status >= 500)
            length = response.headers.get("Content-Length", "")
            total = have + int(length) if length.isdecimal() else None
            log.info("%s: downloading %s bytes from byte %d", url, f"{total:,}" if total else "unknown", have)
            with Progress(total, "bytes", initial=have) as progress:
                # Not iter_content: it loses the last bytes before a cut, and unpacks a .gz that is declared as encoded.
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    part.write(chunk)
                    progress.update(len(chunk))
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        cause = type(getattr(error.args[0], "reason", error) if error.args else error).__name__
        raise _FetchError(f"{cause} at byte {_size(part):,}" if _size(part) else cause, again=True) from None
    except requests.RequestException as error:  # an invalid address, or endless redirects
        raise _FetchError(type(error).__name__, again=False) from None
    finally:
        part.flush()
    return have > 0
