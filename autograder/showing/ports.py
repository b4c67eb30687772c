"""Is a port free, and which one is? Asked before JupyterLab or the demos start, so that the answer is one line."""

import socket

from autograder import CourseError


def require_free(port: str | int, host: str = "127.0.0.1") -> int:
    """`port` as a number; CourseError when it is none, or when something listens on it already."""
    if not str(port).isdigit() or not 0 < int(port) < 65536:
        raise CourseError(f"{port!r} is not a port: choose a number from 1024 to 65535 with PORT=")
    port = int(port)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CourseError(
                f"port {port} is in use or not allowed ({error.strerror}): choose another with PORT={port + 1}"
            ) from None
    return port


def find_free() -> int:
    """A port of this machine that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
