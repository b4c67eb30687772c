"""Is a port free? Asked before JupyterLab or the demos start, so that the answer is one line."""

import socket

from autograder import CourseError


def require_free(port: int, host: str = "127.0.0.1") -> None:
    """Raise CourseError when something listens on `port` already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CourseError(
                f"port {port} is in use or not allowed ({error.strerror}): choose another with PORT={port + 1}"
            ) from None
