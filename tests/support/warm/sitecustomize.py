"""Python imports this file when it starts if $PYTHONPATH has its folder. It lets a warm Python run the command instead.

If that is impossible (warm_python.py), it does nothing, and the command runs as usual.
"""

import json
import os
import signal
import socket
import sys


def hand_over() -> None:
    """Run this process's command in a fork of the warm Python, and end with the same status."""
    arguments = sys.orig_argv[1:]
    address, _, prefix = os.environ.get("WARM_PYTHON", "").partition(os.pathsep)
    ours = address and prefix == sys.prefix and arguments and (arguments[0] in ("-m", "-c") or arguments[0][0] != "-")
    if not ours or "PMIX_RANK" in os.environ:  # a rank of srun, which uses no file descriptor
        return
    command = [sys.executable, arguments, os.getcwd(), dict(os.environ)]
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
        except OSError:  # the warm Python has ended
            return
        of_rank = [int(os.environ["PMI_FD"])] if "PMI_FD" in os.environ else []  # the rank's connection to mpiexec
        socket.send_fds(connection, [b"\0"], [0, 1, 2, *of_rank])
        connection.sendall(json.dumps(command).encode())
        connection.shutdown(socket.SHUT_WR)
        status = int(connection.recv(16) or b"1")
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    os._exit(status)


hand_over()
