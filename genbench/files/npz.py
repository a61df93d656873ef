"""Arrays in .npz and .npy files, read without pickle and within the machine's memory. Imports nothing heavy."""

import errno
import json
import logging
import os
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.files.artifacts import repair_if_ours
from genbench.files.scratch import on_scratch
from genbench.files.substitutes import substitute_at
from genbench.machine.memory import available_memory, in_words, physical_memory

log = logging.getLogger(__name__)

LARGE = 0.5  # of the free memory: larger arrays stay in their file, and parts are read when they are used
BLOCK = 1 << 24


def read_npz(path: str | os.PathLike[str], keys: Sequence[str], ours: bool = False) -> dict[str, NDArray[Any]]:
    """The arrays of an npz whose keys are in `keys`, in the order of `keys`; missing keys are left out.

    If the arrays would take more than half of the free memory, they are read-only: they stay in their file, or in its
    copy on scratch, and parts are read when they are used. Raises InputError, naming the file, if it is missing,
    damaged, something else, or larger than memory. ours: whether genbench may have made the file; the error then has
    the command that repairs it. An array of objects counts as damaged: nothing is ever unpickled.
    """
    remedy = repair_if_ours(path) if ours and Path(path).suffix == ".npz" else ""
    with _clear_errors(path, "npz file", remedy), open(path, "rb") as file:
        # numpy would also accept a single .npy or a pickle.
        with zipfile.ZipFile(file) as members:
            wanted = [member for member in members.infolist() if member.filename.removesuffix(".npy") in keys]
            size, stored = sum(member.file_size for member in wanted), {}
            if size > LARGE * available_memory():
                mapped = ((member, _mapped(path, file, members, member)) for member in wanted)
                stored = {member.filename.removesuffix(".npy"): array for member, array in mapped if array is not None}
                size = sum(member.file_size for member in wanted if member.filename.removesuffix(".npy") not in stored)
        if size > physical_memory():  # a few kilobytes can be packed so that they unpack to any number
            raise InputError(
                f"{path}: holds {size:,} bytes of arrays, more than this machine's memory ({physical_memory():,})"
            )
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return {key: stored[key] if key in stored else arrays[key] for key in keys if key in arrays}


@contextmanager
def _clear_errors(path: str | os.PathLike[str], kind: str, remedy: str = "") -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError:
        raise
    except (MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENOMEM:
            raise _damaged(path, kind, error, remedy) from None
        raise InputError(
            f"{path}: larger than the memory that is free ({in_words(available_memory())}): {error}"
        ) from None
    except Exception as error:  # a damaged file can make zipfile and numpy raise anything
        raise _damaged(path, kind, error, remedy) from None


def _damaged(path: str | os.PathLike[str], kind: str, error: Exception, remedy: str) -> InputError:
    if found := substitute_at(path):
        return InputError(f"{path}: found {found}")
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return InputError(f"{path}: not an {kind}, or damaged ({reason}){remedy}")


def _mapped(
    path: str | os.PathLike[str], file: BinaryIO, members: zipfile.ZipFile, member: zipfile.ZipInfo
) -> NDArray[Any] | None:
    """An array of an npz, mapped from the file after its checksum is checked; None if it must be read as a whole."""
    if member.compress_type != zipfile.ZIP_STORED:
        return None
    with members.open(member) as content:  # also checks the checksum, at its end
        version = np.lib.format.read_magic(content)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            return None
        shape, is_fortran, dtype = readers[version](content)
        header = content.tell()
        if dtype.hasobject or 0 in shape or not shape:
            return None
        while content.read(BLOCK):
            pass
    file.seek(member.header_offset + 26)  # in the local header: the lengths of the name and of the extra field
    start = member.header_offset + 30 + sum(struct.unpack("<HH", file.read(4))) + header
    log.info("%s: %s stays in the file, with %s of memory free", path, member.filename, in_words(available_memory()))
    copy = on_scratch(path)
    array = np.memmap(file if copy == Path(path) else copy, dtype, "r", start, shape, "F" if is_fortran else "C")
    return np.asarray(array)


def read_info(path: str | os.PathLike[str], text: NDArray[Any]) -> dict[str, Any]:
    """The JSON object that an npz holds as text. Raises InputError, naming the file, if it is anything else."""
    try:
        info = json.loads(str(text))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: info: not valid JSON ({error})") from None
    if not isinstance(info, dict):
        raise InputError(f"{path}: info: found {type(info).__name__}, expected a JSON object")
    return info


def list_npz(path: str | os.PathLike[str]) -> list[str]:
    """The keys of an npz that `read_npz` can read."""
    with zipfile.ZipFile(path) as members:
        return [name.removesuffix(".npy") for name in members.namelist()]


def read_npy(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array of an .npy. Its parts are read from the disk when they are used.

    Raises InputError, naming the file, if it is missing, damaged or something else. Nothing is unpickled.
    """
    with _clear_errors(path, "npy file of plain numbers"):
        return np.lib.format.open_memmap(path, mode="r")
