"""A kernel with one blocking method, `run`, and an end that cannot be refused."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from subprocess import DEVNULL

import nbformat
import zmq
from jupyter_client import KernelManager

from autograder.grading import border

BORDER = Path(border.__file__).read_text("utf-8")


class KernelGone(Exception):
    """The kernel ended, took too long or said too much; the message says which."""


class _Manager(KernelManager):
    """A manager whose kernel may be started behind walls."""

    wrap: Callable[[list[str]], list[str]] = staticmethod(lambda command: command)

    def format_kernel_cmd(self, extra_arguments=None):
        return self.wrap(super().format_kernel_cmd(extra_arguments))


class Kernel:
    """A Python kernel over IPC sockets in a folder of its own.

    wrap: changes the command that starts it, given the command and that folder. cwd: where it starts.
    """

    def __init__(self, cwd: Path, wrap: Callable[[list[str], Path], list[str]] | None = None, timeout: float = 60):
        self.runtime = Path(tempfile.mkdtemp(prefix="kernel-"))
        self.manager = _Manager(transport="ipc", connection_file=str(self.runtime / "kernel.json"))
        if wrap:
            self.manager.wrap = lambda command: wrap(command, self.runtime)
        options = {"stdin": DEVNULL, "stdout": DEVNULL, "stderr": DEVNULL}  # what is said beside the protocol is noise
        self.manager.start_kernel(cwd=str(cwd), extra_arguments=["--HistoryManager.hist_file=:memory:"], **options)
        self.client = self.manager.client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=timeout)
        except RuntimeError as error:
            self.close()
            raise KernelGone(f"the kernel did not start: {error}") from error

    def run(
        self,
        code: str,
        timeout: float,
        most: int = 2**24,
        silent: bool = False,
        answer: Callable[[str], str] | None = None,
        grace: float = 0,
    ) -> tuple[list, int | None]:
        """Run `code`; return its outputs, as a notebook holds them, and the execution count.

        most: bytes of output after which the kernel is ended. answer: replies to the kernel's input requests.
        grace: seconds that the code has to end when it is interrupted after `timeout` seconds; `interrupted` tells.
        Raises KernelGone when the kernel ends, or is ended because it took or said too much.
        """
        self.interrupted = False
        sent = self.client.execute(code, silent=silent, store_history=not silent, allow_stdin=answer is not None)
        end, said, outputs, reply, idle = time.monotonic() + timeout, 0, [], None, False
        channels = {
            channel.socket: channel
            for channel in (self.client.iopub_channel, self.client.shell_channel, self.client.stdin_channel)
        }
        poller = zmq.Poller()
        for socket in channels:
            poller.register(socket, zmq.POLLIN)
        while not (idle and reply):
            if time.monotonic() > end:
                if self.interrupted or not grace:
                    self._end(f"it took longer than {timeout:g} s")
                self.interrupted, end = True, time.monotonic() + grace
                self.client.control_channel.send(self.client.session.msg("interrupt_request"))
            ready = poller.poll(200)
            if not ready and not self.manager.is_alive():
                self._end("it ended its own process")
            for socket, _ in ready:
                try:
                    message = channels[socket].get_msg(timeout=0)
                    kind, content = message["header"]["msg_type"], message["content"]
                    if message["parent_header"].get("msg_id") != sent:
                        continue
                    said += len(str(content)) if kind != "input_request" else 0
                    if said > most:
                        self._end(f"it wrote more than {most >> 10} KiB of output")
                    if kind == "execute_reply":
                        reply = content
                    elif kind == "input_request" and answer:
                        asked = time.monotonic()
                        self.client.input(answer(content["prompt"]))
                        end += time.monotonic() - asked  # waiting for the other side is not this kernel's doing
                    elif kind == "status":
                        idle = idle or content["execution_state"] == "idle"
                    elif kind in ("stream", "display_data", "execute_result", "error"):
                        _add(outputs, nbformat.v4.output_from_msg(message))
                except KernelGone:
                    raise
                except (Empty, KeyError, TypeError, ValueError, AttributeError):
                    continue  # a forged message of the kernel's is nobody's output
        return outputs, reply.get("execution_count")

    def learn_border(self) -> None:
        """Give a learner's kernel the code that answers requests."""
        made = "__import__('sys').modules.setdefault('_border', __import__('types').ModuleType('_border')).__dict__"
        self.run(f"exec(compile({BORDER!r}, '_border.py', 'exec'), {made})", timeout=30, silent=True)

    def ask(self, request: str, timeout: float, grace: float = 0) -> str:
        """What a learner's kernel replies to one request of the border's, as JSON text."""
        code = f"__import__('sys').modules['_border'].publish({request!r})"
        outputs, _ = self.run(code, timeout, most=border.LIMIT, silent=True, grace=grace)
        if self.interrupted:
            return json.dumps({"error": ["TimeoutError", f"it took longer than {timeout:g} s", ""]})
        for output in outputs:
            reply = output.get("data", {}).get(border.REPLY)
            if isinstance(reply, str):
                return reply
        return json.dumps({"error": ["RuntimeError", "the answer's process gave no reply", ""]})

    def _end(self, why: str) -> None:
        self.close()
        raise KernelGone(why)

    def close(self) -> None:
        """End the kernel at once, with all it started."""
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self.client.stop_channels()
        self.manager.cleanup_resources()
        shutil.rmtree(self.runtime, ignore_errors=True)


def _add(outputs: list, output) -> None:
    """Append an output; text of one stream stays in one piece, as front ends show it."""
    if outputs and output.output_type == "stream" == outputs[-1].output_type and output.name == outputs[-1].name:
        outputs[-1].text += output.text
    else:
        outputs.append(output)
