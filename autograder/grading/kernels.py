"""A kernel with one blocking method, `run`, and an end that cannot be refused.

What a learner's kernel sends is read in one place, `_read`: bounded in size, depth, time and number, and whatever is
no message is noise. How a run ended is told by the kernel's reply to that very request.
"""

import contextlib
import json
import os
import secrets
import subprocess
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
from autograder.grading.outputs import Outputs, printable

BORDER = Path(border.__file__).read_text("utf-8")
MESSAGE = border.LIMIT + 2**20  # bytes of one message; more ends the connection
WAITING = 10  # messages that wait on each socket until they are read
PARTS = 2_000_000  # brackets and commas of one message: what parsing it may cost in memory
LONG = 2**16  # characters of a request that stands in a cell's source, which IPython parses; others lie in a file
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

    wrap: changes the command that starts it, given the command and this kernel, whose `runtime` is that folder.
    cwd: where it starts. why_ended: says why it ended, where somebody ended it. Raises MachineFault where it does not
    start in `timeout` seconds.
    """

    def __init__(
        self,
        cwd: Path,
        wrap: Callable[[list[str], "Kernel"], list[str]] | None = None,
        why_ended: Callable[[], str] = lambda: "",
        timeout: float = START,
    ):
        self.why_ended, self.start = why_ended, timeout
        self.manager = self.client = self.context = self.runtime = said = None
        try:
            self.runtime = Path(tempfile.mkdtemp(prefix=f"grading-{os.getpid()}-"))
            self.manager = _Manager(transport="ipc", connection_file=str(self.runtime / "kernel.json"))
            if wrap:
                self.manager.wrap = lambda command: wrap(command, self)
            said = tempfile.TemporaryFile()  # noqa: SIM115 (bubblewrap's complaint; no name that a process could take)
            self.manager.start_kernel(
                cwd=str(cwd),
                extra_arguments=["--HistoryManager.hist_file=:memory:"],
                env=os.environ | {"NBGRADER_EXECUTION": "autograde"},
                **{"stdin": DEVNULL, "stdout": DEVNULL, "stderr": said},
            )
            self.context = zmq.Context()
            self.context.maxmsgsize, self.context.rcvhwm = MESSAGE, WAITING
            self.client = self.manager.client(context=self.context)
            self.client.start_channels()
            self.client.wait_for_ready(timeout=timeout)
        except Exception as error:  # whatever it is, it is not an answer's doing
            why = f"a kernel did not start: {str(error) or type(error).__name__}"
            with contextlib.suppress(Exception):
                said.seek(0)
                lines = printable(said.read(100_000).decode("utf-8", "replace")).strip().splitlines()
                why += f" ({lines[-1][:200]})" if lines else ""
            self.close()
            raise MachineFault(why) from error
        finally:
            if said:
                said.close()

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
        code = code.encode("utf-8", "replace").decode()  # half a character cannot be sent
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
                    with contextlib.suppress(Exception):  # what cannot be shown is nobody's output
                        outputs.add(kind, content)
        if not answer and _asks_to_leave(reply):
            self._end("it ended its own process")
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
        self.run(f"exec(compile({BORDER!r}, '_border.py', 'exec'), {made})", timeout=self.start, silent=True)

    def ask(self, request: str, timeout: float, grace: float = 0) -> tuple[object, bool]:
        """(what a learner's kernel replies to one request of the border's, whether it had to be interrupted).

        The reply is whatever was sent as one: guard.checked makes JSON text of it.
        """
        path = self._put_down(request) if len(request) > LONG else None
        given = f"open({str(path)!r}, encoding='utf-8').read()" if path else repr(request)
        try:
            code = f"__import__('sys').modules['_border'].publish({given})"
            ran = self.run(code, timeout, most=MESSAGE, silent=True, grace=grace)
        finally:
            if path:
                path.unlink(missing_ok=True)
        if ran.interrupted:
            return json.dumps({"error": ["TimeoutError", f"it took longer than {timeout:.3g} s", ""]}), True
        for output in ran.outputs:
            if border.REPLY in output.get("data", {}):
                return output["data"][border.REPLY], False
        return json.dumps({"error": ["RuntimeError", "the answer's process gave no reply", ""]}), False

    def _put_down(self, request: str) -> Path:
        """A new file with the request in the folder of the sockets, where the learner may have put links."""
        path = self.runtime / f"request-{secrets.token_hex(16)}"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(request)
        return path

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
            remove(self.runtime)


def remove(folder: Path) -> None:
    """Remove a folder as well as it goes; also one that is nested thousands deep, where Python's own way ends."""
    silent = {"stdin": DEVNULL, "stdout": DEVNULL, "stderr": DEVNULL}
    for command in (["rm", "-rf"], ["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        with contextlib.suppress(OSError):
            if os.path.lexists(folder):
                subprocess.run([*command, "--", str(folder)], check=False, **silent)


def _count(reply: dict) -> int | None:
    count = reply.get("execution_count")
    return count if type(count) is int and 0 <= count < 2**31 else None


def _asks_to_leave(reply: dict) -> bool:
    """Did the code call `exit()`? Then the kernel leaves in a moment, whatever it is asked next."""
    payload = reply.get("payload")
    asked = [each for each in payload if isinstance(each, dict)] if isinstance(payload, list) else []
    return any(each.get("source") == "ask_exit" and not each.get("keepkernel") for each in asked)


def _error(reply: dict) -> tuple[str, str] | None:
    if reply.get("status") == "ok":
        return None
    name, message = (said if isinstance(said, str) else "" for said in (reply.get("ename"), reply.get("evalue")))
    return name or "RuntimeError", message or "it did not run to its end"
