"""A kernel with one blocking method, `run`, and an end that cannot be refused.

What a learner's kernel sends is read in one place, `_read`: bounded in size, depth, time and number, and whatever is
no message is noise. How a run ended is told by the kernel's reply to that very request.
"""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL
from typing import NamedTuple

import zmq
from jupyter_client import KernelManager

from autograder.grading import border
from autograder.grading.faults import KernelGone, MachineFault
from autograder.grading.outputs import Outputs

BORDER = Path(border.__file__).read_text("utf-8")
MESSAGE = border.LIMIT + 2**20  # bytes of one message; more ends the connection
PARTS = 2_000_000  # brackets and commas of one message: what parsing it may cost in memory
LONG = (
    2**16
)  # characters of a request that stands in a cell's source, which IPython parses; a longer one lies in a file
START = 60  # seconds for a kernel to start
IDLE = 5  # seconds for the last outputs to arrive after the reply
SIGKILLED = (-9, 137)


class Ran(NamedTuple):
    """What became of one request: its outputs as a notebook holds them, and the kernel's own word on how it ended.

    error: (name, message) of the reply; None where the kernel said that it ran to its end.
    interrupted: it took too long.
    """

    outputs: list
    count: int | None
    error: tuple[str, str] | None
    interrupted: bool


class _Manager(KernelManager):
    """A manager whose kernel may be started behind walls."""

    wrap: Callable[[list[str]], list[str]] = staticmethod(lambda command: command)

    def format_kernel_cmd(self, extra_arguments=None):
        return self.wrap(super().format_kernel_cmd(extra_arguments))


class Kernel:
    """A Python kernel over IPC sockets in a folder of its own.

    wrap: changes the command that starts it, given the command and that folder. cwd: where it starts.
    why_ended: says why it ended, where somebody ended it. Raises MachineFault where it does not start.
    """

    def __init__(
        self,
        cwd: Path,
        wrap: Callable[[list[str], Path], list[str]] | None = None,
        why_ended: Callable[[], str] = lambda: "",
        timeout: float = START,
    ):
        self.why_ended = why_ended
        self.manager = self.client = self.context = self.runtime = None
        try:
            self.runtime = Path(tempfile.mkdtemp(prefix=f"grading-{os.getpid()}-"))
            self.manager = _Manager(transport="ipc", connection_file=str(self.runtime / "kernel.json"))
            if wrap:
                self.manager.wrap = lambda command: wrap(command, self.runtime)
            said = self.runtime / "said"  # before the walls close over it: bubblewrap's own complaint
            with said.open("wb") as stderr:
                self.manager.start_kernel(
                    cwd=str(cwd),
                    extra_arguments=["--HistoryManager.hist_file=:memory:"],
                    env=os.environ | {"NBGRADER_EXECUTION": "autograde"},
                    **{"stdin": DEVNULL, "stdout": DEVNULL, "stderr": stderr},
                )
            self.context = zmq.Context()
            self.context.maxmsgsize = MESSAGE
            self.client = self.manager.client(context=self.context)
            self.client.start_channels()
            self.client.wait_for_ready(timeout=timeout)
        except Exception as error:  # whatever it is, it is not an answer's doing
            why = f"a kernel did not start: {str(error) or type(error).__name__}"
            with contextlib.suppress(Exception):
                first = said.read_text("utf-8", "replace").strip().splitlines()
                why += f" ({first[-1][:200]})" if first else ""
            self.close()
            raise MachineFault(why) from error

    def run(
        self,
        code: str,
        timeout: float,
        most: int = 2**24,
        silent: bool = False,
        answer: Callable[[str], str] | None = None,
        grace: float = 0,
    ) -> Ran:
        """Run `code` for at most `timeout` seconds, whoever is waiting for whom.

        most: bytes of output that are kept. answer: replies to the kernel's input requests. grace: seconds that the
        code has to end when it is interrupted. Raises KernelGone when the kernel ends, or is ended as it took too long.
        """
        sent = self.client.execute(code, silent=silent, store_history=not silent, allow_stdin=answer is not None)
        outputs, reply, idle, interrupted = Outputs(most), None, False, False
        end = time.monotonic() + timeout
        channels = self.client.iopub_channel, self.client.shell_channel, self.client.stdin_channel
        poller = zmq.Poller()
        for channel in channels:
            poller.register(channel.socket, zmq.POLLIN)
        while not (idle and reply is not None):
            if time.monotonic() > end:
                if reply is not None:  # the last word on the outputs was lost, the reply was not
                    break
                if interrupted or not grace:
                    self._end(f"it took longer than {timeout:.3g} s", late=True)
                interrupted, end = True, time.monotonic() + grace
                self.client.control_channel.send(self.client.session.msg("interrupt_request"))
            ready = dict(poller.poll(max(0, min(200, 1000 * (end - time.monotonic())))))
            if not ready and not self.manager.is_alive():
                self._ended()
            for channel in channels:
                if channel.socket not in ready or not (message := self._read(channel.socket, sent)):
                    continue
                kind, content = message
                if kind == "execute_reply" and channel is self.client.shell_channel:
                    reply, end = content, min(end, time.monotonic() + IDLE)
                elif kind == "input_request" and answer:
                    self.client.input(answer(str(content.get("prompt"))))
                elif kind == "status":
                    idle = idle or content.get("execution_state") == "idle"
                else:
                    outputs.add(kind, content)
        return Ran(outputs.kept, _count(reply), _error(reply), interrupted)

    def _read(self, socket: zmq.Socket, sent: str) -> tuple[str, dict] | None:
        """(type, content) of the next message that answers the request `sent`; None for anything else."""
        try:
            _, frames = self.client.session.feed_identities(socket.recv_multipart(zmq.NOBLOCK))
            if sum(frame.count(mark) for frame in frames for mark in (b"[", b"{", b",")) > PARTS:
                return None
            message = self.client.session.deserialize(frames)
            if message["parent_header"].get("msg_id") != sent or not isinstance(message["content"], dict):
                return None
            return str(message["header"]["msg_type"]), message["content"]
        except Exception:  # forged, damaged, too deep: nobody's message
            return None

    def learn_border(self) -> None:
        """Give a learner's kernel the code that answers requests."""
        made = "__import__('sys').modules.setdefault('_border', __import__('types').ModuleType('_border')).__dict__"
        self.run(f"exec(compile({BORDER!r}, '_border.py', 'exec'), {made})", timeout=START, silent=True)

    def ask(self, request: str, timeout: float, grace: float = 0) -> tuple[object, bool]:
        """(what a learner's kernel replies to one request of the border's, whether it had to be interrupted).

        The reply is whatever was sent as one: guard.checked makes JSON text of it.
        """
        given = repr(request)
        if len(given) > LONG:
            path = self.runtime / "request"
            path.write_text(request, "utf-8")
            given = f"open({str(path)!r}, encoding='utf-8').read()"
        code = f"__import__('sys').modules['_border'].publish({given})"
        ran = self.run(code, timeout, most=MESSAGE, silent=True, grace=grace)
        if ran.interrupted:
            return json.dumps({"error": ["TimeoutError", f"it took longer than {timeout:.3g} s", ""]}), True
        for output in ran.outputs:
            if border.REPLY in output.get("data", {}):
                return output["data"][border.REPLY], False
        return json.dumps({"error": ["RuntimeError", "the answer's process gave no reply", ""]}), False

    def pid(self) -> int | None:
        """The process that was started: the kernel's, or that of the walls around it."""
        return getattr(self.manager.provisioner, "pid", None)

    def _ended(self) -> None:
        code = None
        with contextlib.suppress(Exception):
            code = self.manager.provisioner.process.poll()
        why = self.why_ended()
        self._end(why or "it ended its own process", killed=not why and code in SIGKILLED)

    def _end(self, why: str, late: bool = False, killed: bool = False) -> None:
        self.close()
        raise KernelGone(why, late, killed)

    def close(self) -> None:
        """End the kernel at once, with all it started."""
        with contextlib.suppress(Exception):
            if self.manager and self.manager.has_kernel:
                self.manager.shutdown_kernel(now=True)
        with contextlib.suppress(Exception):
            if self.client:
                self.client.stop_channels()
        with contextlib.suppress(Exception):
            if self.context:
                self.context.destroy(linger=0)
        with contextlib.suppress(Exception):
            if self.manager:
                self.manager.cleanup_resources()
        if self.runtime:
            shutil.rmtree(self.runtime, ignore_errors=True)


def _count(reply: dict) -> int | None:
    count = reply.get("execution_count")
    return count if isinstance(count, int) and abs(count) < 2**31 else None


def _error(reply: dict) -> tuple[str, str] | None:
    if reply.get("status") == "ok":
        return None
    return str(reply.get("ename") or "RuntimeError"), str(reply.get("evalue") or "it did not run to its end")
