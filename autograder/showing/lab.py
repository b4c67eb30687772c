"""JupyterLab as the course serves it: for learners by `make lab`, and for the tests and the bench on a free port.

Jupyter's server lets TCP hold a short message back until the browser has acknowledged the one before (Nagle's
algorithm). A frame of a live figure is a few short messages, so every sixth came 40 ms late. `Prompt` sends at once.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from autograder import ROOT, CourseError
from autograder.authoring import chapters
from autograder.showing import ports

TOKEN = "course"
WORK = ROOT / "work"

#: For tests and bench: cells out of sight are drawn too, and nothing asks for news.
SETTINGS = """{
  "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
  "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}
}"""


class Prompt(ZMQChannelsWebsocketConnection):
    """The kernel's messages to the browser, each sent as soon as it is there."""

    def connect(self):
        self.websocket_handler.set_nodelay(True)
        return super().connect()


def command(folder: Path, port: int) -> list[str]:
    """What starts JupyterLab on a folder, from the repository's root."""
    return [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--allow-root",  # make's user is root in many containers
        f"--ServerApp.kernel_websocket_connection_class={Prompt.__module__}.{Prompt.__name__}",
    ]


def work(port: str | int = 8888) -> None:
    """Serve WORK, a person's own copies of the releases. A copy that is there stays as it is."""
    number = ports.require_free(port)
    for chapter in chapters.names():
        mine = WORK / chapter / f"{chapter}.ipynb"
        if not mine.exists():
            mine.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(chapters.release_path(chapter), mine)
    print(f"your own copies of the chapters are in {WORK.name}/; delete one to start it again from the release")
    subprocess.run(command(WORK, number), cwd=ROOT, check=False)


@contextlib.contextmanager
def served(folder: Path, timeout: float = 60) -> Iterator[str]:
    """Serve `folder` on a free port of this machine; the address of what is in it, to be completed by a path.

    Nothing of the user's own Jupyter settings is read or written. Raises CourseError when it does not start.
    """
    port = ports.find_free()
    with tempfile.TemporaryDirectory() as home:
        own = {f"JUPYTER_{name}_DIR": f"{home}/{name.lower()}" for name in ("CONFIG", "DATA", "RUNTIME")}
        environment = {**os.environ, **own, "IPYTHONDIR": f"{home}/ipython"}
        settings = Path(home, "config", "labconfig", "default_setting_overrides.json")
        settings.parent.mkdir(parents=True)
        settings.write_text(SETTINGS, "utf-8")
        said = Path(home, "log")
        options = ["--no-browser", f"--IdentityProvider.token={TOKEN}"]
        with said.open("w") as log:
            server = subprocess.Popen(
                [*command(folder, port), *options], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        try:
            _wait(server, f"http://127.0.0.1:{port}/api?token={TOKEN}", said, timeout)
            yield f"http://127.0.0.1:{port}/lab/tree"
        finally:
            server.terminate()  # ends its kernels, too
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait(server: subprocess.Popen, address: str, said: Path, timeout: float) -> None:
    end = time.monotonic() + timeout
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(address, timeout=5).close()
            return
        time.sleep(0.1)
    last = (said.read_text("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
    raise CourseError(f"JupyterLab did not start within {timeout:g} s: {last}; run make again to set .venv up")
