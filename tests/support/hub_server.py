"""A local model hub that answers like the real one."""

import functools
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from genbench.files import downloads

HUB, REVISION = "somebody/tiny-ddpm", "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A folder of repositories with HUB@REVISION, and the requested paths."""

    def __init__(self, folder: Path) -> None:
        self.repository, self.asked = folder / HUB / REVISION, list[str]()

    def listing(self) -> bytes:
        """Return the hub's list of files. Large files, here all but JSON, have the SHA-256 of their content."""
        files: list[dict] = []
        for path in sorted(self.repository.rglob("*")):
            name = path.relative_to(self.repository).as_posix()
            if path.is_dir():
                files.append({"type": "directory", "oid": "0" * 40, "size": 0, "path": name})
                continue
            content = path.read_bytes()
            file = {"type": "file", "oid": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()}
            if path.suffix != ".json":
                file |= {"oid": "1" * 40, "lfs": {"oid": hashlib.sha256(content).hexdigest(), "pointerSize": 134}}
            files.append(file | {"size": len(content), "path": name})
        return json.dumps(files).encode()


@contextmanager
def running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve `folder` / HUB / REVISION within this context, as the hub that genbench uses."""
    served = Hub(folder)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            if self.path == f"/api/models/{HUB}/tree/{REVISION}?recursive=true":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(served.listing())
            elif self.path.startswith(f"/{HUB}/resolve/{REVISION}/"):  # redirects, as the real hub does for large files
                self.send_response(302)
                self.send_header("Location", self.path.replace("/resolve/", "/"))
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *arguments: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(downloads, "PAUSES", ())
        yield served
        server.shutdown()
        thread.join()
