"""The other side of foreign_process.py: applies a function in a user's file to one array after another.

It is started as a separate program, with that file's folder as its working directory, and does not import genbench.
"""

import hashlib
import json
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np


def where(path: str, error: BaseException) -> str:
    """One line about an error: the line number, if it passed through the file, the error's type and its message."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    said = " ".join(str(error).split())[:500]
    return f"{f'line {line}: ' if line else ''}{type(error).__name__}{f': {said}' if said else ''}"


def main(path: str, name: str, digest: str) -> None:
    """Answer requests on standard input until it ends. Requests and answers are a line of JSON and an array's bytes."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what the function prints belongs in the log,
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)  # line by line: this process ends by a signal

    def answer(header: dict[str, Any], content: bytes = b"") -> None:
        answers.write(json.dumps(header).encode() + b"\n" + content)
        answers.flush()

    module = ModuleType("foreign")
    module.__file__ = path
    sys.modules[module.__name__] = module  # where dataclasses look annotations up
    sys.path.insert(0, os.path.dirname(path))
    try:
        source = Path(path).read_bytes()
        if hashlib.sha256(source).hexdigest()[: len(digest)] != digest:
            raise RuntimeError("the file was edited since it was read")
        exec(compile(source, path, "exec"), vars(module))
    except BaseException as error:
        answer({"error": where(path, error)})
        return
    function = vars(module).get(name)
    if not callable(function):
        own = sorted(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        answer({"error": f"found the functions {', '.join(own) or 'none'}, expected one of this name"})
        return
    while line := requests.readline():
        asked = json.loads(line)
        size = int(np.prod(asked["shape"])) * np.dtype(asked["dtype"]).itemsize
        values = np.frombuffer(requests.read(size), asked["dtype"]).reshape(asked["shape"]).copy()
        try:
            found = np.asarray(function(values))
        except BaseException as error:
            answer({"error": where(path, error)})
            continue
        header: dict[str, Any] = {"dtype": str(found.dtype), "shape": list(found.shape)}
        if found.dtype.kind in "biuf" and found.size:
            header["values"] = [float(found.min()), float(found.max())]
        answer(header, np.ascontiguousarray(found).tobytes() if found.dtype == np.uint8 else b"")


if __name__ == "__main__":
    main(*sys.argv[1:])
