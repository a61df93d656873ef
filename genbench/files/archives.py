"""The files in a folder, a .zip or a .tar (.gz, .xz, .bz2), read in place: nothing is ever extracted to disk."""

import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from genbench.errors import InputError
from genbench.files.folders import is_hidden, walk
from genbench.files.substitutes import substitute_at

LARGEST = (
    1 << 30
)  # bytes of a file in an archive, unpacked: a few kilobytes can be packed so that they unpack to any number


def list_files(path: Path) -> list[str]:
    """Names (relative, with /) of the files at `path` that are not hidden, in stored order (a folder's sorted).

    Raises InputError for anything but a folder or a complete archive, and for an archive with a link, a device, an
    encrypted file, the same name twice, or a name that leads out of it.
    """
    with _clear_errors(path):
        if path.is_dir():
            names = _list_folder(path)
        elif _is_zip(path):
            names = _list_zip(path)
        else:
            names = _list_tar(path)
    for name, count in Counter(names).most_common(1):
        if count > 1:
            raise InputError(f"{path}: holds {name} {count} times")
    return [name for name in names if not is_hidden(name)]


def read_files(path: Path, names: Container[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the files at `path` whose name is in `names`, in stored order and in one pass."""
    with _clear_errors(path):
        if path.is_dir():
            for name in _list_folder(path):
                if name in names:
                    if (path / name).exists() and not (path / name).is_file():  # reading it could wait for ever
                        raise InputError(f"{path / name}: found a pipe or a device, expected a file")
                    yield name, (path / name).read_bytes()
        elif _is_zip(path):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if not info.is_dir() and (name := _safe_name(path, info.filename)) in names:
                        _check_size(path, name, info.file_size)  # zipfile unpacks no more than this size
                        yield name, archive.read(info)
        else:
            # As a stream: to seek back by one byte in a compressed tar can mean unpacking it from the start.
            with tarfile.open(path, "r|*", tarinfo=_StrictTarInfo) as tar:
                for member in tar:
                    if member.isreg() and (name := _safe_name(path, member.name)) in names:
                        _check_size(path, name, member.size)
                        file = tar.extractfile(member)
                        assert file is not None  # it is a regular file
                        yield name, file.read()


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error, NotImplementedError) as error:
        if found := substitute_at(path):
            raise InputError(f"{path}: found {found}") from None
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{path}: not a folder, .zip or .tar[.gz|.xz|.bz2], or a damaged one ({reason})") from None
    except OSError as error:
        if error.filename is not None:
            raise InputError(f"{error.filename}: {error.strerror}") from None
        raise InputError(f"{path}: a damaged archive ({error})") from None


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"  # by name: a tar whose last file is a zip also ends like a zip


def _list_folder(path: Path) -> list[str]:
    start = len(os.path.join(path, ""))
    return sorted(entry.path[start:].replace(os.sep, "/") for entry in walk(path))


def _list_zip(path: Path) -> list[str]:
    names = []
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _safe_name(path, info.filename)
            if info.is_dir():
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                raise InputError(f"{path}: {name} is a link; pack the files themselves")
            if info.flag_bits & 1:
                raise InputError(f"{path}: {name} is encrypted")
            _check_size(path, name, info.file_size)
            names.append(name)
    return names


def _list_tar(path: Path) -> list[str]:
    names = []
    with tarfile.open(path, "r:*", tarinfo=_StrictTarInfo) as tar:
        for member in tar:
            name = _safe_name(path, member.name)
            if member.isdir():
                continue
            if not member.isreg():
                kind = "a link" if member.issym() or member.islnk() else "a device"
                raise InputError(f"{path}: {name} is {kind}; pack the files themselves (tar --dereference)")
            _check_size(path, name, member.size)
            names.append(name)
        assert tar.fileobj is not None  # it is open
        while tar.fileobj.read(1 << 20):
            pass  # read to the end, where a .gz or .xz has its checksum
    return names


class _StrictTarInfo(tarfile.TarInfo):
    """Raises an error for a damaged header or a missing end mark, which tarfile takes for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_StrictTarInfo":
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.HeaderError as error:
            if isinstance(error, tarfile.EOFHeaderError):  # type: ignore[attr-defined]
                raise
            raise tarfile.ReadError(f"truncated or damaged: {error}") from None


def _safe_name(path: Path, raw: str) -> str:
    """The name without ./ and doubled slashes. Raises InputError for a name that leads out of the archive."""
    name = PurePosixPath(raw.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or (name.parts and name.parts[0].endswith(":")):
        raise InputError(f"{path}: holds {raw!r}, a path outside the archive: do not trust this file")
    return name.as_posix()


def _check_size(path: Path, name: str, size: int) -> None:
    if size > LARGEST:
        raise InputError(f"{path}: {name} has {size:,} bytes unpacked, expected at most {LARGEST:,}")
