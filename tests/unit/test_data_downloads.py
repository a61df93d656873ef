"""Downloads over a failing network: a server that cuts connections, refuses, redirects and sends wrong content."""

import hashlib
import http.server
import os
import re
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from genbench.errors import InputError
from genbench.files import downloads
from genbench.files.downloads import download

CONTENT = np.random.default_rng(0).bytes(500_000)
WRONG = b"<html>log in to the network first</html>" * 50


def check(path):
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != (expected := hashlib.sha256(CONTENT).hexdigest()):
        raise InputError(f"{path}: found sha256 {found}, expected {expected}")


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT at all but a few paths; `served` counts the bytes of bodies, `ranges` lists the Range headers."""

    cuts: list[int]  # bytes of a body after which the connection breaks, for each of the first requests
    ranges_work = True
    wrong_range = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts, self.asked, self.served, self.ranges, self.failures = [], [], 0, [], defaultdict(list)
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server, name = self.server, self.path.strip("/")
        server.asked.append(name)
        server.ranges.append(self.headers["Range"])
        if failures := server.failures[name]:
            self.send_error(failures.pop(0))
        elif name == "missing":
            self.send_error(404)
        elif name == "loop" or name.startswith("to-"):
            self.send_response(302)
            self.send_header("Location", server.url + ("loop" if name == "loop" else name.removeprefix("to-")))
            self.end_headers()
        else:
            self.send_content(WRONG if name == "wrong" else CONTENT)

    def send_content(self, content):
        server, start = self.server, 0
        if server.ranges_work and (asked := re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")):
            start = int(asked[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206)
            shown = start + 1 if server.wrong_range else start
            self.send_header("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        if self.path.endswith(".gz"):
            self.send_header("Content-Encoding", "gzip")  # some servers send this for a .gz file
        self.end_headers()
        if server.cuts:
            body = body[: server.cuts.pop(0)]
        server.served += len(body)  # before the body: a test that has read it may check at once
        self.wfile.write(body)


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The pauses that a download would have made."""
    made = []
    monkeypatch.setattr(downloads.time, "sleep", made.append)
    return made


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "birds.tar.gz"


def part_of(target):
    return target.with_name("birds.tar.part.gz")


def files(target):
    return sorted(path.name for path in target.parent.iterdir())


def refusal(urls, target):
    with pytest.raises(InputError) as error:
        download(urls, target, check)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_arrives_under_its_name(server, target):
    download([f"{server.url}a"], target, check)
    assert target.read_bytes() == CONTENT
    assert files(target) == ["birds.tar.gz"]
    assert (server.asked, server.served) == (["a"], len(CONTENT))


def test_a_gzipped_file_stays_as_it_is(server, target):
    download([f"{server.url}a.gz"], target, check)
    assert target.read_bytes() == CONTENT


def test_cut_connections_are_resumed_where_they_were_cut(server, target, waits):
    server.cuts = [100_000, 150_000, 1]
    download([f"{server.url}a"], target, check)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=250000-", "bytes=250001-"]
    assert server.served == len(CONTENT)  # no byte was sent twice
    assert waits == []  # each round received bytes


def test_another_run_resumes_what_one_left(server, target):
    part_of(target).parent.mkdir()
    part_of(target).write_bytes(CONTENT[:400_000])
    download([f"{server.url}a"], target, check)
    assert (target.read_bytes(), server.served) == (CONTENT, 100_000)
    assert files(target) == ["birds.tar.gz"]


def test_a_mirror_resumes_what_another_began(server, target):
    server.cuts = [300_000]
    download([f"{server.url}a", f"{server.url}b"], target, check)
    assert (server.asked, server.served) == (["a", "b"], len(CONTENT))


def test_a_server_without_ranges_begins_anew(server, target):
    server.ranges_work, server.cuts = False, [300_000]
    download([f"{server.url}a"], target, check)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]
    assert server.served == 300_000 + len(CONTENT)


def test_a_server_that_cuts_for_ever_ends_in_an_error_and_keeps_the_part(server, target, waits):
    server.ranges_work, server.cuts = False, [1000] * 99
    message = refusal([f"{server.url}a"], target)
    assert "a: IncompleteRead at byte 1,000" in message or "a: ProtocolError at byte 1,000" in message
    assert f"1,000 bytes are kept in {part_of(target)}, for the next attempt" in message
    assert waits == list(downloads.PAUSES)
    assert len(server.asked) == 2 + len(downloads.PAUSES)  # the first request received bytes, so no pause followed
    assert part_of(target).read_bytes() == CONTENT[:1000]


def test_another_range_than_asked_for_is_not_joined(server, target):
    server.wrong_range, server.cuts = True, [1000]
    download([f"{server.url}a"], target, check)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-", None]


@pytest.mark.parametrize(("left", "requests"), [(CONTENT, 1), (CONTENT + b"x", 2), (WRONG, 2), (b"\0" * 500_000, 2)])
def test_what_was_left_may_be_whole_too_long_or_something_else(server, target, left, requests):
    target.parent.mkdir()
    part_of(target).write_bytes(left)
    download([f"{server.url}a"], target, check)
    assert target.read_bytes() == CONTENT
    assert len(server.asked) == requests
    assert files(target) == ["birds.tar.gz"]


def test_wrong_bytes_are_not_kept_and_not_asked_for_again(server, target, waits):
    message = refusal([f"{server.url}wrong"], target)
    found, expected = (hashlib.sha256(content).hexdigest() for content in (WRONG, CONTENT))
    assert f"{server.url}wrong: {target.name}: found sha256 {found}, expected {expected}" in message
    assert files(target) == []
    assert (server.asked, waits) == (["wrong"], [])


def test_redirects_are_followed_and_resumed_behind(server, target):
    server.cuts = [200_000]
    download([f"{server.url}to-to-a"], target, check)
    assert server.asked == ["to-to-a", "to-a", "a"] * 2
    assert (target.read_bytes(), server.served) == (CONTENT, len(CONTENT))


def test_mirrors_serve_when_others_do_not(server, target, waits):
    urls = ["http://127.0.0.1:9/a", "nonsense", *(f"{server.url}{name}" for name in ("loop", "missing", "wrong", "a"))]
    download(urls, target, check)
    assert target.read_bytes() == CONTENT
    assert waits == []


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server, target, waits):
    server.failures["a"] = [503, 429, 500]
    download([f"{server.url}missing", f"{server.url}a"], target, check)
    assert server.asked == ["missing", "a", "a", "a", "a"]
    assert waits == list(downloads.PAUSES)


def test_without_a_network_one_line_says_what_to_do(server, target):
    message = refusal(["http://127.0.0.1:9/a", f"{server.url}missing"], target)
    assert message.startswith(
        f"{target}: missing, and could not be downloaded (http://127.0.0.1:9/a: NewConnectionError;"
    )
    assert "missing: HTTP 404)" in message
    assert message.endswith(
        f"fetch http://127.0.0.1:9/a elsewhere and put it at {target}; the suite demo needs no download"
    )
    assert files(target) == []


def test_two_processes_that_want_one_file_fetch_it_once(server, target):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: download([f"{server.url}a"], target, check), range(4)))
    assert target.read_bytes() == CONTENT
    assert (server.served, files(target)) == (len(CONTENT), ["birds.tar.gz"])


def test_a_part_that_another_process_removes_is_opened_anew(server, target, monkeypatch):
    looked = []

    def removed_after_a_look(self, **options):
        if not self.name.endswith(".part.gz") or looked:
            return os.stat(self, **options)
        self.unlink()  # its process renamed it; the next process has begun another file and drops it at once
        self.touch()
        looked.append(os.stat(self))
        self.unlink()
        return looked[0]

    monkeypatch.setattr(downloads.Path, "stat", removed_after_a_look)
    download([f"{server.url}a"], target, check)
    assert looked
    assert (target.read_bytes(), files(target)) == (CONTENT, ["birds.tar.gz"])


def test_a_full_disk_is_no_matter_of_the_network(server, target, monkeypatch):
    def full(*arguments):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(downloads.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        download([f"{server.url}a"], target, check)
    assert not target.exists()
