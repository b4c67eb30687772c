"""A kernel with two blocking methods, `run` and `ask`, and an end that cannot be refused.

What a learner's process sends is read in one place, `_understood`: bounded in size, depth, time and number, and
whatever is no message is noise. How a run ended is told by the kernel's reply to that very request.
"""

import codecs
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import DEVNULL
from typing import NamedTuple, Protocol

from autograder.grading.faults import KernelGone, MachineFault
from autograder.grading.inside import HEAD, MOST
from autograder.grading.outputs import Outputs

PARTS = 2_000_000  # brackets and commas of one message: what parsing it may cost in memory
READ = 2**20  # bytes that are read at once
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


class Process(Protocol):
    """Who runs a kernel: `forks.Cold` or `forks.Forked`."""

    root: int  # of the processes that belong to it
    pid: int  # the kernel's own

    def ended(self) -> int | None:
        """Its exit code, where it ended or does so in a moment."""

    def close(self) -> None:
        """End it at once, with all it started."""


class Pipes:
    """The grader's end of a kernel's socket, and what its processes write to their standard streams."""

    def __init__(self):
        self.end, self.other = socket.socketpair()
        self.out, self.other_out = os.pipe()
        self.err, self.other_err = os.pipe()
        for each in (self.end, self.out, self.err):
            os.set_blocking(each if isinstance(each, int) else each.fileno(), False)

    @property
    def others(self) -> list[int]:
        """What the kernel gets: its socket, its standard output, its standard error."""
        return [self.other.fileno(), self.other_out, self.other_err]

    def handed_over(self) -> None:
        self.other.close()
        for each in (self.other_out, self.other_err):
            with contextlib.suppress(OSError):
                os.close(each)
        self.other_out = self.other_err = -1

    def close(self) -> None:
        self.handed_over()
        self.end.close()
        for each in (self.out, self.err):
            with contextlib.suppress(OSError):
                os.close(each)
        self.out = self.err = -1


_alive: set["Kernel"] = set()
_endings = 0
_lock = threading.Lock()


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Meanwhile every kernel of this process ends, and none starts: whoever waits for one is told at once."""
    global _endings
    with _lock:
        _endings += 1
        alive = list(_alive)
    for kernel in alive:
        with contextlib.suppress(Exception):
            kernel.process.close()
    try:
        yield
    finally:
        with _lock:
            _endings -= 1


class Kernel:
    """A kernel that is ready. start: given its pipes, starts it. why_ended: says why, where somebody ended it.

    Raises MachineFault where it is not ready in `timeout` seconds.
    """

    def __init__(self, start: Callable[[Pipes], Process], timeout: float, why_ended: Callable[[], str] = lambda: ""):
        self.why_ended, self._number = why_ended, 0
        self._sending, self._received = b"", bytearray()
        self.process, self.pipes, said = None, Pipes(), Outputs(10_000)
        try:
            self._live(start)
            self.pipes.handed_over()
            self._exchange(None, timeout, 0, said, lambda kind, content: kind == "ready")
        except MachineFault:
            self.close()
            raise
        except Exception as error:  # whatever it is, it is not an answer's doing
            why = f"a kernel did not start: {str(error) or type(error).__name__}"
            lines = "".join(output.get("text", "") for output in said.kept).strip().splitlines()
            self.close()
            raise MachineFault(why + (f" ({lines[-1][:200]})" if lines else "")) from error
        except BaseException:
            self.close()
            raise

    def _live(self, start: Callable[[Pipes], Process]) -> None:
        with _lock:
            _alive.add(self)
        if not _endings:
            self.process = start(self.pipes)
        if _endings:
            raise MachineFault("the command was ended")

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

        most: bytes of output that are kept. answer: replies to the questions of a test. grace: seconds that the code
        has to end when it is interrupted. Raises KernelGone when the kernel ends, or is ended as it took too long.
        """
        outputs = Outputs(most)

        def take(kind: str, content: dict):
            if kind == "reply":
                return content
            if kind == "asked" and answer:
                self._send(answer(str(content.get("request"))))
            else:
                with contextlib.suppress(Exception):  # what cannot be shown is nobody's output
                    outputs.add(kind, content)

        request = json.dumps({"code": code.encode("utf-8", "replace").decode(), "silent": silent})
        reply, interrupted = self._exchange(request, timeout, grace, outputs, take)
        if reply.get("left") is True and not answer:
            self._end("it ended its own process")
        return Ran(outputs.kept, _count(reply), _error(reply), interrupted)

    def ask(self, request: str, timeout: float, grace: float = 0) -> tuple[object, bool]:
        """(what a learner's kernel replies to one request of the border's, whether it had to be interrupted).

        The reply is whatever was sent as one: guard.checked makes JSON text of it.
        """

        def take(kind: str, content):
            return content if kind == "answer" else None

        said, interrupted = self._exchange(f"?{request}", timeout, grace, Outputs(0), take)
        if interrupted:
            said = json.dumps({"error": ["TimeoutError", f"it took longer than {timeout:.3g} s", ""]})
        return said, interrupted

    def _exchange(self, request: str | None, timeout: float, grace: float, outputs: Outputs, take) -> tuple:
        """(what `take` makes of the first message for which it returns something, whether it was interrupted)."""
        if request is not None:
            self._number += 1
            self._send(request)
        streams = {self.pipes.out: "stdout", self.pipes.err: "stderr"}
        decoders = {each: codecs.getincrementaldecoder("utf-8")("replace") for each in streams}
        end, interrupted = time.monotonic() + timeout, False
        while True:
            if time.monotonic() > end:
                if interrupted or not grace:
                    self._end(f"it took longer than {timeout:.3g} s", late=True)
                interrupted, end = True, time.monotonic() + grace
                with contextlib.suppress(OSError):
                    os.kill(self.process.pid, signal.SIGINT)
            writers = [self.pipes.end] if self._sending else []
            wait = max(0.0, min(1.0, end - time.monotonic()))
            ready, writable = _select([self.pipes.end, *streams], writers, wait)
            for each in list(ready.intersection(streams)):
                self._read_stream(each, streams, decoders, outputs)
            if writable:
                self._write()
            for kind, content in self._messages() if self.pipes.end in ready else ():
                taken = take(kind, content)
                if taken:
                    for each in list(streams):
                        self._read_stream(each, streams, decoders, outputs)
                    return taken, interrupted

    def _send(self, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        self._sending += HEAD.pack(len(data)) + data
        self._write()

    def _write(self) -> None:
        try:
            sent = self.pipes.end.send(self._sending)
            self._sending = self._sending[sent:]
        except BlockingIOError:
            pass
        except OSError:  # the next reading says so
            self._sending = b""

    def _read_stream(self, number: int, streams: dict, decoders: dict, outputs: Outputs) -> None:
        """What programs, and not Python's own streams, wrote."""
        try:
            data = os.read(number, READ)
            if not data:
                del streams[number]
            elif text := decoders[number].decode(data):
                outputs.add("stream", {"name": streams[number], "text": text})
        except BlockingIOError:
            pass

    def _messages(self):
        """The messages that have arrived."""
        try:
            data = self.pipes.end.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._ended()
        self._received += data
        while len(self._received) >= HEAD.size:
            (length,) = HEAD.unpack_from(self._received)
            if length > MOST:
                self._end("it sent more than anybody can read")
            if len(self._received) < HEAD.size + length:
                return
            message = bytes(self._received[HEAD.size : HEAD.size + length])
            del self._received[: HEAD.size + length]
            if understood := self._understood(message):
                yield understood

    def _understood(self, message: bytes) -> tuple[str, object] | None:
        """(kind, content) of a message about the request that is being answered; None for anything else."""
        try:
            if message[:1] == b"=":
                number, _, text = message[1:].partition(b" ")
                return ("answer", text.decode("utf-8", "replace")) if int(number[:20]) == self._number else None
            if sum(message.count(mark) for mark in (b"[", b"{", b",")) > PARTS:
                return None
            content = json.loads(message)
            return (str(content["kind"]), content) if content["number"] == self._number else None
        except Exception:  # forged, damaged, too deep: nobody's message
            return None

    def _ended(self) -> None:
        why = self.why_ended()
        code = self.process.ended() if self.process else None
        why = why or self.why_ended()
        self._end(why or "it ended its own process", killed=not why and code in SIGKILLED)

    def _end(self, why: str, late: bool = False, killed: bool = False) -> None:
        self.close()
        raise KernelGone(why, late, killed)

    def close(self) -> None:
        """End the kernel at once, with all it started."""
        with _lock:
            _alive.discard(self)
        if self.process:
            with contextlib.suppress(Exception):
                self.process.close()
        self.pipes.close()


def _select(readers: list, writers: list, seconds: float) -> tuple[set, set]:
    """Those of `readers` and of `writers` that are ready: select.select, for file descriptors of any number."""
    numbers = {each if isinstance(each, int) else each.fileno(): each for each in (*readers, *writers)}
    poller = select.poll()
    for number, each in numbers.items():
        poller.register(number, select.POLLIN * (each in readers) | select.POLLOUT * (each in writers))
    events = poller.poll(1000 * seconds)
    readable = {numbers[number] for number, event in events if event & ~select.POLLOUT}
    return readable, {numbers[number] for number, event in events if event & select.POLLOUT}


def remove(folder: Path) -> None:
    """Remove a folder as well as it goes; also one that is nested thousands deep, where Python's own way ends."""
    silent = {"stdin": DEVNULL, "stdout": DEVNULL, "stderr": DEVNULL}
    for command in (["rm", "-rf"], ["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        with contextlib.suppress(OSError):
            if os.path.lexists(folder):
                subprocess.run([*command, "--", str(folder)], check=False, **silent)


def _count(reply: dict) -> int | None:
    count = reply.get("count")
    return count if type(count) is int and 0 <= count < 2**31 else None


def _error(reply: dict) -> tuple[str, str] | None:
    if reply.get("status") == "ok":
        return None
    name, message = (said if isinstance(said, str) else "" for said in (reply.get("ename"), reply.get("evalue")))
    return name or "RuntimeError", message or "it did not run to its end"
