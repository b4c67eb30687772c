"""Schedulers and workers in processes of their own, on this host or on hosts of their own (network namespaces).

`act` stands in for `run` on a worker: it writes down that it was called, and does what it is told.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from autograder import ROOT
from autograder.grading.faults import MachineFault
from autograder.grading.run import Outcome

HERE = Path(__file__).resolve().parent


def act(notebook, files, limits) -> Outcome:
    """Called as `run`. files: name, log (a path) and do, some words. The output is this process's id."""
    name, log, do = (files[key].decode() for key in ("name", "log", "do"))
    with open(log, "a") as file:
        file.write(f"{name} {os.getpid()}\n")
    first = len([line for line in Path(log).read_text().splitlines() if line.split()[0] == name]) == 1
    what, *seconds = do.split()
    if what == "sleep" or (what == "dawdle" and first):
        time.sleep(float(seconds[0]))
    elif what == "kill":
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "fault" or (what == "fail" and first):
        raise MachineFault("the disk is full")
    notebook.cells[0].outputs = [nbformat.v4.new_output("stream", text=str(os.getpid()))]
    return Outcome(notebook, [name])


class Hosts:
    """What is started here ends with `close`. tls: a folder of certificates."""

    def __init__(self, tls: Path | None = None):
        self.here, self.folder = HERE, Path(tempfile.mkdtemp(prefix="cl"))  # a short path: kernels' sockets lie in it
        self.folder.chmod(0o711)
        self.tls, self._processes, self._spaces, self.address = tls, [], [], ""

    def scheduler(self, host: str = "127.0.0.1", space: str = "") -> str:
        """Start one, which finds nothing of the course; its address."""
        file = self.folder / "scheduler.json"
        options = ["--host", host, "--port", "0", "--dashboard-address", ":0", "--scheduler-file", str(file)]
        self.scheduler_process = self._dask(
            "scheduler", *self._security(), *options, space=space, cwd=self.folder, PYTHONPATH=""
        )
        wait_until(lambda: file.exists() and file.read_text().strip().endswith("}"), "a scheduler")
        self.address = json.loads(file.read_text())["address"]
        return self.address

    def worker(self, *options, threads=1, nanny=False, space="", **changes) -> subprocess.Popen:
        """Start one. changes: `cwd`, and variables of its environment."""
        options = [self.address, "--nthreads", str(threads), "--nworkers", "1", "--memory-limit", "0", *options]
        options += [] if nanny else ["--no-nanny"]
        return self._dask("worker", *self._security(), "--no-dashboard", *options, space=space, **changes)

    def _security(self) -> list[str]:
        names = {"--tls-ca-file": "ca.pem", "--tls-cert": "node.pem", "--tls-key": "node.key"}
        return [word for option, name in names.items() for word in (option, str(self.tls / name))] if self.tls else []

    def _dask(self, *command, space="", cwd=ROOT, **variables) -> subprocess.Popen:
        variables = {
            "PYTHONPATH": str(HERE),
            "TMPDIR": str(self.folder),
        } | variables
        command = [sys.executable, "-m", "dask", *command]
        if command[4] == "worker":
            command += ["--local-directory", str(self.folder)]
        if space:
            command = ["ip", "netns", "exec", space, *command]
        with open(self.folder / "log", "a") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            process = subprocess.Popen(command, cwd=cwd, env=os.environ | variables, start_new_session=True, **streams)
        self._processes.append(process)
        return process

    def host(self, number: int, to: str = "") -> tuple[str, str]:
        """A host of its own, on a cable of its own to the host `to`, or to this one; (its name, its address).

        number: 1 to 200, a subnet. The cable's end at this side is called like the host.
        """
        name, net = f"cl{os.getpid()}-{number}", f"10.{200 + os.getpid() % 50}.{number}"
        ip("netns", "add", name)
        self._spaces.append(name)
        ip("-n", name, "link", "set", "lo", "up")
        ip(
            "-n",
            name,
            "link",
            "add",
            "out",
            "type",
            "veth",
            "peer",
            "name",
            name[:15],
            *(["netns", to] if to else ["netns", str(os.getpid())]),
        )
        at = ["-n", to] if to else []
        ip(*at, "addr", "add", f"{net}.1/24", "dev", name[:15])
        ip(*at, "link", "set", name[:15], "up")
        ip("-n", name, "addr", "add", f"{net}.2/24", "dev", "out")
        ip("-n", name, "link", "set", "out", "up")
        ip("-n", name, "route", "add", "default", "via", f"{net}.1")
        return name, f"{net}.2"

    def cut(self, name: str) -> None:
        """Take a host off its cable: what is sent goes nowhere, and nobody is told."""
        ip("-n", name, "link", "set", "out", "down")

    def stop(self, *processes: subprocess.Popen) -> None:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in processes:
            process.wait(10)

    def close(self) -> None:
        self.stop(*self._processes)
        for name in self._spaces:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)
        shutil.rmtree(self.folder, ignore_errors=True)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


def no_hosts() -> str:
    """Why hosts of their own cannot be made here; "" where they can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    name = f"cl{os.getpid()}-try"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
    except (OSError, subprocess.CalledProcessError) as why:
        return f"network namespaces cannot be made here: {why}"
    return ""


def wait_until(true, what: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what} did not come in {seconds} s"
        time.sleep(0.05)
