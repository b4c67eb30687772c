"""Who runs the submissions: as many threads as this machine has cores, or the workers of a cluster."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import joblib
from traitlets import Dict, Integer, Unicode
from traitlets.config import Configurable

from autograder.grading import kernels


class Pool(Protocol):
    """workers: how many submissions it runs at a time. dashboard: the address of a page about it, or ""."""

    workers: int
    dashboard: str

    def submit(self, function: Callable, *values) -> Future: ...

    def close(self) -> None:
        """End what runs, at once."""


class Grading(Configurable):
    """Where submissions are run."""

    workers = Integer(0, min=0, help="Submissions that are run at a time on this machine; 0: one for each core.").tag(
        config=True
    )
    scheduler = Unicode("", help="Address of a Dask scheduler that has workers, such as tcp://10.0.0.1:8786.").tag(
        config=True
    )
    security = Dict(help="What distributed.Security takes, such as tls_ca_file, tls_client_cert, tls_client_key.").tag(
        config=True
    )

    def pool(self, walls: bool) -> Pool:
        """walls: whether learners' code is to run behind walls. Raises MachineFault."""
        if self.scheduler:
            from autograder.grading.cluster import Cluster

            return Cluster(self.scheduler, self.security or None, walls)
        return Threads(self.workers or joblib.cpu_count())  # which counts what a container may use


class Threads:
    """This machine: a thread for each submission that runs, which mostly waits for its kernels."""

    dashboard = ""

    def __init__(self, workers: int):
        self.workers = workers
        self._pool = ThreadPoolExecutor(workers, "grading")
        self.submit = self._pool.submit

    def close(self) -> None:
        with kernels.ending():
            self._pool.shutdown(wait=True, cancel_futures=True)
