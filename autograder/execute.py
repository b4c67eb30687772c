"""Runs a submission in two kernels: the learner's cells behind walls, the test cells outside; a step of autograde."""

import json
import shutil
import tempfile
import time
from pathlib import Path

import nbformat
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool, Integer

from autograder import ROOT, CourseError, sandbox
from autograder.kernels import Kernel, KernelGone
from autograder.standins import names_read

PREPARE_TESTS = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
os.environ["NBGRADER_EXECUTION"] = "autograde"
import course.probe, autograder.standins
course.probe.run_beside_the_answers = autograder.standins.run_beside_the_answers
"""


class TwoKernels(NbGraderPreprocessor):
    """Executes a notebook for grading; nbgrader's `Execute` in two processes."""

    memory = Integer(2 * 2**30, help="Bytes of memory for the learner's kernel.").tag(config=True)
    processes = Integer(256, help="Processes and threads for the learner's kernel.").tag(config=True)
    file_size = Integer(64 * 2**20, help="Bytes of the largest file a learner's cell may write.").tag(config=True)
    output_size = Integer(2**20, help="Bytes of output of one cell.").tag(config=True)
    cell_timeout = Integer(60, help="Seconds for one cell.").tag(config=True)
    total_timeout = Integer(300, help="Seconds for one notebook.").tag(config=True)
    require_sandbox = Bool(False, help="Refuse to grade where bubblewrap is missing.").tag(config=True)

    _warned = False

    def preprocess(self, nb, resources):
        self._end = time.monotonic() + self.total_timeout
        given = Path(resources["metadata"]["path"] or ".")
        with tempfile.TemporaryDirectory(prefix="submission-") as copy:
            folder = Path(copy) / "home"
            shutil.copytree(given, folder, symlinks=True, ignore=shutil.ignore_patterns(".*"))
            self._learner = self._gone = None
            self._tests, self._raised = None, ("", "")
            try:
                self._learner = self._start_learner(folder)
                for cell in nb.cells:
                    if cell.cell_type == "code":
                        cell.outputs, cell.execution_count = (
                            self._test(cell.source) if utils.is_grade(cell) else self._run(cell.source)
                        )
            finally:
                for kernel in (self._tests, self._learner):
                    if kernel:
                        kernel.close()
        return nb, resources

    def _start_learner(self, folder: Path) -> Kernel | None:
        wrap = None
        if sandbox.available():
            limits = {"data": self.memory, "nproc": self.processes, "fsize": self.file_size, "cpu": self.total_timeout}

            def wrap(command, runtime):
                return sandbox.walled(command, folder, runtime, limits)

        elif self.require_sandbox:
            raise CourseError(f"bubblewrap is missing and TwoKernels.require_sandbox is set: {sandbox.INSTALL}")
        elif not TwoKernels._warned:
            TwoKernels._warned = True
            self.log.warning(
                "bubblewrap is missing: learners' code runs without walls. To have them: %s", sandbox.INSTALL
            )
        try:
            kernel = Kernel(folder, wrap)
            kernel.learn_border()
        except KernelGone as gone:
            self._gone = str(gone)
            return None
        return kernel

    def _left(self) -> float:
        return max(0.1, min(self.cell_timeout, self._end - time.monotonic()))

    def _run(self, code: str) -> tuple[list, int | None]:
        """One of the learner's cells; when its kernel is gone, an error that says why."""
        if self._gone is None:
            try:
                return self._learner.run(code, self._left(), most=self.output_size)
            except KernelGone as gone:
                self._gone = str(gone)
        return [_error("KernelGone", f"the notebook's process is gone: {self._gone}")], None

    def _test(self, code: str) -> tuple[list, int | None]:
        """One test cell, with stand-ins for the learner's names that it reads."""
        try:
            if self._tests is None:
                self._tests = Kernel(ROOT)
                self._tests.run(PREPARE_TESTS, self.cell_timeout, silent=True)
            names = names_read(code)
            prepare = (
                "get_ipython().reset(new_session=False)\n"
                f"globals().update(__import__('autograder.standins').standins.bind({names!r}))"
            )
            outputs, _ = self._tests.run(prepare, self.cell_timeout, silent=True, answer=self._answer)
            count = None
            if not any(output.output_type == "error" for output in outputs):
                outputs, count = self._tests.run(code, 2 * self.cell_timeout, answer=self._answer)
            for output in outputs:
                if output.output_type == "error" and output.evalue == self._raised[0]:
                    output.evalue += self._raised[1]  # the learner's own line
            return outputs, count
        except KernelGone as gone:
            self._tests = None
            return [_error("RuntimeError", f"the test did not end: {gone}")], None

    def _answer(self, request: str) -> str:
        if self._gone is None:
            try:
                reply = self._learner.ask(request, self._left())
                self._raised = _message_and_line(reply)
                return reply
            except KernelGone as gone:
                self._gone = str(gone)
        return json.dumps({"error": ["RuntimeError", f"the answer's process is gone: {self._gone}", ""]})


def _message_and_line(reply: str) -> tuple[str, str]:
    """Of a reply that carries an error: its message, and where in the learner's code it was raised."""
    try:
        _, message, where = json.loads(reply)["error"]
        return str(message), f" (your code, {where})" if where else ""
    except (ValueError, KeyError, TypeError):
        return "", ""


def _error(name: str, message: str):
    return nbformat.v4.new_output("error", ename=name, evalue=message, traceback=[f"{name}: {message}"])
