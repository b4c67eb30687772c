"""Who gets what: submissions that wait, workers with free threads, and one call for each thread.

What was lost with a worker goes first, to one that has not had it; the last try gets a worker for itself alone, since
its neighbours may be what it was lost with, or it theirs. It runs in one event loop and knows nothing of Dask.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from autograder.collecting.account import say

SILENT = 30  # seconds without a sign of life from a worker; then others get its work, too
PATIENCE = 60  # seconds that a submission waits while no worker is there that may take it


class Nobody(Exception):
    """There was no worker for a submission, for long."""


class Worker:
    """One process of a worker. misfit: why it gets no work, "" where it fits, None while it is checked."""

    def __init__(self, address: str):
        self.address, self.threads, self.status = address, 0, ""
        self.misfit: str | None = None
        self.gone, self.silent = asyncio.Event(), asyncio.Event()
        self.running: set[Try] = set()
        self.kept_for: Try | None = None
        self._seen, self._heard = None, 0.0

    def look(self, said: dict, now: float) -> None:
        """said: the scheduler's entry for it. now: seconds."""
        self.threads, self.status = said["nthreads"], said["status"]
        if said["last_seen"] != self._seen:
            self._seen, self._heard = said["last_seen"], now
            self.silent.clear()
        elif now - self._heard > SILENT and not self.silent.is_set():
            self.silent.set()
            say(f"worker {self.address} has been silent for {SILENT} s: others get its work")

    def ready(self) -> int:
        """How many of its threads are free, or will be in bounded time."""
        fit = self.misfit == "" and self.status == "running" and not self.silent.is_set()
        return self.threads - sum(each.late.is_set() for each in self.running) if fit else 0

    def usable(self, alone: bool = False) -> bool:
        """Will a thread be free, or all of them, in bounded time?"""
        return self.ready() > (self.threads - 1 if alone else 0)

    def takes(self, each: "Try") -> bool:
        """Does it take the try now? For one that wants it alone it is kept until it is empty."""
        if self.kept_for not in (None, each):
            return False
        if each.alone:
            self.kept_for = each
            return not self.running
        return len(self.running) < self.threads


class Try:
    """A submission that waits for a worker, or is with one.

    number: which of its tries, from 0. tried: the workers that had it. late: set when it takes too long.
    worker: a future of the worker; its exception is Nobody.
    """

    def __init__(self, number: int, count: int, tried: set[Worker], alone: bool):
        loop = asyncio.get_running_loop()
        self.place, self.tried, self.alone = (-number, count), tried, alone
        self.worker, self.late, self.since = loop.create_future(), asyncio.Event(), loop.time()


class Places:
    """The workers, and what waits for them."""

    def __init__(self):
        self.workers: dict[tuple, Worker] = {}
        self._waiting: list[Try] = []

    def update(self, said: dict[str, dict], now: float) -> Iterable[Worker]:
        """Follow the scheduler's entries, by address; returns the workers that are new."""
        present = {(address, each["local_directory"]): each for address, each in said.items()}  # one for each process
        for key in [key for key in self.workers if key not in present]:
            worker = self.workers.pop(key)
            worker.gone.set()
            if worker.running:
                say(f"worker {worker.address} is gone: others get its work")
        new = {key: Worker(key[0]) for key in present if key not in self.workers}
        self.workers |= new
        for key, worker in self.workers.items():
            worker.look(present[key], now)
        return new.values()

    def others(self, tried: set[Worker], alone: bool = False) -> list[Worker]:
        """The workers that may take a submission, now or soon, and have not had it."""
        return [worker for worker in self.workers.values() if worker not in tried and worker.usable(alone)]

    def enter(self, each: Try) -> None:
        self._waiting.append(each)

    def place(self, now: float) -> None:
        """Give work to whoever has a free thread, to the emptiest first. now: seconds."""
        for each in sorted(self._waiting, key=lambda each: each.place):
            may = self.others(each.tried, each.alone)
            may.sort(key=lambda worker: (worker.kept_for is not each, len(worker.running) / worker.threads))
            if may:
                each.since = now
                for worker in may[:1] if each.alone else may:
                    if worker.takes(each):
                        worker.running.add(each)
                        each.tried.add(worker)
                        self._settle(each, each.worker.set_result, worker)
                        break
            elif now - each.since > PATIENCE:
                why = Nobody(f"no worker was there for {PATIENCE} s that had not had it")
                self._settle(each, each.worker.set_exception, why)

    def _settle(self, each: Try, say_so: Callable, what) -> None:
        self._waiting.remove(each)
        if not each.worker.done():
            say_so(what)

    def leave(self, each: Try) -> None:
        """It neither waits nor runs any more."""
        with contextlib.suppress(ValueError):
            self._waiting.remove(each)
        for worker in self.workers.values():
            worker.running.discard(each)
            if worker.kept_for is each:
                worker.kept_for = None
