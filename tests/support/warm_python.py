"""A warm Python: it has imported the slow packages of jobs and of Snakemake, and runs each command in a fork.

It imports only other packages, not genbench: the code, arguments, files, environment and exit status of a command are
the same as without it. Tests that kill or measure a process start it without the warm Python.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

SITE = Path(__file__).with_name("warm")
PACKAGES = (
    "torch", "torch.utils.flop_counter", "torchvision", "jaxtyping", "numpy", "scipy.linalg", "pandas", "seaborn",
    "matplotlib.backends.backend_svg", "matplotlib.backends.backend_pdf", "fontTools.subset", "jinja2", "PIL.Image",
    "pydantic", "requests", "safetensors.torch", "tqdm", "yaml", "snakemake.cli", "snakemake.workflow", "snakemake.dag",
    "snakemake.executors.local", "snakemake.report.html_reporter", "snakemake.profiles", "snakemake.storage",
    "smart_open", "rich.table",
)  # fmt: skip


def start(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    """Start a warm Python that listens in `folder`; returns it, and the environment of processes that use it."""
    address = folder / "warm"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "WARM_PYTHON")}
    server = subprocess.Popen([sys.executable, __file__, str(address)], env=environment, start_new_session=True)
    while not address.exists() and server.poll() is None:
        time.sleep(0.05)
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(SITE))))
    return server, {"WARM_PYTHON": f"{address}{os.pathsep}{sys.prefix}", "PYTHONPATH": path}


def serve(address: str) -> socket.socket:
    """Accept commands while the parent process lives; returns in a fork for each, with the connection to its client."""
    parent = os.getppid()
    signal.signal(signal.SIGCHLD, reap)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(64)
        server.settimeout(2)
        while True:
            try:
                connection, _ = server.accept()
            except TimeoutError:
                if os.getppid() != parent:
                    os._exit(0)
                continue
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return connection
            connection.close()


def reap(*_: object) -> None:
    """Wait for the forks that have ended: their CPU time then counts as this process's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def attend(connection: socket.socket) -> list[Any]:
    """Fork again. The child returns the command; the parent waits for the child and sends its exit status."""
    _, files, _, _ = socket.recv_fds(connection, 1, 4)
    command = json.loads(b"".join(iter(lambda: connection.recv(1 << 16), b"")))
    if (child := os.fork()) == 0:
        connection.close()
        for number, file in enumerate(files[:3]):
            os.dup2(file, number)
            os.close(file)
        if files[3:]:  # the command is a rank
            command[-1]["PMI_FD"] = str(files[3])
        return command
    for file in files:
        os.close(file)
    ended, asker = os.pidfd_open(child), select.poll()
    asker.register(ended, select.POLLIN)
    asker.register(connection, select.POLLHUP)
    if ended not in dict(asker.poll()):  # the client was ended
        os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    try:
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    except OSError:
        os._exit(1)
    os._exit(0)


def main() -> None:
    for package in PACKAGES:
        importlib.import_module(package)
    gc.freeze()  # forks then share these objects
    gc.set_threshold(100_000, 50, 100)
    found = sys.path[1:]  # excludes this folder
    executable, arguments, folder, environment = attend(serve(sys.argv[1]))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    kind, *rest = arguments if arguments[0] in ("-m", "-c") else ("", *arguments)
    sys.argv = [kind, *rest[1:]] if kind == "-c" else rest
    sys.orig_argv, sys.executable = [executable, *arguments], executable
    first = str(Path(rest[0]).resolve().parent) if not kind else folder if kind == "-m" else ""
    sys.path[:] = [first, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), *found]
    importlib.invalidate_caches()
    status = finish(kind, rest[0])
    if "mpi4py.MPI" in sys.modules:  # its library disconnects from mpiexec when the process ends
        sys.modules["mpi4py.MPI"].Finalize()
        ctypes.CDLL(None).exit(status)
    os._exit(status)  # after so many imports, an ordinary end of the interpreter is slow


def finish(kind: str, what: str) -> int:
    """Run a command to its end, with Python's usual work at exit; returns the exit status."""
    try:
        run(kind, what)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return status & 0xFF


def run(kind: str, what: str) -> None:
    """Run a module (-m), code (-c), or a file."""
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_path(what, run_name="__main__")


if __name__ == "__main__":
    main()
