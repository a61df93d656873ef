"""Arrays in .npz and .npy files, read without pickle and within the machine's memory. Imports nothing heavy."""

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.files.artifacts import repair


def read_npz(path: str | os.PathLike[str], keys: Sequence[str], ours: bool = False) -> dict[str, NDArray[Any]]:
    """Those arrays of an npz that it has among `keys`, in that order.

    Raises InputError, naming the file, when it is missing, damaged, something else, or larger than memory; with the
    command that repairs it if genbench made it, where it may have (`ours`). What is pickled (an array of objects)
    counts as damaged: it is never unpickled.
    """
    try:
        with open(path, "rb") as file:
            # numpy would also take a lone .npy or a pickle for what it is.
            with zipfile.ZipFile(file) as members:
                wanted = [member for member in members.infolist() if member.filename.removesuffix(".npy") in keys]
                size, memory = sum(member.file_size for member in wanted), physical_memory()
            if size > memory:  # a few kilobytes can be packed so that they unpack to any number
                raise InputError(
                    f"{path}: holds {size:,} bytes of arrays, more than this machine's memory ({memory:,})"
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in keys if key in arrays}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError:
        raise
    except Exception as error:  # a damaged file can make zipfile and numpy raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        remedy = f"; if genbench wrote it, {repair(path)}" if ours and Path(path).suffix == ".npz" else ""
        raise InputError(f"{path}: not an npz file, or damaged ({reason}){remedy}") from None


def read_info(path: str | os.PathLike[str], text: NDArray[Any]) -> dict[str, Any]:
    """The JSON object that an npz holds as text. Raises InputError, naming the file, when it is none."""
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
    """The array of an .npy, of which parts are read from the disk when they are asked for.

    Raises InputError, naming the file, when it is missing, damaged or something else. Nothing is unpickled.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # a damaged file can make numpy raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: not an npy file of plain numbers, or damaged ({reason})") from None


def physical_memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
