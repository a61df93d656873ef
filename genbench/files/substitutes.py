"""What a download often contains instead of the file, named in the error instead of a broken header."""

import os


def substitute(content: bytes) -> str | None:
    """What a file with these first bytes is instead, and how to get the right one; None for other files."""
    if b"git-lfs" in content[:64]:
        return "a pointer of Git LFS, not the file: git lfs pull fetches it"
    if content[:256].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, not the file: download it again, where a browser shows what the page says"
    return None


def substitute_at(path: str | os.PathLike[str]) -> str | None:
    """As `substitute`, for the file at `path`."""
    try:
        with open(path, "rb") as file:
            return substitute(file.read(256))
    except OSError:
        return None
