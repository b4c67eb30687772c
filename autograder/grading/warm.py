"""A warm process: it has loaded what kernels need, holds nothing of anybody's, and forks when it is asked to.

Starting Python and importing torch takes seconds; a fork takes milliseconds, and what was loaded costs it no memory.
The walls stay bubblewrap's: it makes a sandbox around a process that does nothing, and the fork joins that one's
namespaces, takes the sandbox's root, gives up its rights and only then becomes a kernel. Like `inside` and the border
this file is sent as source.

Each fork has a keeper: the parent of the kernel and of bubblewrap, outside the walls, which ends both and tells how
the kernel ended. It ends them when the grader hangs up, whatever became of the grader.
"""

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import random
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback

INFO = 100  # the file descriptor on which bubblewrap tells the process whose namespaces are to be joined
READY = 30  # seconds that bubblewrap has
SPACES = ("mnt", "pid", "net", "ipc", "uts", "cgroup")
OWNER = 0xB701  # the ioctl NS_GET_USERNS: the user namespace that a namespace belongs to
KEYCTL = {"x86_64": 250, "aarch64": 219}.get(os.uname().machine)  # the system call, which has no other name here
PDEATHSIG, DUMPABLE, BOUNDING_DROP, SUBREAPER, NO_NEW_PRIVS = 1, 4, 24, 36, 38  # of prctl
_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """This machine does not let a process join a sandbox; the message says which step."""


def keep_warm(control: socket.socket, become) -> None:
    """Answer requests on `control` until the grader hangs up, and leave when the last fork has ended.

    A request is JSON: {"load": code} is run here and answered with {"error": "" or why}; {"fork": what} with file
    descriptors, see `_fork`. become: called in a fork with (its own control socket) or with what `_kernel` gives.
    """
    _prctl(SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the grader's
    while True:
        _reap()
        if not select.select([control], [], [], 1)[0]:
            continue
        data, descriptors, *_ = socket.recv_fds(control, 2**20, 4)
        if not data:
            break
        request = json.loads(data)
        if "load" in request:
            control.send(json.dumps({"error": _loaded(request["load"])}).encode())
        elif os.fork() == 0:
            _fork(control, request["fork"], descriptors, become)
        for descriptor in descriptors:
            os.close(descriptor)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    os._exit(0)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _loaded(code: str) -> str:
    try:
        exec(code, {"__name__": "loading"})
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    gc.collect()
    gc.freeze()
    threads = len(os.listdir("/proc/self/task"))
    return "" if threads == 1 else f"a fork has none of the {threads} threads that loading started"


def _fork(control, what: dict, descriptors: list[int], become) -> None:
    """In a new process: another warm process, or a kernel's keeper. Never returns."""
    try:
        _prctl(PDEATHSIG, signal.SIGKILL)
        control.close()
        if what["warm"]:
            become(control=socket.socket(fileno=descriptors[0]))
        else:
            _keep(what, descriptors, become)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _keep(what: dict, descriptors: list[int], become) -> None:
    """Make the kernel, say that it is there, and end it when it is time.

    status: tells {"pid": of the kernel, "keeper": of this process} or {"refused": why}, and at last {"ended": code}.
    """
    status, *given = descriptors
    status, holder, group = socket.socket(fileno=status), None, None
    try:
        if what["group"]:
            group = os.open(os.path.join(what["group"], "cgroup.procs"), os.O_WRONLY)
        if what["walls"]:
            holder, held = _held(what["walls"])
            _join(held)
            _prctl(PDEATHSIG, signal.SIGKILL)  # which a change of rights takes away
        else:
            _prctl(SUBREAPER, 1)  # what the kernel leaves behind becomes this process's
        kernel = os.fork()
    except Exception as why:
        if holder:
            holder.kill()
        status.send(json.dumps({"refused": f"{type(why).__name__}: {why}"}).encode())
        os._exit(1)
    if kernel == 0:
        status.close()
        _kernel(what, given, group, become)
    for descriptor in (*given, *([group] if group else [])):
        os.close(descriptor)
    with contextlib.suppress(OSError):
        status.send(json.dumps({"pid": kernel, "keeper": os.getpid()}).encode())
    code = _until_the_end(kernel, holder, status)
    with contextlib.suppress(OSError):
        status.send(json.dumps({"ended": code}).encode())
    os._exit(0)


def _until_the_end(kernel: int, holder, status: socket.socket) -> int:
    """Wait for the end of the kernel, of the sandbox or of the grader's interest; the kernel's exit code."""
    ended = (0, 0)
    while not ended[0]:
        hung_up = bool(select.select([status], [], [], 0.05)[0])
        if hung_up or (holder and holder.poll() is not None):
            os.kill(kernel, signal.SIGKILL)
            ended = os.waitpid(kernel, 0)
        else:
            ended = os.waitpid(kernel, os.WNOHANG)
    if holder:
        holder.kill()
        holder.wait()
    else:
        _end_children()
    return os.waitstatus_to_exitcode(ended[1])


def _end_children() -> None:
    """Without walls: end what the kernel started, and what that started."""
    with contextlib.suppress(ChildProcessError, FileNotFoundError):
        while True:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                for pid in file.read().split():
                    os.kill(int(pid), signal.SIGKILL)
            os.wait()


def _held(command: list[str]) -> tuple[subprocess.Popen, int]:
    """A sandbox that is ready, around a process that waits, and the number of a process in it."""
    read, write = os.pipe()
    os.dup2(write, INFO)
    os.close(write)
    try:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        holder = subprocess.Popen(command, pass_fds=[INFO], bufsize=0, **pipes)
    finally:
        os.close(INFO)
    try:
        holder.stdin.write(b".")  # which `cat` repeats as soon as it runs behind all walls
        if not select.select([holder.stdout], [], [], READY)[0] or holder.stdout.read(1) != b".":
            holder.kill()
            said = holder.stderr.read(10_000) if select.select([holder.stderr], [], [], 1)[0] else b""
            said = said.decode("utf-8", "replace").strip().splitlines()
            raise Refused(f"bubblewrap made no sandbox: {said[-1] if said else 'it said nothing'}")
        if not select.select([read], [], [], READY)[0]:
            raise Refused("bubblewrap did not say which process is in its sandbox")
        return holder, json.loads(os.read(read, 10_000))["child-pid"]
    except BaseException:
        holder.kill()
        raise
    finally:
        os.close(read)


def _join(held: int) -> None:
    """Enter the namespaces of the process `held`, and the root that it sees; children are born in its pid namespace.

    An ordinary user's sandbox has two user namespaces: one owns all the others, the process itself is in the second.
    """
    root = os.open(f"/proc/{held}/root", os.O_PATH | os.O_DIRECTORY)
    spaces = {name: os.open(f"/proc/{held}/ns/{name}", os.O_RDONLY) for name in ("user", *SPACES)}
    own = {name: os.stat(f"/proc/self/ns/{name}").st_ino for name in spaces}
    user = spaces.pop("user")
    owner = fcntl.ioctl(spaces["mnt"], OWNER)
    for name, space in (("the owner's user", owner), *spaces.items()):
        if os.fstat(space).st_ino != own.get(name, own["user"]):
            _setns(space, name)
        elif name not in ("the owner's user", "cgroup"):
            raise Refused(f"the sandbox has no {name} namespace of its own")
    os.fchdir(root)
    os.chroot(".")
    if os.fstat(user).st_ino != os.fstat(owner).st_ino:
        _setns(user, "user")
    for descriptor in (root, owner, user, *spaces.values()):
        os.close(descriptor)


def _setns(space: int, name: str) -> None:
    if _libc.setns(space, 0):  # os.setns is there from Python 3.12 on
        raise Refused(f"setns into its {name} namespace: {os.strerror(ctypes.get_errno())}")


def _kernel(what: dict, given: list[int], group: int | None, become) -> None:
    """The kernel's own process: inside, limited, without rights. Never returns."""
    os.setsid()
    os.closerange(0, min(given + ([group] if group else [])))
    if group:
        os.write(group, b"0")
    os.open(os.devnull, os.O_RDWR)
    safe = [fcntl.fcntl(each, fcntl.F_DUPFD, 50) for each in given]  # above the places that they are to take
    for place, each in zip((3, 1, 2), safe, strict=True):
        os.dup2(each, place, inheritable=place != 3)
    os.closerange(4, 2**16)
    for name, most in what["limits"].items():
        number = getattr(resource, name)
        _, hard = resource.getrlimit(number)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (most, most))
    os.nice(what["nice"])
    _give_up_rights(what["user"]) if what["walls"] else _prctl(PDEATHSIG, signal.SIGKILL)
    forget_keys()
    os.umask(0o022)
    os.environ.clear()
    os.environ |= what["environment"]
    _as_if_new()
    os.chdir(what["home"])
    become(channel=socket.socket(fileno=3))


def _give_up_rights(user: int | None) -> None:
    for capability in range(64):
        if _libc.prctl(BOUNDING_DROP, capability, 0, 0, 0):
            break
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if _libc.capset(header, nothing):
        raise Refused(f"capset: {os.strerror(ctypes.get_errno())}")
    _prctl(NO_NEW_PRIVS, 1)
    _prctl(DUMPABLE, 1)  # as after an exec: its own files in /proc are its own
    _prctl(PDEATHSIG, signal.SIGKILL)


def forget_keys() -> None:
    """No key of the session's that the grader runs in, and no keyring in which one student's code leaves notes."""
    if KEYCTL:
        _libc.syscall(KEYCTL, 1, None)  # KEYCTL_JOIN_SESSION_KEYRING: a new one; refused, nobody has keys


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
        raise Refused(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def _as_if_new() -> None:
    """Random numbers as a new process has them."""
    random.seed()
    tempfile.tempdir = None  # where the warm process had it
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy:
        numpy.random.seed()
    if torch:
        torch.default_generator.seed()
