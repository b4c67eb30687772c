"""How a kernel's process comes about: a fork of a warm process, or, where that is refused, a new Python.

There are three warm processes: one with the libraries, for what is to know nothing of the course, and two forks of it
that have loaded what chapters load: one for learners, and one, with the stand-ins, for tests. None has ever seen
anything of a submission.
"""

import array
import atexit
import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import psutil

import course
from autograder import ROOT
from autograder.grading import border, inside, walls, warm
from autograder.grading.cgroup import Group
from autograder.grading.faults import MachineFault
from autograder.grading.inside import HEAD
from autograder.grading.kernels import Pipes, Process, remove
from autograder.grading.limits import Limits
from autograder.grading.submission import sources

LEARNER, FRESH, TESTS = "learner", "fresh", "tests"
PREFIX = f"grading-{os.getpid()}-"  # of temporary folders: by the number `room.sweep` knows whose they were
START = 60  # seconds for a kernel, or for a warm process, to start
IDLE = 60  # seconds that warm processes stay with nothing to do
NICE = 10  # learners' processes get the processor after the grader's own work
MODULES = {"_border": border, "_inside": inside, "_warm": warm}
BOOT = """
import json, socket, struct, sys, types
end = socket.socket(fileno=int(sys.argv[1]))
read = lambda count: end.recv(count, socket.MSG_WAITALL)
sent = json.loads(read(*struct.unpack("!I", read(4))))
for name, source in sent["modules"].items():
    sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name + ".py", "exec"), sys.modules[name].__dict__)
sys.modules["_inside"].main(end, **sent["start"])
"""
PREPARE_TESTS = f"""
import sys
import IPython
IPython.get_ipython().InteractiveTB.set_mode("Plain")  # with the lines around in colour it takes 30 ms for each error
sys.path.insert(0, {str(ROOT)!r})
import course.probe, autograder.grading.standins
course.probe.run_beside_the_answers = autograder.grading.standins.run_beside_the_answers
"""
log = logging.getLogger(__name__)


class Start(NamedTuple):
    """What a kernel is started with. kind: LEARNER, FRESH or TESTS. folder: where it works; behind walls, its home.

    user: whom it runs as, where this process is root. group: bounds the memory of a learner's processes.
    """

    kind: str
    limits: Limits
    folder: Path
    user: int | None = None
    group: Group | None = None

    @property
    def walls(self) -> bool:
        return self.limits.walls and self.kind != TESTS

    @property
    def home(self) -> str:
        return walls.HOME if self.walls else str(self.folder)

    @property
    def nice(self) -> int:
        return 0 if self.kind == TESTS else NICE

    def environment(self) -> dict[str, str]:
        if self.walls:
            return walls.environment(self.kind == FRESH)
        return os.environ | walls.ONE_THREAD | {"NBGRADER_EXECUTION": "autograde"}

    def walled(self, command: list[str], *more: str) -> list[str]:
        return walls.walled(command, self.folder, self.limits, self.user, self.kind == FRESH, more)

    def load(self) -> str:
        """What a new Python runs to be what a fork is."""
        courses = [] if self.kind == FRESH else _courses(self.limits)
        return _imports(_libraries(self.limits)) + PREPARE_TESTS * (self.kind == TESTS) + _imports(courses)


def started(start: Start, pipes: Pipes, seconds: float) -> Process:
    """The process of a kernel. Raises MachineFault, OSError."""
    if forked := warmth.fork(start, pipes, seconds):
        return forked
    return Cold(start, pipes)


# ---- A new Python ----


class Cold:
    """A process that starts Python and imports what it needs."""

    def __init__(self, start: Start, pipes: Pipes, command: list[str] | None = None):
        command = command or [sys.executable, "-c", BOOT, str(pipes.other.fileno())]
        environment = start.environment()
        self._walls = start.walls
        if self._walls:
            command = start.walled(command)
            command = start.group.command(command) if start.group else command
            environment = os.environ  # bubblewrap's own is emptied, see walls
        _, out, err = pipes.others
        self._process = subprocess.Popen(
            command,
            cwd=None if self._walls else ROOT if start.kind == TESTS else start.folder.parent,
            env=environment,
            pass_fds=[pipes.other.fileno()],
            start_new_session=True,
            **{"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err},
        )
        self.root = self._process.pid
        _boot(pipes.end, {"load": start.load(), "home": start.home, "nice": start.nice})

    @property
    def pid(self) -> int:
        """Behind walls, the first process that is not bubblewrap's."""
        with contextlib.suppress(psutil.Error):
            for one in psutil.Process(self.root).children(recursive=True) if self._walls else ():
                if one.name() != "bwrap":
                    return one.pid
        return self.root

    def ended(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(2)
        return None

    def close(self) -> None:
        with contextlib.suppress(psutil.Error):
            for one in psutil.Process(self.root).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    one.kill()
        self._process.kill()
        self._process.wait()


def _boot(end: socket.socket, start: dict) -> None:
    sources = {name: Path(module.__file__).read_text("utf-8") for name, module in MODULES.items()}
    data = json.dumps({"modules": sources, "start": start}).encode()
    blocking = end.getblocking()
    end.settimeout(START)
    with contextlib.suppress(BrokenPipeError):  # it ended at once; whoever waits for its first word says why
        end.sendall(HEAD.pack(len(data)) + data)
    end.setblocking(blocking)


# ---- A fork ----


class Forked:
    """A fork of a warm process. status: the other end of what its keeper says, see `warm`."""

    def __init__(self, status: socket.socket, said: dict):
        self._status = status
        self.root, self.pid = said["keeper"], said["pid"]

    def ended(self) -> int | None:
        """Its keeper, whom no learner can reach, says so; where it cannot, somebody has killed it as well."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            self._status.settimeout(2)
            said = self._status.recv(1000)
            return json.loads(said)["ended"] if said else -signal.SIGKILL
        return None

    def close(self) -> None:
        """Its keeper ends the kernel and its sandbox when it hears that nobody listens any more."""
        with self._status as status, contextlib.suppress(OSError):
            status.settimeout(10)
            status.shutdown(socket.SHUT_WR)
            try:
                while status.recv(1000):
                    pass
            except TimeoutError:
                os.kill(self.root, signal.SIGKILL)


class _Server:
    """This side of a warm process."""

    def __init__(self, control: socket.socket):
        self.control = control

    def load(self, code: str) -> None:
        self.control.settimeout(START)
        self.control.send(json.dumps({"load": code}).encode())

    def loaded(self) -> None:
        """Wait until it has; raises MachineFault where it cannot."""
        reply = self.control.recv(2**16)
        if not reply:
            raise MachineFault("a warm process ended while it loaded what kernels need")
        if why := json.loads(reply)["error"]:
            raise MachineFault(f"a kernel could not import what it needs: {why[:300]}")

    def child(self) -> "_Server":
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self.fork({"warm": True}, [other.fileno()])
        return _Server(own)

    def fork(self, what: dict, descriptors: list[int]) -> None:
        socket.send_fds(self.control, [json.dumps({"fork": what}).encode()], descriptors)


class _Family:
    """The warm processes that have loaded what `limits` names. Raises MachineFault, OSError."""

    def __init__(self, limits: Limits):
        self.preload, self.stamp = limits.preload, _stamp()
        self.place, self.process, self.servers = Path(tempfile.mkdtemp(prefix=PREFIX)), None, {}
        try:
            own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            boot, given = socket.socketpair()
            environment = walls.environment(fresh=True) | {"TMPDIR": str(self.place), "HOME": str(self.place)}
            environment |= {"MPLCONFIGDIR": str(self.place), "IPYTHONDIR": str(self.place)}
            with boot, given, other:
                self.process = subprocess.Popen(
                    [*_loader(), sys.executable, "-c", BOOT, str(given.fileno())],
                    cwd="/",
                    env=environment,
                    pass_fds=[given.fileno(), other.fileno()],
                    start_new_session=True,
                    **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL),
                )
                _boot(boot, {"warm": other.fileno()})
            base = _Server(own)
            base.load(_imports(_libraries(limits)))
            base.loaded()
            learner, tests = base.child(), base.child()
            library = f"import sys\nsys.path.insert(1, {walls.LIBRARY!r})\n"
            for server, code in ((learner, library), (tests, PREPARE_TESTS)):
                server.load(code + _imports(_courses(limits)))  # both at once
            for server in (learner, tests):
                server.loaded()
            self.servers = {FRESH: base, LEARNER: learner, TESTS: tests}
        except BaseException:
            self.close()
            raise

    def is_fit(self, limits: Limits) -> bool:
        return limits.preload == self.preload and self.stamp == _stamp()

    def lives(self) -> bool:
        """Whether all three do: one that ended has hung up."""
        poller = select.poll()
        for server in self.servers.values():
            poller.register(server.control, 0)
        return self.process.poll() is None and not poller.poll(0)

    def close(self) -> None:
        """They leave when their last fork has ended."""
        for server in self.servers.values():
            server.control.close()
        if self.process and not self.servers:
            self.process.kill()
            self.process.wait()
        remove(self.place)


class Warmth:
    """The warm processes of this process, started when they are first needed. refused: why there are none."""

    def __init__(self):
        self.refused = "" if sys.platform == "linux" else "processes are forked on Linux only"
        self._family: _Family | None = None
        self._lost = 0
        self._lock, self._rest = threading.Lock(), threading.Event()
        atexit.register(self.close)

    def fork(self, start: Start, pipes: Pipes, seconds: float) -> Forked | None:
        """A fork, or None where there can be none. Raises MachineFault."""
        if self.refused:
            return None
        limits, walled, holder = start.limits, start.walls, None
        if walled:
            holder = start.walled(["cat"], "--info-fd", str(warm.INFO))
            holder = start.group.command(holder) if start.group else holder  # a learner can make `cat` hold memory
        rlimits = {f"RLIMIT_{name.upper()}": most for name, most in walls.bounds(limits).items()} if walled else {}
        what = {
            "warm": False,
            "walls": holder,
            "home": start.home,
            "user": start.user,
            "group": str(start.group.path) if start.group else None,
            "limits": rlimits,
            "nice": start.nice,
            "environment": start.environment(),
        }
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other, self._lock:  # else another thread might send the family away before it has forked
            self._ready(limits).servers[start.kind].fork(what, [other.fileno(), *pipes.others])
        try:
            own.settimeout(seconds)
            said = own.recv(2**16)
            if not said:
                raise MachineFault("a kernel did not start: its keeper ended")
            said = json.loads(said)
            if "refused" not in said:
                return Forked(own, said)
            self._refuse(said["refused"])
        except TimeoutError as late:
            own.close()  # its keeper ends what it began
            raise MachineFault(f"a kernel did not start in {seconds:g} s") from late
        own.close()
        return None

    def losses(self) -> int:
        """How often warm processes were lost, with all that they had forked, so far."""
        with self._lock:
            self._let_go_of_the_dead()
            return self._lost

    def _let_go_of_the_dead(self) -> None:
        if self._family and not self._family.lives():
            self._family.close()
            self._family = None
            self._lost += 1

    def _ready(self, limits: Limits) -> _Family:
        """With the lock held: the warm processes that have loaded what `limits` names, as it is now."""
        self._rest.set()
        self._let_go_of_the_dead()
        if self._family and not self._family.is_fit(limits):
            self._family.close()
            self._family = None
        self._family = self._family or _Family(limits)
        return self._family

    def rest(self) -> None:
        """There is nothing to do now: where it stays so for a while, as in a server that was asked once, they leave."""
        self._rest.set()  # the one that waited
        self._rest = rest = threading.Event()

        def wait() -> None:
            if not rest.wait(IDLE):
                self.close()

        threading.Thread(target=wait, name="rest", daemon=True).start()

    def _refuse(self, why: str) -> None:
        if not self.refused:
            self.refused = why
            log.warning("Each kernel starts cold, in seconds: a warm process cannot fork into a sandbox here (%s)", why)

    def close(self) -> None:
        with self._lock:
            family, self._family = self._family, None
        if family:
            family.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                family.process.wait(10)


def _loader() -> list[str]:
    """The system's program that starts this Python, such as /lib64/ld-linux-x86-64.so.2.

    /proc/self/exe leads a fork out of its walls, to the program that was started. Python's may be the grader's own
    file, whose mode and times a fork that runs as the grader could change; the system's is not.
    """
    words = array.array("L", Path("/proc/self/auxv").read_bytes())
    base = dict(zip(words[::2], words[1::2], strict=True)).get(7)  # AT_BASE
    for line in Path("/proc/self/maps").read_text().splitlines():
        if base and int(line.partition("-")[0], 16) == base:
            return [line.split(maxsplit=5)[-1]]
    return []


def _imports(names: list[str]) -> str:
    return f"import {', '.join(names)}\n" if names else ""


def _libraries(limits: Limits) -> list[str]:
    return [name for name in _names(limits) if name.partition(".")[0] != "course"]


def _courses(limits: Limits) -> list[str]:
    return [name for name in _names(limits) if name.partition(".")[0] == "course"]


def _names(limits: Limits) -> list[str]:
    return [name.strip() for name in limits.preload.split(",") if name.strip()]


def _stamp() -> tuple:
    """Changes when something changes that a warm process has loaded."""
    found = []
    for path in (*sources(Path(course.__path__[0])), *sources(Path(__file__).parent)):
        with contextlib.suppress(FileNotFoundError):  # it was there a moment ago
            about = path.stat()
            found.append((str(path), about.st_mtime_ns, about.st_size))
    return tuple(found)


warmth = Warmth()
