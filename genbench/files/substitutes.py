"""What a download often contains instead of the file: its name and a sentence for the error, not a broken header."""

import os


def substitute(content: bytes) -> str | None:
    """What these first bytes are in truth, and how to get the file; None where they are nothing of the kind."""
    if b"git-lfs" in content[:64]:
        return "a pointer of Git LFS, not the file: git lfs pull fetches it"
    if content[:256].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, not the file: download it again, where a browser shows what the page says"
    return None


def substitute_at(path: str | os.PathLike[str]) -> str | None:
    """The same of the file at `path`."""
    try:
        with open(path, "rb") as file:
            return substitute(file.read(256))
    except OSError:
        return None
