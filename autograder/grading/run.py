"""run: the outcome of every cell of a notebook. It knows no gradebook, no shared folder and no other student.

The learner's cells run in a room behind walls. Test cells run in a second kernel outside, with stand-ins for the
learner's names; what an answer says reaches them as plain data. A test passes by the word of the kernel that ran it.
"""

import ast
import copy
import json
import time
from typing import NamedTuple

from nbformat import NotebookNode
from nbgrader import utils

from autograder.grading import guard
from autograder.grading.faults import KernelGone, MachineFault
from autograder.grading.kernels import Kernel
from autograder.grading.limits import Limits
from autograder.grading.outputs import error
from autograder.grading.python_text import SOURCE, parsed, transformed
from autograder.grading.room import Room, test_kernel
from autograder.grading.standins import names_read

GRACE = 3  # seconds to heed an interrupt
TESTS = 3  # times as long as a cell may a test cell take: it waits for two answers, and works itself
AFRESH = 30  # seconds that a new process may take more than a cell: its imports are not the answer's
TEST_OUTPUT = 2**22  # bytes of output that a test cell keeps


class Outcome(NamedTuple):
    """The executed notebook, and what was interrupted, ended or cut while it ran."""

    notebook: NotebookNode
    stopped: list[str]


def run(notebook: NotebookNode, files: dict[str, bytes], limits: Limits) -> Outcome:
    """Run a notebook in the release's form, with `files` ({relative path: bytes}) beside it; raises MachineFault.

    A process that was killed, not by anything here, may have ended itself or have been ended by the machine. So the
    notebook is run once more: whoever ends itself does so again at the same place, and then it is the learner's doing.
    """
    first = _Session(limits)
    outcome = first.run(notebook, files)
    if not first.killed:
        return outcome
    second = _Session(limits)
    outcome = second.run(notebook, files)
    lacked_memory = first.lacked_memory or second.lacked_memory
    if not second.killed or (second.killed == first.killed and not lacked_memory):
        return outcome
    if lacked_memory:
        raise MachineFault("the machine had too little memory: its guard ended the notebook's process")
    raise MachineFault("the notebook's process was killed from outside, twice and at different places")


class _Session:
    """One run of one notebook. killed: the cells at which the learner's process ended by an unexplained SIGKILL.

    lacked_memory: whether the machine's memory guard may have done so.
    """

    def __init__(self, limits: Limits):
        self.limits, self.killed, self.lacked_memory = limits, [], False
        self._stopped: list[str] = []
        self._imports: list[str] = []
        self._restarts, self._gone, self._raised, self._cell = 0, "", ("", ""), 0
        self._room: Room | None = None
        self._tests: Kernel | None = None

    def run(self, notebook: NotebookNode, files: dict[str, bytes]) -> Outcome:
        notebook = copy.deepcopy(notebook)
        try:
            self._start(files)
            for self._cell, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    do = self._test if utils.is_grade(cell) else self._learners
                    cell.outputs, cell.execution_count = do(cell.source)
        finally:
            for each in (self._room, self._tests):
                if each:
                    each.close()
        return Outcome(notebook, self._stopped)

    def _start(self, files: dict[str, bytes]) -> None:
        self._tests = test_kernel(self.limits)  # before anybody's code runs
        self._room = Room(self.limits, files)
        self._end = time.monotonic() + self.limits.total_timeout

    def _left(self, most: float) -> float:
        """Seconds until `most` are over or the notebook's time is."""
        return max(0.0, min(most, self._end - time.monotonic()))

    def _grace(self, seconds: float) -> float:
        """Seconds to heed an interrupt after `seconds`: near the end of the notebook's time there are none."""
        return max(0.0, self._left(seconds + GRACE) - seconds)

    def _say(self, why: str) -> None:
        if why not in self._stopped:
            self._stopped.append(why)

    def _learners(self, code: str) -> tuple[list, int | None]:
        """One of the learner's cells; when its process is gone, an error that says why."""
        seconds = self._left(self.limits.cell_timeout)
        if not self._gone and seconds:
            self._imports += imports(code)
            try:
                ran = self._room.kernel.run(code, seconds, most=self.limits.output_size, grace=self._grace(seconds))
            except KernelGone as gone:
                return [error("ProcessGone", self._start_again(gone))], None
            if ran.error and not any(output.output_type == "error" for output in ran.outputs):
                ran.outputs.append(error(*ran.error))
            if ran.interrupted:
                self._interrupted()
                ran.outputs.append(error("TimeoutError", f"this cell took longer than {seconds:.3g} s"))
            return ran.outputs, ran.count
        return [error("ProcessGone", self._gone or self._time_is_up())], None

    def _interrupted(self) -> None:
        self._say(f"a cell or an answer was interrupted: it took longer than {self.limits.cell_timeout:g} s")

    def _time_is_up(self) -> str:
        why = f"the notebook took longer than {self.limits.total_timeout:g} s: nothing was run after that"
        self._say(why)
        return why

    def _start_again(self, gone: KernelGone) -> str:
        """A new process for the learner, with the imports of the cells so far; what happened, in a sentence."""
        if gone.killed:
            self.killed.append(self._cell)
            self.lacked_memory = self.lacked_memory or self._room.lacked_memory()
        if not self._left(1):
            return self._time_is_up()
        why = f"the notebook's process ended: {gone}"
        self._restarts += 1
        try:
            if self._restarts > self.limits.restarts:
                raise KernelGone(f"it had to be started more than {self.limits.restarts} times")
            self._room.again()
            imported = self._import_again()
        except KernelGone as again:
            self._gone = f"{why}. {str(again)[:1].upper()}{str(again)[1:]}, so nothing was run after that"
            self._say(self._gone)
            return self._gone
        self._say(f"{why}. It was started again; what had been defined before was gone")
        but = ", except imports, is gone" if imported else " is gone, and the imports could not be repeated"
        return f"{why}. It was started again: what was defined before{but}"

    def _import_again(self) -> bool:
        """Run the imports of the cells so far; where that ends the process, a new one goes on without them."""
        seconds = max(1.0, self._left(self.limits.cell_timeout))
        try:
            self._room.kernel.run(_each(self._imports), seconds, silent=True, grace=self._grace(seconds))
        except KernelGone:
            self._imports = []
            self._room.again()
        return bool(self._imports)

    def _test(self, code: str) -> tuple[list, int | None]:
        """One test cell. A test kernel that ends by itself is the machine's; a second one tells."""
        for last in (False, True):
            try:
                self._tests = self._tests or test_kernel(self.limits)
                return self._tested(self._tests, code)
            except KernelGone as gone:
                self._tests = None
                if gone.late:
                    return [error("TimeoutError", f"the test did not end: {gone}")], None
                if last:
                    raise MachineFault(f"the test kernel ended twice at one test: {gone}") from gone
        raise AssertionError

    def _tested(self, tests: Kernel, code: str) -> tuple[list, int | None]:
        """A test cell with stand-ins for the learner's names that it reads, in a test kernel that was emptied."""
        if not self._left(1):
            return [error("TimeoutError", self._time_is_up())], None
        self._test_end = time.monotonic() + TESTS * self.limits.cell_timeout
        names = names_read(code)
        prepare = (
            "get_ipython().reset(new_session=False)\n"
            f"globals().update(__import__('autograder.grading.standins').grading.standins.bind({names!r}))"
        )
        ran = tests.run(prepare, self._test_left(), silent=True, answer=self._answer)
        if not ran.error:
            ran = tests.run(code, self._test_left(), most=TEST_OUTPUT, answer=self._answer)
        outputs = ran.outputs
        if ran.error and not any(output.output_type == "error" for output in outputs):
            outputs.append(error(*ran.error))
        for output in outputs:
            message = self._raised[0]
            if output.output_type == "error" and output.evalue in (message, repr(message)):  # a KeyError shows it so
                output.evalue += self._raised[1]  # the learner's own line
        return outputs, ran.count

    def _test_left(self) -> float:
        return max(0.01, self._left(self._test_end - time.monotonic()))

    def _answer(self, request: str) -> str:
        """The reply to one request of the test kernel's, which is to be trusted."""
        seconds = min(self._test_left(), self._left(self.limits.cell_timeout))
        if self._gone or not seconds:
            reply = _failed(f"the answer's process is gone: {self._gone or self._time_is_up()}")
        elif request.startswith('{"do": "fresh"'):
            seconds = min(self._test_left(), self.limits.cell_timeout + AFRESH)
            reply = self._answer_afresh(request, seconds)
        else:
            try:
                said, interrupted = self._room.kernel.ask(request, seconds, self._grace(seconds))
                reply = guard.checked(said)
                if interrupted:
                    self._interrupted()
            except KernelGone as gone:
                reply = _failed(f"the answer's process is gone: {gone}")
                self._start_again(gone)
        self._raised = _message_and_line(reply)
        return reply

    def _answer_afresh(self, request: str, seconds: float) -> str:
        """The reply of a new kernel behind the same walls, with an empty home and nothing of the course."""
        room = Room(self.limits, fresh=True)
        try:
            return guard.checked(room.kernel.ask(request, seconds)[0])
        except KernelGone as gone:
            return _failed(f"the new process is gone: {gone}")
        finally:
            room.close()


def imports(code: str) -> list[str]:
    """The import statements at the left margin of a cell, a text each; none where it is no Python."""
    try:
        tree = parsed(transformed(code[:SOURCE]))
        return [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    except Exception:  # whatever a cell holds
        return []


def _each(statements: list[str]) -> str:
    """Code that runs the statements, whatever becomes of the one before."""
    each = list(dict.fromkeys(statements))
    return f"for _ in {each!r}:\n    try:\n        exec(_, globals())\n    except Exception:\n        pass"


def _failed(why: str) -> str:
    return json.dumps({"error": ["RuntimeError", why, ""]})


def _message_and_line(reply: str) -> tuple[str, str]:
    """Of a reply that carries an error: its message, and where in the learner's code it was raised."""
    try:
        _, message, where = json.loads(reply)["error"]
        return str(message), f" (your code, {where})" if where else ""
    except (ValueError, KeyError, TypeError):
        return "", ""
