"""Finding a data set's files on this machine, or fetching them from the official source."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from genbench.artifacts import atomic_path
from genbench.errors import InputError


def existing_path(path: str, data_root: Path) -> Path:
    """The file or folder at a user's `path`: as it stands, or inside `data_root`. InputError when in neither."""
    given = Path(path).expanduser()
    for place in (given, data_root / given):
        if place.exists():
            return place
    also = "" if given.is_absolute() else f", nor {data_root / given}"
    raise InputError(f"key 'path': found {path!r}, and there is no such file or folder{also}")


def first_existing(places: Sequence[Path]) -> Path | None:
    return next((place for place in places if place.exists()), None)


def download(urls: Sequence[str], target: Path, check: Callable[[Path], object]) -> None:
    """Fetch `target` from the first of `urls` whose content passes `check`, under a temporary name until it has.

    `check` gets the temporary path and raises InputError when the content is not what it should be. When no URL
    serves, the InputError says why, and where to put the file by hand.
    """
    import pooch  # brings requests: only a job that downloads pays for it

    reasons = []
    for url in urls:
        try:
            with atomic_path(target) as temporary:
                pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=1 << 16, timeout=30)(
                    url, str(temporary), None
                )
                check(temporary)
            return
        except InputError as error:
            reasons.append(f"{url}: {str(error).replace(str(temporary), target.name)}")
        except OSError as error:  # every exception of requests is one
            if error.errno is not None:
                raise  # from the disk, not the network
            response = getattr(error, "response", None)
            if response is None:
                reasons.append(f"{url}: {type(error).__name__}")
            else:
                response.close()  # pooch leaves it open
                reasons.append(f"{url}: HTTP {response.status_code}")
    raise InputError(
        f"{target}: not there, and could not be downloaded ({'; '.join(reasons)}). "
        f"Without a network, fetch {urls[0]} elsewhere and put it at {target}"
    )
