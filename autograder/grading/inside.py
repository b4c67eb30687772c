"""What runs in a kernel's process: IPython's shell, which takes requests from a socket and sends what comes of them.

This one file is sent as source, as the border is: a learner's process sees nothing of the course's own. There the
learner may have changed anything, so the other side (`kernels`) believes nothing that it reads. In a test kernel the
same loop is to be trusted, and the shell's `ask` brings a test's questions to the grader.

A message is its length in four bytes and a text. The text is JSON, or else `?` and a request of the border's, or `=`,
the number of that request and its reply.
"""

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

MOST = 2**26 + 2**20  # bytes of one message
PIECE = 2**20  # characters of a stream in one message
HEAD = struct.Struct("!I")
#: What programs and libraries take from a notebook's surroundings: colours, no pager, pictures in the page.
SURROUNDINGS = {"TERM": "xterm-color", "CLICOLOR": "1", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "PAGER": "cat"}
SURROUNDINGS |= {"GIT_PAGER": "cat", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}


def main(end: socket.socket, warm: int = 0, load: str = "", home: str = "/", nice: int = 0) -> None:
    """Be a kernel, or a warm process: the start of a process of its own. load: code that a kernel runs before.

    warm: the file descriptor of a warm process's socket, or 0.
    home: where a kernel works from then on: what lies there is in the way of no module that `load` imports.
    """
    sys.argv = [""]
    end.set_inheritable(False)
    shell, border = make_shell(), sys.modules["_border"]

    def become(control: socket.socket | None = None, channel: socket.socket | None = None) -> None:
        if control:
            sys.modules["_warm"].keep_warm(control, become)
        serve(shell, Channel(channel), border)

    if warm:
        end.close()
        become(control=socket.socket(fileno=warm))
    os.nice(nice)
    sys.modules["_warm"].forget_keys()
    exec(load, {"__name__": "loading"})
    os.chdir(home)
    become(channel=end)


class Channel:
    """One end of the socket. number: of the request that is being answered, which each message carries."""

    def __init__(self, end: socket.socket):
        self.end, self.number, self._lock, self._pid = end, 0, threading.RLock(), os.getpid()
        self._sends = self._interrupted = False  # the main thread: it sends, and is to be interrupted when it has

    def interrupt(self, *about) -> None:
        """What SIGINT does: half a message would be the end of all others."""
        if self._sends:
            self._interrupted = True
        else:
            raise KeyboardInterrupt

    def receive(self) -> str | None:
        """The next message; None at the end."""
        (length,) = HEAD.unpack(self._exactly(HEAD.size) or bytes(HEAD.size))
        return self._exactly(length).decode("utf-8", "surrogatepass") if length else None

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            part = self.end.recv(min(count, 2**20))
            if not part:
                return b""
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def send(self, text: str) -> None:
        """Nothing that a forked child says is its parent's message."""
        if os.getpid() == self._pid:
            data = text.encode("utf-8", "surrogatepass")
            main = threading.current_thread() is threading.main_thread()
            with self._lock:
                try:
                    self._sends = self._sends or main
                    self.end.sendall(HEAD.pack(len(data)) + data)
                finally:
                    self._sends = self._sends and not main
            if main and self._interrupted:
                self._interrupted = False
                raise KeyboardInterrupt

    def say(self, kind: str, **content) -> None:
        text = json.dumps({"kind": kind, "number": self.number, **content}, default=str, skipkeys=True)
        if len(text) > MOST:
            text = json.dumps({"kind": "left_out", "number": self.number, "size": len(text)})
        self.send(text)


class Stream:
    """sys.stdout or sys.stderr: what is written is sent in larger pieces, a line at the latest after a moment."""

    encoding, errors, closed, newlines, line_buffering, mode = "utf-8", "strict", False, None, True, "w"
    WAIT = 0.1  # seconds

    def __init__(self, channel: Channel, name: str, number: int):
        self.name, self._channel, self._number, self._pid = f"<{name}>", channel, number, os.getpid()
        self._kind, self._parts, self._size, self._sent, self._lock = name, [], 0, 0.0, threading.RLock()

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if os.getpid() != self._pid:  # a child's words go where a program's go
            os.write(self._number, text.encode("utf-8", "replace"))
            return len(text)
        with self._lock:
            for start in range(0, len(text), PIECE):
                self._parts.append(text[start : start + PIECE])
                self._size += len(self._parts[-1])
                if self._size >= PIECE or ("\n" in text and time.monotonic() > self._sent + self.WAIT):
                    self.flush()
        return len(text)

    def writelines(self, lines) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._lock:
            parts, self._parts, self._size = self._parts, [], 0
            if parts:
                self._sent = time.monotonic()
                self._channel.say("stream", name=self._kind, text="".join(parts))

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        pass

    def isatty(self) -> bool:
        return False

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    seekable = readable

    @property
    def buffer(self):
        return open(self._number, "wb", buffering=0, closefd=False)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.flush()


def make_shell():
    """IPython's shell as a notebook has it, without a front end; `serve` gives it one."""
    os.environ |= SURROUNDINGS
    from IPython.core.compilerop import CachingCompiler, code_name
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.error import StdinNotImplementedError
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets import Type
    from traitlets.config import Config

    class Compiler(CachingCompiler):
        """Names a cell's code as Jupyter does, which tells it from the libraries'."""

        def get_code_name(self, raw_code, transformed_code, number):
            return f"/tmp/ipykernel_{os.getpid()}/{code_name(transformed_code).rpartition('-')[2].rstrip('>')}.py"

    class Publisher(DisplayPublisher):
        def publish(self, data, metadata=None, source=None, *, transient=None, update=False, **kwargs):
            self.shell.flush()
            if not update:
                self.shell.channel.say("display_data", data=_texts(data))

        def clear_output(self, wait=False):
            self.shell.flush()
            self.shell.channel.say("clear_output", wait=bool(wait))

    class Result(DisplayHook):
        def write_output_prompt(self):
            pass

        def write_format_data(self, format_dict, md_dict=None):
            self._data = format_dict

        def finish_displayhook(self):
            data, self._data = getattr(self, "_data", None), None
            self.shell.flush()
            if data:
                self.shell.channel.say("execute_result", data=_texts(data))
            self._is_active = False

    class Shell(InteractiveShell):
        displayhook_class, display_pub_class, compiler_class = Type(Result), Type(Publisher), Type(Compiler)
        channel, left = None, False

        def init_virtualenv(self):
            pass

        def init_hooks(self):
            super().init_hooks()
            self.set_hook("show_in_pager", lambda *args, **named: None, 99)

        def enable_gui(self, gui=None):
            pass

        def ask_exit(self):
            self.left = True

        def ask(self, request):
            """The grader's reply to a test's question about an answer."""
            self.flush()
            self.channel.say("asked", request=request)
            return self.channel.receive()

        def flush(self):
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()

        def _showtraceback(self, etype, evalue, stb):
            self.flush()
            self.channel.say("error", ename=str(etype.__name__), evalue=str(evalue), traceback=stb)

        def system(self, cmd):
            self.user_ns["_exit_code"] = _shell_command(self.var_expand(cmd, depth=1))

    def no_input(prompt=""):
        raise StdinNotImplementedError("raw_input was called, but this frontend does not support input requests.")

    import builtins
    import getpass

    builtins.input = getpass.getpass = no_input
    config = Config()
    config.HistoryManager.enabled, config.HistoryManager.hist_file = False, ":memory:"
    config.IPKernelApp.tqdm = "a notebook's progress bars are shown as widgets"
    return Shell.instance(config=config)


def _texts(data: dict) -> dict:
    """A display's forms, pictures as text."""
    return {
        str(kind): base64.b64encode(each).decode() if isinstance(each, bytes | bytearray) else each
        for kind, each in dict(data).items()
    }


def _shell_command(command: str) -> int:
    """Run a shell's command; what it writes is the cell's output."""
    import subprocess

    with subprocess.Popen(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout:
            sys.stdout.write(line.decode("utf-8", "replace"))
    return process.returncode


def serve(shell, channel: Channel, border) -> None:
    """Answer requests until the other side has gone. border: the module that answers for the learner's objects."""
    os.environ |= SURROUNDINGS
    shell.channel = channel
    sys.stdout, sys.stderr = Stream(channel, "stdout", 1), Stream(channel, "stderr", 2)
    pid, loop = os.getpid(), asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel.say("ready")
    while (text := channel.receive()) is not None:
        channel.number += 1
        if text.startswith("?"):
            _interruptible(channel, lambda: _answer(channel, border, text[1:], shell.user_ns))
        else:
            _run(shell, channel, loop, **json.loads(text))
        if os.getpid() != pid or shell.left:  # a forked child that came back from a cell is nobody
            break
    os._exit(0)


def _interruptible(channel: Channel, action) -> None:
    try:
        signal.signal(signal.SIGINT, channel.interrupt)
        try:
            action()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        pass


def _answer(channel: Channel, border, request: str, namespace: dict) -> None:
    reply = border._SPEECHLESS
    try:
        reply = border.serve(request, namespace)
    finally:  # an interrupt may come between
        sys.stdout.flush()
        sys.stderr.flush()
        channel.send(f"={channel.number} {reply}")


def _run(shell, channel: Channel, loop, code: str, silent: bool) -> None:
    said = {"status": "error", "ename": "KeyboardInterrupt", "evalue": ""}

    def run():
        result = loop.run_until_complete(_cell(shell, code, silent))
        error = result.error_before_exec or result.error_in_exec
        if error is None:
            said.update(status="ok")
        else:
            said.update(ename=type(error).__name__, evalue="an error that cannot say what it is")
            said.update(evalue=str(error))

    with contextlib.suppress(Exception):
        _interruptible(channel, run)
    shell.flush()
    channel.say("reply", count=shell.execution_count - (not silent), left=shell.left, **said)


async def _cell(shell, code: str, silent: bool):
    """What the shell's own run_cell does, in a loop that runs, as a notebook's cells find it."""
    try:
        transformed, failed = shell.transform_cell(code), None
    except Exception:
        transformed, failed = code, sys.exc_info()
    result = await shell.run_cell_async(
        code,
        store_history=not silent,
        silent=silent,
        transformed_cell=transformed,
        preprocessing_exc_tuple=failed,
    )
    shell.events.trigger("post_execute")
    if not silent:
        shell.events.trigger("post_run_cell", result)
    return result
