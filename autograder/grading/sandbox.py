"""The walls around the learner's kernel: bubblewrap's command line, and the limits that the kernel starts with."""

import os
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import course

HOME = "/home/learner"
INSTALL = "sudo apt-get install bubblewrap"


def available() -> bool:
    """Is bubblewrap installed?"""
    return shutil.which("bwrap") is not None


def walled(command: Sequence[str], folder: Path, runtime: Path, limits: dict[str, int]) -> list[str]:
    """`command` in a sandbox: no network, a read-only system, a home and /tmp of its own.

    folder: becomes the home, the one place it may write to besides /tmp. runtime: holds the kernel's sockets.
    limits: prlimit's options, such as {"data": 2 * 2**30, "nproc": 256}.

    As root the command gives up its rights inside (setpriv), for the kernel does not limit root's processes.
    """
    environment = {
        "HOME": HOME,
        "USER": "learner",
        "TMPDIR": "/tmp",
        "MPLCONFIGDIR": "/tmp/mpl",
        "IPYTHONDIR": "/tmp/ipython",
        "PYTHONPATH": str(Path(course.__path__[0]).parent),  # the grader's own library, wherever it is
    }
    spaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if os.geteuid() != 0:
        spaces.append("--unshare-user")
    wall = ["bwrap", *spaces, "--die-with-parent", "--new-session", "--clearenv"]
    for name in ("PATH", "LANG", "LC_ALL", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE"):
        if name in os.environ:
            environment[name] = os.environ[name]
    environment |= {"NBGRADER_EXECUTION": "autograde", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
    for name, value in environment.items():
        wall += ["--setenv", name, value]
    wall += ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/dev/shm", "/tmp"):
        wall += ["--perms", "1777", "--tmpfs", place]
    system = _system()
    parents = {str(parent): None for path in (*system, HOME) for parent in reversed(Path(path).parents)}
    for parent in parents:  # made by bubblewrap on the way they would be closed to all but root
        wall += ["--perms", "0755", "--dir", parent] if parent not in ("/", "/tmp") else []
    for path in system:
        wall += ["--ro-bind", path, path]
    wall += ["--bind", str(folder), HOME, "--bind", str(runtime), str(runtime), "--chdir", HOME]
    inside = ["prlimit", "--core=0", *(f"--{name}={value}" for name, value in limits.items())]
    if os.geteuid() == 0:
        uid = 1_000_000 + secrets.randbelow(1_000_000)  # one for each: the limit on processes counts by user
        for path in (folder, runtime, *folder.rglob("*"), *runtime.rglob("*")):
            os.chown(path, uid, uid, follow_symlinks=False)
        wall += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        inside += [
            "setpriv",
            f"--reuid={uid}",
            f"--regid={uid}",
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
        ]
    return [*wall, *inside, *command]


def _system() -> list[str]:
    """What a Python kernel reads: the system's programs and libraries, this Python, and the course's library."""
    places = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/fonts", "/etc/passwd"]
    places += ["/etc/group", "/etc/localtime", "/etc/alternatives", sys.prefix, sys.base_prefix, *course.__path__]
    return [place for place in dict.fromkeys(places) if os.path.exists(place)]
