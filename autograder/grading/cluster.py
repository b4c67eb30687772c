"""Grading on many machines: `run` goes to the workers of a Dask cluster, and what becomes of a worker costs only time.

Dask carries calls and outcomes. Which worker gets what is decided here (placing): so none gets work before it was
checked (remote), and what a worker that is lost, silent or late was given goes to another, however long Dask itself
takes to notice. `run` is a function of values: the first outcome counts, any other is dropped.

Dask puts what travels into pickles, and whoever reaches a scheduler can run code on its workers: hence TLS.
"""

import asyncio
import contextlib
import itertools
import logging
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError

from nbformat import NotebookNode

from autograder.collecting.account import say, shown
from autograder.grading import remote
from autograder.grading.faults import MachineFault
from autograder.grading.limits import Limits
from autograder.grading.placing import Nobody, Places, Try, Worker

ANSWER = 30  # seconds in which the scheduler must answer, at first and later
START = 60  # seconds for the first worker to be there and checked
MARGIN = 120  # seconds that a submission may take beside its own time: for starting and travelling
TRIES = 3  # workers that one submission is given to
TICK = 1  # seconds from one look at the workers to the next
THERE = "__import__('importlib').import_module('autograder.grading.remote').{name}(*values)"  # in a worker's own code


class _Lost(Exception):
    """A try that came to nothing, and why. fault: it is the worker's own word, which lives on."""

    def __init__(self, why: str, fault: bool = False):
        super().__init__(why)
        self.fault = fault


class _Job:
    """One submission. bound: seconds after which another worker gets it, too."""

    def __init__(self, call: tuple, notebook: NotebookNode, bound: float):
        self.call, self.notebook, self.bound = call, notebook, bound
        self.tried: set[Worker] = set()
        self.future: Future = Future()
        self.future.set_running_or_notify_cancel()


class Cluster:
    """Runs submissions on a Dask cluster's workers; close it, or use it in a with statement.

    address: the scheduler's, such as "tcp://10.0.0.1:8786". security: None, or what distributed.Security takes, such as
    {"tls_ca_file": ..., "tls_client_cert": ..., "tls_client_key": ...}, paths of PEM files. walls: whether workers must
    be able to make them. Raises MachineFault, with what to do, where no cluster is there that can work.

    dashboard: the address of the scheduler's page, or "".
    """

    def __init__(self, address: str, security: dict | None = None, walls: bool = True):
        try:
            import distributed
        except ImportError as why:
            raise MachineFault(f"grading on {address} needs Dask: pip install '.[cluster]'") from why
        for name in ("distributed", "distributed.client"):  # what they tell in tracebacks is told here in a line
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            security = distributed.Security(**{"require_encryption": True} | security) if security else None
        except (TypeError, ValueError) as why:
            raise MachineFault(f"the security of {address} cannot be used: {why}") from why
        self.address, self.dashboard, self._walls = address, "", walls
        self._here = remote.fitness(walls=False)
        self._places, self._count = Places(), itertools.count()
        self._lock, self._opened, self._ended = threading.Lock(), Future(), None
        self._jobs: set[_Job] = set()
        self._tasks: set[asyncio.Task] = set()
        self._thread = threading.Thread(target=self._live, args=(security,), name="cluster", daemon=True)
        self._thread.start()
        try:
            self._opened.result()
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        """How many submissions it can run at a time, as things are."""
        return sum(worker.ready() for worker in list(self._places.workers.values()))

    def submit(self, function: Callable, notebook: NotebookNode, files: dict[str, bytes], limits: Limits) -> Future:
        """A future of function(notebook, files, limits), which is `run` or a module's function that is called so.

        It ends, whatever becomes of the cluster: with an outcome, or with MachineFault. It cannot be cancelled.
        """
        bound = 2 * limits.total_timeout + MARGIN  # `run` may run it twice
        job = _Job(remote.call(function, notebook, files, limits), notebook, bound)
        with self._lock:
            if self._ended:
                job.future.set_exception(self._ended)
            else:
                self._jobs.add(job)
                self._loop.call_soon_threadsafe(lambda: self._begin(self._carry(job)))
        return job.future

    def close(self) -> None:
        """What is not finished ends with MachineFault; returns in bounded time."""
        self._end(MachineFault("the cluster was closed before the submission was run"))
        with contextlib.suppress(AttributeError, RuntimeError):  # it was not open yet, or is not any more
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(ANSWER)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _end(self, fault: MachineFault) -> None:
        """Nothing is waited for any more, and nothing taken."""
        with self._lock:
            self._ended = self._ended or fault
            futures = [self._opened, *(job.future for job in self._jobs)]
        for future in futures:
            with contextlib.suppress(InvalidStateError):
                future.set_exception(self._ended)

    # The rest runs in a thread of its own, in its event loop.

    def _live(self, security) -> None:
        fault = MachineFault(f"the work with {self.address} has ended")
        try:
            asyncio.run(self._main(security))
        except MachineFault as why:
            fault = why
        except BaseException as why:
            fault = MachineFault(f"the work with {self.address} has ended: {type(why).__name__}: {why}")
        finally:
            self._end(fault)

    async def _main(self, security) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._client = await self._connect(security)
        fault = MachineFault(f"the work with {self.address} has ended")
        try:
            self.dashboard = self._client.dashboard_link or ""
            looking, stopping = self._begin(self._look()), self._begin(self._stop.wait())
            await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if looking.done():
                await looking
        except MachineFault as why:
            fault = why
        finally:
            self._end(fault)  # before anything that may take time
            for task in self._tasks:
                task.cancel()
            await _close(self._client)

    async def _connect(self, security):
        from distributed import Client

        client, options = None, {"asynchronous": True, "set_as_default": False, "direct_to_workers": False}
        try:
            client = Client(self.address, security=security, timeout=ANSWER, **options)
            return await asyncio.wait_for(client, ANSWER + 5)
        except Exception as why:
            await _close(client)
            root = why
            while root.__cause__:
                root = root.__cause__
            reason = str(why) if root is why else f"{why}: {root}"
            raise MachineFault(
                f"no scheduler can be used at {self.address} ({shown(reason, 300)}). Is one running there, can this "
                "machine reach it, and are both on TLS, with certificates of one authority, or neither?"
            ) from why

    async def _look(self) -> None:
        """Follow what becomes of the workers. Raises MachineFault when the scheduler is gone, or no worker comes."""
        started = heard = self._loop.time()
        while True:
            try:
                said = await asyncio.wait_for(self._client.scheduler.identity(), ANSWER)
            except Exception as why:
                if self._loop.time() - heard >= ANSWER:
                    raise MachineFault(f"the scheduler at {self.address} has not answered for {ANSWER} s") from why
            else:
                heard = self._loop.time()
                for worker in self._places.update(said["workers"], heard):
                    self._begin(self._check(worker))
            self._place()
            self._open(self._loop.time() - started > START)
            await asyncio.sleep(TICK)

    def _open(self, late: bool) -> None:
        """Ready for work as soon as the workers are checked. Raises MachineFault where none fits and it is late."""
        workers = self._places.workers.values()
        if self._opened.done():
            return
        if any(worker.usable() for worker in workers) and (late or all(w.misfit is not None for w in workers)):
            self._opened.set_result(None)
        elif late:
            whys = [f"{w.address}: {'it was not checked in time' if w.misfit is None else w.misfit}" for w in workers]
            why = "; ".join(whys) or "none is there; start one: python -m dask worker"
            raise MachineFault(f"no worker of {self.address} can be given work ({why})")

    async def _check(self, worker: Worker) -> None:
        """Find out whether it may get work, and say why not."""
        try:
            there = remote.Fitness(*await self._at(worker, "fitness", self._walls))
            worker.misfit = remote.misfit(there, self._here)
        except ImportError as why:
            worker.misfit = f"{shown(why, 200)}; start it in this repository's folder: python -m dask worker"
        except Exception as why:
            worker.misfit = f"it could not be checked ({type(why).__name__}: {shown(why, 200)})"
        if worker.misfit and not worker.gone.is_set():
            say(f"worker {worker.address} gets no work: {worker.misfit}")
        self._place()

    async def _at(self, worker: Worker, name: str, *values):
        """What a function of `remote` returns there. It is looked up there: a scheduler needs nothing but Dask."""
        key, expression = f"{name}-{uuid.uuid4()}", THERE.format(name=name)
        future = self._client.submit(
            eval, expression, {"values": values}, key=key, workers=[worker.address], pure=False
        )
        try:
            return await future
        finally:
            future.release()

    async def _carry(self, job: _Job) -> None:
        """Bring one submission to its end."""
        outcome = fault = None
        try:
            outcome = await self._tries(job)
        except MachineFault as why:
            fault = why
        except Exception as why:
            fault = MachineFault(f"{type(why).__name__}: {why}")
        with self._lock:
            self._jobs.discard(job)
        with contextlib.suppress(InvalidStateError):
            job.future.set_exception(fault) if fault else job.future.set_result(outcome)

    async def _tries(self, job: _Job):
        """The first outcome of at most TRIES workers; the next is asked when one is lost, late or silent."""
        whys, tries = [], {}
        try:
            for number in range(TRIES):
                each = Try(number, next(self._count), job.tried, alone=number == TRIES - 1)
                newest = self._begin(self._try(each, job))
                tries[newest] = each
                while not newest.done() and not each.late.is_set():
                    late = self._begin(each.late.wait())
                    await asyncio.wait({late, *tries}, return_when=asyncio.FIRST_COMPLETED)
                    late.cancel()
                    for task in [task for task in tries if task.done()]:
                        del tries[task]
                        try:
                            return await task
                        except _Lost as why:
                            whys.append(str(why))
                            if why.fault and not tries and not self._places.others(job.tried):
                                raise MachineFault(str(why)) from why
                        except Nobody as why:
                            raise MachineFault("; ".join([*whys, str(why)])) from why
                if each.late.is_set():
                    whys.append(f"worker {each.worker.result().address} took too long or went silent")
            raise MachineFault(f"it was given to {TRIES} workers: {'; '.join(whys)}")
        finally:
            for task, each in tries.items():
                if not each.worker.done():  # one that is with a worker holds its thread until it ends
                    task.cancel()

    async def _try(self, each: Try, job: _Job):
        """Wait for a worker and have the outcome from it. Raises _Lost, Nobody."""
        watching = []
        try:
            self._places.enter(each)
            self._place()
            worker = await each.worker
            reply, gone = self._begin(self._at(worker, "work", *job.call)), self._begin(worker.gone.wait())
            watching = [reply, gone, self._begin(worker.silent.wait())]
            await asyncio.wait(watching, timeout=job.bound, return_when=asyncio.FIRST_COMPLETED)
            if not reply.done() and not gone.done():
                each.late.set()
                self._place()
                await asyncio.wait({reply, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not reply.done() or reply.exception():
                why = f" ({shown(reply.exception(), 200)})" if reply.done() and not gone.done() else ""
                raise _Lost(f"worker {worker.address} was lost{why}")
            return remote.outcome_of(reply.result(), job.notebook)
        except MachineFault as why:
            raise _Lost(str(why), fault=True) from why
        finally:
            for task in watching:
                task.cancel()
            self._places.leave(each)
            self._place()

    def _place(self) -> None:
        if self._client.status == "running":
            self._places.place(self._loop.time())

    def _begin(self, coroutine) -> asyncio.Task:
        """A task that ends with the cluster at the latest."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended_task)
        return task

    def _ended_task(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # asked for, so that nothing is printed of a try whose outcome came too late


async def _close(client) -> None:
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client.close(), 5)
