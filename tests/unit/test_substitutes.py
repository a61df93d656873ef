"""Every reader names what it finds if a download is really a web page or a pointer of Git LFS."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genbench.data.image_files import decode_or_reason
from genbench.errors import InputError
from genbench.files.archives import list_files
from genbench.files.npz import read_npy, read_npz
from genbench.files.substitutes import substitute
from genbench.files.weights import load_torch_file
from genbench.importing.source import load_safetensors_file

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PAGE = b"\n<!DOCTYPE html><html><head><title>Quota exceeded</title>"
READERS: dict[str, Callable[[Path], Any]] = {
    "a.pt": load_torch_file,
    "a.safetensors": load_safetensors_file,
    "a.npz": lambda path: read_npz(path, ["arr_0"]),
    "a.npy": read_npy,
    "a.zip": list_files,
    "a.tar": list_files,
}


@pytest.mark.parametrize(("content", "words"), [(POINTER, "a pointer of Git LFS, not the"), (PAGE, "a web page, not")])
@pytest.mark.parametrize("name", READERS)
def test_every_reader_says_what_it_is(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: found {words}"):
        READERS[name](tmp_path / name)


def test_an_image_is_told_from_it() -> None:
    def fail(content: bytes) -> Any:
        from PIL import UnidentifiedImageError

        raise UnidentifiedImageError

    assert str(decode_or_reason(POINTER, fail)).startswith("a pointer of Git LFS")
    assert str(decode_or_reason(b"\x00" * 300, fail)).startswith("no PNG")
    assert substitute(b"") is None
