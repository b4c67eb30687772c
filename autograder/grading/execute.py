"""Runs a submission in two kernels: the learner's cells behind walls, the test cells outside; a step of autograde.

Starting Python and importing torch takes longer than most notebooks, so the next learner's kernel is made while this
one is graded, and all submissions share one test kernel, which is emptied before each test cell.
"""

import atexit
import json
import os
import shutil
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool, Integer, Unicode

from autograder import ROOT, CourseError
from autograder.grading import sandbox
from autograder.grading.kernels import Kernel, KernelGone
from autograder.grading.mend import UNREADABLE
from autograder.grading.standins import names_read

STOPPED = "course_stopped"  # in the notebook's metadata: what was interrupted or ended, and why
GRACE = 3  # seconds to heed an interrupt
PREPARE_TESTS = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
os.environ["NBGRADER_EXECUTION"] = "autograde"
import course.probe, autograder.grading.standins
course.probe.run_beside_the_answers = autograder.grading.standins.run_beside_the_answers
"""


class _Room:
    """A learner's kernel that is ready to work, and the folder that is its home."""

    def __init__(self, limits: dict[str, int] | None, preload: str):
        """limits: for the sandbox; None for a kernel without walls. preload: modules to import."""
        self._place = tempfile.TemporaryDirectory(prefix="submission-", ignore_cleanup_errors=True)
        self.folder = Path(self._place.name) / "home"
        self.folder.mkdir()
        self.kernel, self.why = None, ""
        wrap = (
            None if limits is None else lambda command, runtime: sandbox.walled(command, self.folder, runtime, limits)
        )
        try:
            self.kernel = Kernel(self.folder, wrap)
            self.kernel.learn_border()
            self.kernel.run(f"import {preload}", timeout=60, silent=True)
        except KernelGone as gone:
            self.why = str(gone)

    def move_in(self, given: Path) -> None:
        """Copy the submission's folder into the home."""
        shutil.copytree(
            given, self.folder, symlinks=True, ignore=shutil.ignore_patterns(".*", "*.ipynb"), dirs_exist_ok=True
        )
        if os.geteuid() == 0:
            owner = self.folder.stat().st_uid
            for path in self.folder.rglob("*"):
                os.chown(path, owner, owner, follow_symlinks=False)

    def close(self) -> None:
        if self.kernel:
            self.kernel.close()
        self._place.cleanup()


def _test_kernel() -> Kernel:
    kernel = Kernel(ROOT)
    kernel.run(PREPARE_TESTS, timeout=60, silent=True)
    return kernel


class _Ahead:
    """Kernels that are made in the background before they are needed."""

    def __init__(self):
        # The threads live as long as the process: a sandbox ends with the thread that started it.
        self._pool = ThreadPoolExecutor(2, "kernels")
        self._rooms: dict[tuple, Future] = {}
        self._tests: Future | None = None
        atexit.register(self.close)

    def room(self, limits: dict[str, int] | None, preload: str) -> _Room:
        key = (limits and tuple(limits.items()), preload)
        room = (self._rooms.pop(key, None) or self._pool.submit(_Room, limits, preload)).result()
        self._rooms[key] = self._pool.submit(_Room, limits, preload)
        return room

    def tests(self) -> Kernel:
        """The test kernel; raises KernelGone."""
        self.start_tests()
        try:
            return self._tests.result()
        except KernelGone:
            self._tests = None
            raise

    def start_tests(self) -> None:
        self._tests = self._tests or self._pool.submit(_test_kernel)

    def drop_tests(self) -> None:
        self._tests = None

    def close(self) -> None:
        for future in (*self._rooms.values(), self._tests):
            if future and not future.cancel() and not future.exception():
                future.result().close()
        self._rooms, self._tests = {}, None


_ahead = _Ahead()


class TwoKernels(NbGraderPreprocessor):
    """Executes a notebook for grading; nbgrader's `Execute` in two processes."""

    memory = Integer(2 * 2**30, help="Bytes of memory for the learner's kernel.").tag(config=True)
    processes = Integer(256, help="Processes and threads for the learner's kernel.").tag(config=True)
    file_size = Integer(64 * 2**20, help="Bytes of the largest file a learner's cell may write.").tag(config=True)
    output_size = Integer(2**20, help="Bytes of output of one cell.").tag(config=True)
    cell_timeout = Integer(60, help="Seconds for one cell.").tag(config=True)
    total_timeout = Integer(300, help="Seconds for one notebook.").tag(config=True)
    preload = Unicode(
        "ipywidgets, matplotlib.pyplot, numpy, sklearn.datasets, sklearn.model_selection, torch, torch._dynamo",
        help="Modules that the learner's kernel imports while the submission before is graded, as `import` takes them.",
    ).tag(config=True)
    require_sandbox = Bool(False, help="Refuse to grade where bubblewrap is missing.").tag(config=True)

    _warned = False

    def preprocess(self, nb, resources):
        if why := nb.metadata.get(UNREADABLE):
            for cell in filter(utils.is_grade, nb.cells):
                cell.outputs = [_error("NothingToGrade", f"nothing could be graded: {why}")]
            return nb, resources
        _ahead.start_tests()
        room = _ahead.room(self._limits(), self.preload)
        self._learner, self._gone, self._raised, self._slow = room.kernel, room.why or None, ("", ""), False
        self._end = time.monotonic() + self.total_timeout
        try:
            room.move_in(Path(resources["metadata"]["path"] or "."))
            for cell in nb.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = (
                        self._test(cell.source) if utils.is_grade(cell) else self._run(cell.source)
                    )
        finally:
            room.close()
        if self._gone:
            nb.metadata[STOPPED] = f"the notebook was stopped while it ran: {self._gone}"
        elif self._slow:
            nb.metadata[STOPPED] = f"a cell or an answer was interrupted: it took longer than {self.cell_timeout} s"
        return nb, resources

    def _limits(self) -> dict[str, int] | None:
        if sandbox.available():
            cpu = self.total_timeout + 60  # a last resort; the clock is the rule
            return {"data": self.memory, "nproc": self.processes, "fsize": self.file_size, "cpu": cpu}
        if self.require_sandbox:
            raise CourseError(f"bubblewrap is missing and TwoKernels.require_sandbox is set: {sandbox.INSTALL}")
        if not TwoKernels._warned:
            TwoKernels._warned = True
            self.log.warning(
                "bubblewrap is missing: learners' code runs without walls. To have them: %s", sandbox.INSTALL
            )
        return None

    def _left(self) -> tuple[float, float]:
        """Seconds for the next piece of the learner's code, and for heeding an interrupt: none near the end."""
        left = self._end - time.monotonic()
        return max(0.1, min(self.cell_timeout, left)), GRACE if left > self.cell_timeout + GRACE else 0

    def _run(self, code: str) -> tuple[list, int | None]:
        """One of the learner's cells; when its kernel is gone, an error that says why."""
        if self._gone is None:
            try:
                seconds, grace = self._left()
                outputs, count = self._learner.run(code, seconds, most=self.output_size, grace=grace)
                if self._learner.interrupted:
                    self._slow = True
                    outputs.append(_error("TimeoutError", f"this cell took longer than {seconds:g} s"))
                return outputs, count
            except KernelGone as gone:
                self._gone = str(gone)
        return [_error("KernelGone", f"the notebook's process is gone: {self._gone}")], None

    def _test(self, code: str) -> tuple[list, int | None]:
        """One test cell, with stand-ins for the learner's names that it reads."""
        try:
            tests = _ahead.tests()
            names = names_read(code)
            prepare = (
                "get_ipython().reset(new_session=False)\n"
                f"globals().update(__import__('autograder.grading.standins').grading.standins.bind({names!r}))"
            )
            outputs, _ = tests.run(prepare, self.cell_timeout, silent=True, answer=self._answer)
            count = None
            if not any(output.output_type == "error" for output in outputs):
                outputs, count = tests.run(code, 2 * self.cell_timeout, answer=self._answer)
            for output in outputs:
                if output.output_type == "error" and output.evalue == self._raised[0]:
                    output.evalue += self._raised[1]  # the learner's own line
            return outputs, count
        except KernelGone as gone:
            _ahead.drop_tests()
            return [_error("RuntimeError", f"the test did not end: {gone}")], None

    def _answer(self, request: str) -> str:
        """The reply to one request of the test kernel's, which is to be trusted."""
        if request.startswith('{"do": "fresh"'):
            return self._answer_afresh(request)
        if self._gone is None:
            try:
                reply = self._learner.ask(request, *self._left())
                self._slow = self._slow or self._learner.interrupted
                self._raised = _message_and_line(reply)
                return reply
            except KernelGone as gone:
                self._gone = str(gone)
        return json.dumps({"error": ["RuntimeError", f"the answer's process is gone: {self._gone}", ""]})

    def _answer_afresh(self, request: str) -> str:
        """The reply of a new kernel behind the same walls, with an empty home."""
        room = _ahead.room(self._limits(), self.preload)
        try:
            if room.kernel is None:
                raise KernelGone(room.why)
            return room.kernel.ask(request, *self._left())
        except KernelGone as gone:
            return json.dumps({"error": ["RuntimeError", f"the new process is gone: {gone}", ""]})
        finally:
            room.close()


def _message_and_line(reply: str) -> tuple[str, str]:
    """Of a reply that carries an error: its message, and where in the learner's code it was raised."""
    try:
        _, message, where = json.loads(reply)["error"]
        return str(message), f" (your code, {where})" if where else ""
    except (ValueError, KeyError, TypeError):
        return "", ""


def _error(name: str, message: str):
    return nbformat.v4.new_output("error", ename=name, evalue=message, traceback=[f"{name}: {message}"])
