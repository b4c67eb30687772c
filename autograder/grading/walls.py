"""The walls around a learner's kernel: bubblewrap's command line, and the limits that the kernel starts with."""

import functools
import itertools
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import course
from autograder import ROOT
from autograder.grading.limits import Limits
from autograder.grading.outputs import printable

HOME = "/home/learner"
LIBRARY = str(Path(course.__path__[0]).parent)  # the grader's own library, wherever it is
#: A thread for each kernel: two that wait for one another on a core take many times as long.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
INSTALL = "sudo apt-get install bubblewrap"
ALLOW = """\
    On Ubuntu 23.10 and later an AppArmor rule lets bubblewrap make namespaces. Type:
      printf '%s\\n' 'abi <abi/4.0>,' 'include <tunables/global>' \\
        'profile bwrap /usr/bin/bwrap flags=(unconfined) {' '  userns,' '}' | sudo tee /etc/apparmor.d/bwrap
      sudo systemctl reload apparmor
    On other systems: sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000
    In a container: start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined
    Without walls, on your own risk: nbgrader autograde CHAPTER --TwoKernels.sandbox=False
      Learners' code then runs as you, with your network, your files and the gradebook within reach; the two kernels,
      the time limits and everything else stay."""


def installed() -> bool:
    return shutil.which("bwrap") is not None


def refused(timeout: float = 60) -> str:
    """Why walls cannot be made here, in bubblewrap's own words, found out by making some; "" where they can."""
    if not installed():
        return "bwrap is not installed"
    with tempfile.TemporaryDirectory(prefix="walls-") as place:
        home = Path(place, "home")
        home.mkdir()
        Path(place).chmod(0o711)
        command = walled([sys.executable, "-I", "-c", "print('inside')"], home, Limits(), new_user())
        try:
            done = subprocess.run(command, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return f"bwrap timed out: it was not ready in {timeout:g} s"
        except OSError as error:
            return str(error)
    if done.returncode == 0 and done.stdout.strip() == b"inside":
        return ""
    said = printable((done.stderr or done.stdout).decode("utf-8", "replace")).strip().splitlines()
    if said:
        return said[-1][:300]
    return f"exit code {done.returncode}" if done.returncode else "it ran and said nothing"


def new_user() -> int | None:
    """As root, an id that nobody else has: the limit on processes counts by user. Otherwise None."""
    return 1_000_000 + secrets.randbelow(1_000_000) if os.geteuid() == 0 else None


def walled(
    command: Sequence[str],
    folder: Path,
    limits: Limits,
    user: int | None,
    fresh: bool = False,
    more: Sequence[str] = (),
) -> list[str]:
    """`command` in a sandbox: no network, a read-only system, a home and /tmp of its own.

    It starts outside the home, where no file is in the way of a module that Python imports.
    folder: becomes the home, the one place it may write to besides /tmp. more: further options of bubblewrap's.
    user: whom it runs as, where this process is root: inside, the command gives up its rights (setpriv), for the kernel
    does not limit root's processes. fresh: without the course's library, its weights and the text it was tested on.
    """
    spaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if user is None:
        spaces.append("--unshare-user")
    wall = ["env", "-i", f"PATH={os.environ.get('PATH', os.defpath)}"]  # bubblewrap's own is read through /proc/1
    wall += ["bwrap", *more, *spaces, "--die-with-parent", "--new-session", "--clearenv"]
    for name, value in environment(fresh).items():
        wall += ["--setenv", name, value]
    wall += ["--proc", "/proc", "--dev", "/dev"]
    for place, size in (("/dev/shm", limits.disk // 2), ("/tmp", limits.disk)):
        wall += ["--perms", "1777", *(["--size", str(size)] if _sizes() else []), "--tmpfs", place]
    system = _system(fresh)
    for parent in {str(parent): None for path in (*system, HOME) for parent in reversed(Path(path).parents)}:
        # made by bubblewrap on the way they would be closed to all but root
        wall += ["--perms", "0755", "--dir", parent] if parent not in ("/", "/tmp") else []
    for path in system:
        wall += ["--ro-bind", path, path]
    hidden = [str(ROOT), *limits.hidden, *(_judges() if fresh else ())]
    masks = _masks(system, hidden)
    wall += masks
    wall += ["--bind", str(folder), HOME, "--chdir", "/"]
    covers = [place for option, place in itertools.pairwise(masks) if option == "--tmpfs"]
    for place in ("/", "/dev", *covers):  # made in memory, and nothing bounds them
        wall += ["--remount-ro", place]
    inside = ["prlimit", *(f"--{name}={most}" for name, most in bounds(limits).items())]
    if user is not None:
        os.chown(folder, user, user)  # what lies in it is the learner's already
        wall += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        inside += [
            "setpriv",
            f"--reuid={user}",
            f"--regid={user}",
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
            "--inh-caps=-all",
        ]
    return [*wall, *inside, *command]


def bounds(limits: Limits) -> dict[str, int]:
    """The limits that each process starts with, by the names of setrlimit; the clock is the rule for time."""
    bounds = {"core": 0, "data": limits.memory, "nproc": limits.processes, "fsize": limits.file_size}
    return bounds | {"cpu": int(limits.total_timeout) + 60}


def give_to(user: int, *folders: Path) -> None:
    """Make `user` the owner of the folders and of all in them; links are not followed."""
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user, user, follow_symlinks=False)


def environment(fresh: bool) -> dict[str, str]:
    """What a kernel behind walls has for its environment."""
    given = ONE_THREAD | {
        "HOME": HOME,
        "USER": "learner",
        "TMPDIR": "/tmp",
        "MPLCONFIGDIR": "/tmp/mpl",
        "IPYTHONDIR": "/tmp/ipython",
        "NBGRADER_EXECUTION": "autograde",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
    }
    if not fresh:
        given["PYTHONPATH"] = LIBRARY
    for name in ("PATH", "LANG", "LC_ALL", "OPENBLAS_CORETYPE"):
        if name in os.environ:
            given[name] = os.environ[name]
    return given


def _system(fresh: bool) -> list[str]:
    """What a Python kernel reads: the system's programs and libraries, this Python, and the course's library."""
    places = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/fonts", "/etc/passwd"]
    places += ["/etc/group", "/etc/localtime", "/etc/alternatives", sys.prefix, sys.base_prefix]
    places += [] if fresh else course.__path__
    return [place for place in dict.fromkeys(places) if os.path.exists(place)]


def _masks(system: Iterable[str], hidden: Iterable[str]) -> list[str]:
    """Options that lay something empty over each of `hidden` that lies in a part of the system, under each name it has.

    What of the system lies in a hidden folder, such as the virtual environment in the course's, is put there again.
    """
    options, again = [], []
    for secret in dict.fromkeys(Path(path).resolve() for path in hidden):
        covered = False
        for place in system:
            real = Path(place).resolve()
            if secret.is_relative_to(real) and secret.exists():
                seen_as = str(Path(place) / secret.relative_to(real))
                options += ["--tmpfs", seen_as] if secret.is_dir() else ["--ro-bind", "/dev/null", seen_as]
                covered = True
        if covered and secret.is_dir():
            again += [place for place in system if Path(place).resolve().is_relative_to(secret)]
    for place in dict.fromkeys(again):
        if any(Path(place).resolve() == Path(path).resolve() for path in hidden):  # a virtual environment in its root
            parts = [str(Path(place, part)) for part in ("bin", "lib", "lib64", "include", "share", "pyvenv.cfg")]
            again += [part for part in parts if os.path.exists(part)]
            again.remove(place)
    for place in dict.fromkeys(again):
        options += ["--ro-bind", place, place]
    return options


def _judges() -> list[str]:
    """What judges a restored network: the library with the weights, and the text that was held out."""
    from course import tinygpt

    files = getattr(tinygpt, "held_out_files", list)()
    return [*course.__path__, *map(str, files)]


@functools.cache
def _sizes() -> bool:
    """Does this bubblewrap bound a tmpfs? Where it does not, the watcher does."""
    try:
        return b"--size" in subprocess.run(["bwrap", "--help"], capture_output=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
