"""Serves the demo pages with Voila: a kernel for each viewer, ended when the viewer leaves."""

import logging
import os
import socket
from pathlib import Path

import tornado.web
from jupyter_server.utils import url_path_join
from traitlets.config import Config
from voila.app import Voila
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler

from autograder import ROOT
from autograder.showing import demo_pages, ports
from autograder.showing.lab import Prompt

EXTENSIONS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]


class Demo(Voila):
    """Voila with the course's template, and the list of chapters at /."""

    def setup_template_dirs(self):
        super().setup_template_dirs()
        self.template_paths.insert(0, str(demo_pages.PAGE))

    def init_handlers(self):
        return [
            (self.server_url, _Index, {"page": Path(self.root_dir, "index.html")}),
            (url_path_join(self.server_url, r"/voila/api/shutdown/(.*)"), _Leave),
            *super().init_handlers(),
        ]


class _Index(tornado.web.RequestHandler):
    def initialize(self, page: Path):
        self.page = page

    def get(self):
        self.write(self.page.read_text("utf-8"))


class _Leave(VoilaShutdownKernelHandler):
    """What a page asks for when it is closed: the end of its kernel."""

    def check_xsrf_cookie(self):
        """Asks for no token: Voila's page has none (voila issue 1458), and who knows a kernel's id has its page."""


def serve(only: list[str], port: str, host: str) -> None:
    """Serve the pages of the chapters in `only` until interrupted. Raises CourseError when the port is taken."""
    port = ports.require_free(port, host)
    pages = demo_pages.write(only)
    os.environ["PYTHONPATH"] = str(ROOT)  # the viewers' kernels read the kept figures with autograder.showing.recorder
    config = Config()
    config.Voila.update(
        {
            "port": port,
            "port_retries": 0,
            "ip": host,
            "open_browser": False,
            "root_dir": str(pages),
            "log_level": logging.ERROR,
        }
    )
    config.VoilaConfiguration.extension_allowlist = EXTENSIONS  # no grading or editing tools on a demo page
    config.Voila.kernel_websocket_connection_class = Prompt
    config.KernelManager.transport = "ipc"
    # A viewer who leaves ends the kernel; these are for those whose machine just went away.
    config.AsyncMappingKernelManager.update({"cull_idle_timeout": 600, "cull_interval": 60})
    # Jupyter counts pings in milliseconds where tornado counts seconds, which tornado mentions to every viewer.
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    app = Demo(config=config)
    app.initialize([])
    here = {"127.0.0.1": "localhost", "0.0.0.0": socket.gethostname()}.get(host, host)
    print(f"live figures at http://{here}:{port}/ (end with Ctrl+C)", flush=True)
    app.start()
