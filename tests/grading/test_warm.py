"""What holds for a learner's kernel, forked from a warm process or started cold: as root, and as an ordinary user.

A kernel reports on itself, and what it must not be able to do it tries; whoever runs these tests looks from outside.
"""

import contextlib
import ctypes
import json
import logging
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from nbgrader.utils import determine_grade

import course
from autograder import ROOT
from autograder.grading import cgroup, forks, inside, walls, warm
from autograder.grading.execute import TwoKernels
from autograder.grading.faults import KernelGone, MachineFault
from autograder.grading.kernels import Kernel
from autograder.grading.limits import Limits
from autograder.grading.room import Room, test_kernel
from autograder.grading.run import run

test_kernel.__test__ = False
SECRET = "a secret that only the grader knows"
LIMITS = Limits(memory=2**30, cell_timeout=20, total_timeout=120)
FULL = LIMITS._replace(preload=TwoKernels().preload)
AS_ROOT = os.geteuid() == 0
SOMEBODY = 64_321  # an ordinary user's id
as_root = pytest.mark.skipif(not AS_ROOT, reason="only root can be another user")

FACTS = """
import json, os, random, resource, socket, sys, tempfile
import numpy
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
links = {}
for number in os.listdir("/proc/self/fd"):
    try:
        links[number] = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        pass
print(json.dumps({
    "status": {name: value.split() for name, value in status.items()},
    "networks": [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line],
    "routes": open("/proc/net/route").read().splitlines()[1:],
    "processes": {pid: open(f"/proc/{pid}/comm").read().strip() for pid in os.listdir("/proc") if pid.isdigit()},
    "pid": os.getpid(), "session": os.getsid(0), "parent": os.getppid(), "open": links,
    "spaces": {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")},
    "written together": [line for line in open("/proc/self/maps") if line.split()[1][1::2] == "ws"],
    "environment": dict(os.environ), "first environment": open("/proc/self/environ").read(),
    "limits": {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name.upper())) for name in NAMES},
    "nice": os.nice(0), "umask": os.umask(0o022), "folder": os.getcwd(), "arguments": sys.argv,
    "ids": [*os.getresuid(), *os.getresgid(), *os.getgroups()],
    "temporary": tempfile.gettempdir(), "seen": [path for path in PATHS if os.path.exists(path)],
    "home": os.listdir("."), "roots": os.listdir("/"), "tmp": os.listdir("/tmp"),
    "drawn": [random.random(), numpy.random.rand(), os.urandom(8).hex()]
}))
"""


def say(room: Room, code: str, seconds: float = 20) -> str:
    """What code prints in a room; it must not fail."""
    ran = room.kernel.run(textwrap.dedent(code), seconds)
    assert ran.error is None, ran
    return "".join(output.text for output in ran.outputs if output.output_type == "stream")


def facts(room: Room, paths: list) -> dict:
    names = list(walls.bounds(LIMITS))
    return json.loads(say(room, FACTS.replace("NAMES", repr(names)).replace("PATHS", repr(list(map(str, paths))))))


@contextlib.contextmanager
def rooms(*limits: Limits, **how):
    """A room for each of the limits."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(Room(each, **how))) for each in limits]


@pytest.fixture
def warmth(monkeypatch):
    """Warm processes of the test's own."""
    own = forks.Warmth()
    monkeypatch.setattr(forks, "warmth", own)
    yield own
    own.close()


@pytest.fixture
def notes():
    """The messages that are logged about how kernels start."""
    said, handler = [], logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    forks.log.addHandler(handler)
    yield said
    forks.log.removeHandler(handler)


@pytest.fixture(params=["warm", "cold"])
def way(request, monkeypatch):
    """Both ways in which a kernel starts."""
    if request.param == "cold":
        monkeypatch.setattr(forks.warmth, "refused", "as this test wants")
    return request.param


@pytest.fixture(scope="module")
def full():
    """Warm processes that have loaded what chapters load, started where a secret is in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKEN", SECRET)
        own = forks.Warmth()
        patch.setattr(forks, "warmth", own)
        with rooms(FULL):
            pass
    yield own
    own.close()


@pytest.fixture(scope="module", params=["warm", "cold"])
def told(request, full, tmp_path_factory):
    """(how it was started, what a kernel tells of itself, what another one tells)."""
    with pytest.MonkeyPatch.context() as patch:
        cold = forks.Warmth()
        cold.refused = "as this test wants"
        patch.setattr(forks, "warmth", full if request.param == "warm" else cold)
        patch.setenv("TOKEN", SECRET)
        secret = tmp_path_factory.mktemp("outside") / "secret"
        secret.write_text(SECRET)
        paths = [secret, ROOT / "source", ROOT / "nbgrader_config.py", "/root/.bashrc", "/etc/shadow", "/var/lib/dpkg"]
        with rooms(FULL, FULL, files={"answer.txt": b"mine"}) as (one, other):
            assert type(one.kernel.process).__name__ == ("Forked" if request.param == "warm" else "Cold")
            said = facts(one, paths), facts(other, paths)
    return request.param, *said


# ---- What a kernel is ----


def test_it_has_no_network(told):
    assert told[1]["networks"] == ["lo"]
    assert told[1]["routes"] == []


def test_it_sees_its_own_processes_only(told):
    way, fact, _ = told
    assert set(fact["processes"].values()) <= {"bwrap", "cat", "python", "python3", fact["processes"][str(fact["pid"])]}
    assert len(fact["processes"]) == (3 if way == "warm" else 2)
    assert fact["processes"]["1"] == "bwrap"
    assert fact["parent"] in (0, 1)


def test_its_namespaces_are_its_own(told):
    _, fact, other = told
    for name in ("mnt", "pid", "net", "ipc", "uts"):
        assert len({fact["spaces"][name], other["spaces"][name], os.readlink(f"/proc/self/ns/{name}")}) == 3, name
    if not AS_ROOT:
        assert fact["spaces"]["user"] != os.readlink("/proc/self/ns/user")


def test_it_sees_nothing_of_what_walls_hide(told):
    assert told[1]["seen"] == []
    if told[0] == "warm":  # what a new Python imports may leave something there
        shown = {
            Path(place).parts[2] for place in (sys.prefix, sys.base_prefix, walls.LIBRARY) if place.startswith("/tmp/")
        }
        assert (told[1]["home"], set(told[1]["tmp"]) - shown) == (["answer.txt"], set())
    assert not set(told[1]["roots"]) & {"var", "srv", "boot", "mnt"}


def test_nothing_is_open_but_its_own(told):
    """Its streams and its socket; above them, in a loop of its own, what asyncio wakes itself with."""
    way, fact, _ = told
    links = {int(number): link for number, link in fact["open"].items()}
    assert links.pop(0) == "/dev/null"
    assert links.pop(1).startswith("pipe:")
    assert links.pop(2).startswith("pipe:")
    if way == "warm":
        assert links.pop(3).startswith("socket:")
        assert sorted(links) == [4, 5, 6]
    assert sorted(link.partition("[")[0] for link in links.values() if link.startswith("anon")) == ["anon_inode:"]
    assert all(re.match(r"socket:|anon_inode:\[eventpoll\]", link) for link in links.values())
    assert not set(fact["open"].values()) & set(told[2]["open"].values()) - {"/dev/null", "anon_inode:[eventpoll]"}


def test_it_has_no_rights(told):
    status = told[1]["status"]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name][0], 16) == 0, name
    assert status["NoNewPrivs"] == ["1"]
    assert 0 not in told[1]["ids"]
    if AS_ROOT:
        assert len(set(told[1]["ids"])) == 1
        assert told[1]["ids"][0] != told[2]["ids"][0]


def test_it_has_one_thread_and_a_session_of_its_own(told):
    way, fact, _ = told
    assert fact["status"]["Threads"] == ["1"]
    if way == "warm":
        assert fact["session"] == fact["pid"]


def test_it_is_limited_and_comes_after_the_grader(told):
    assert told[1]["limits"] == {name: [most, most] for name, most in walls.bounds(LIMITS).items()}
    assert told[1]["nice"] == forks.NICE
    assert told[1]["umask"] == 0o022


def test_it_works_at_home_as_a_notebook_does(told):
    assert told[1]["folder"] == walls.HOME
    assert told[1]["arguments"] == [""]
    assert told[1]["temporary"] == "/tmp"


def test_its_environment_is_the_walls_and_nothing_of_the_graders(told):
    ours = ("PWD", "LC_CTYPE", "KMP_", "TORCHINDUCTOR_", "TRITON_")  # bubblewrap's, Python's and torch's own
    given = {name: value for name, value in told[1]["environment"].items() if not name.startswith(ours)}
    expected = walls.environment(fresh=False) | inside.SURROUNDINGS
    assert given == {name: value for name, value in expected.items() if not name.startswith(ours)}
    assert SECRET not in str(told[1])
    first = dict(entry.split("=", 1) for entry in told[1]["first environment"].split("\0") if entry)
    assert set(first) <= set(walls.environment(fresh=False)) | {"PWD", "LC_CTYPE"}


def test_it_shares_no_memory_that_can_be_written_to(told):
    assert told[1]["written together"] == []


def test_two_kernels_draw_different_numbers(told):
    assert not set(told[1]["drawn"]) & set(told[2]["drawn"])


# ---- Nothing passes from one to another ----


def test_forks_draw_as_a_new_process_does_and_start_from_the_same_data(full, monkeypatch):
    monkeypatch.setattr(forks, "warmth", full)
    draw = "import torch\nprint(torch.initial_seed(), torch.rand(2).tolist())"
    fresh = {subprocess.run([sys.executable, "-c", draw], capture_output=True, text=True).stdout for _ in range(2)}
    spoil = """
        import course.data, course.models, course.tinygpt, gc, torch
        before = [parameter.sum().item() for parameter in course.models.trained_mlp().parameters()]
        for each in gc.get_objects():
            if type(each) in (torch.Tensor, torch.nn.Parameter) and each.is_floating_point():
                each.data.zero_()
        course.models.trained_mlp = course.data.digits = None
        torch.manual_seed(5)
        torch.set_default_dtype(torch.float64)
    """
    look = """
        import course.data, course.models, course.tinygpt, torch
        print([float(part.sum()) for part in course.data.digits() if isinstance(part, torch.Tensor)],
              [parameter.sum().item() for parameter in course.models.trained_mlp().parameters()],
              [parameter.sum().item() for parameter in course.tinygpt.tiny_gpt().parameters()][:3], torch.ones(1).dtype)
    """
    with rooms(FULL, FULL) as (one, other):
        drawn, before = {say(room, draw) for room in (one, other)}, say(one, look)
        say(one, spoil)
        assert say(other, look) == before
        with rooms(FULL) as (third,):
            assert say(third, look) == before
    assert len(drawn) == len(fresh), "a fork draws torch's numbers as a new process does"


SCAN = """
import re
found, secret = 0, re.compile({pattern!r})
with open("/proc/self/mem", "rb", 0) as memory:
    for line in open("/proc/self/maps"):
        place, rights, *_ = line.split()
        start, stop = (int(number, 16) for number in place.split("-"))
        if rights.startswith("r") and stop < 2**63:
            try:
                memory.seek(start)
                found += len(secret.findall(memory.read(stop - start)))
            except OSError:
                pass
print(found)
"""


def test_no_memory_of_one_student_is_in_anothers(warmth):
    mine = "marker = ''.join(['what ', 'ada ', 'wrote']); hoard = [marker * 9, marker.encode() * 9]\nprint(marker)"
    pattern = rb"what ad[a] wrote"
    with rooms(LIMITS) as (ada,):
        say(ada, mine)
        assert int(say(ada, SCAN.format(pattern=pattern))) > 0
        with rooms(LIMITS) as (other,):
            assert say(other, SCAN.format(pattern=pattern)) == "0\n"
    with rooms(LIMITS) as (later,):
        assert say(later, SCAN.format(pattern=pattern)) == "0\n"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of a system call")
def test_no_keyring_is_shared(way, warmth, monkeypatch):
    monkeypatch.setattr(warmth, "refused", "as this test wants" * (way == "cold"))
    libc, join, session = ctypes.CDLL(None), (250, 1, 0), -3
    if libc.syscall(*join) < 0 or libc.syscall(248, b"user", b"graders", b"secret", 6, session) < 0:
        pytest.skip("nobody has keys here")
    leave = 'libc.syscall(248, b"user", b"note", b"hello", 5, -3)\n'
    look = 'print(*(libc.syscall(250, 10, -3, b"user", name, 0) > 0 for name in (b"graders", b"note")))'
    with rooms(LIMITS, LIMITS) as (one, other):
        say(one, f"import ctypes\nlibc = ctypes.CDLL(None)\n{leave}")
        assert say(other, f"import ctypes\nlibc = ctypes.CDLL(None)\n{look}") == "False False\n"


# ---- Who ends whom ----


@pytest.mark.parametrize("kill", ["kill(-1, 9)", "kill(0, 9)", "kill(2, 9)", "kill(1, 9)\nos.kill(os.getpid(), 9)"])
def test_who_kills_what_holds_its_walls_ends_its_own_room_only(kill, way):
    with rooms(LIMITS, LIMITS) as (one, other):
        say(other, "x = 5")
        with pytest.raises(KernelGone, match="it ended its own process"):
            one.kernel.run(f"import os, time\nos.{kill}\ntime.sleep(5)\nprint('alive')", 20)
            one.kernel.run("print('alive')", 20)
            pytest.skip("what is killed is not there: it was a cold start")
        assert say(other, "print(x)") == "5\n"
        one.again()
        assert say(one, "print('again')") == "again\n"


def wait_for_the_end(pids, seconds: float = 10) -> list[int]:
    """Those of the processes that are there after so many seconds."""
    end = time.monotonic() + seconds
    while left := [pid for pid in pids if _lives(pid)]:
        if time.monotonic() > end:
            return left
        time.sleep(0.05)
    return []


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def below(pid: int) -> set[int]:
    return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}


BROOD = """
import os, time
for kind in range(3):
    if os.fork() == 0:
        if kind:
            os.setsid()
        if kind == 2 and os.fork():
            os._exit(0)
        while True:
            time.sleep(1)
time.sleep(0.5)
"""


@pytest.mark.parametrize("walled", [True, False], ids=["walls", "no walls"])
def test_nothing_remains_of_a_room(way, walled):
    before = set(psutil.pids())
    room = Room(LIMITS._replace(walls=walled, disk=2**50))
    try:
        say(room, BROOD)
        theirs = below(room.kernel.process.root)
        theirs |= {pid for pid in set(psutil.pids()) - before if _about(pid) == _about(room.kernel.process.pid)}
        assert len(theirs) >= 4 or (way, walled) == ("cold", False)
    finally:
        room.close()
    if (way, walled) != ("cold", False):  # where nothing holds them together, those that leave their parents are free
        assert wait_for_the_end(theirs) == []
    for pid in filter(_lives, theirs):
        os.kill(pid, signal.SIGKILL)
    assert not room._place.exists()
    assert room._group is None
    if AS_ROOT and cgroup.available():
        left = [path for path in cgroup._place()[0].glob(f"grading-{os.getpid()}-*") if not path.name.endswith("trial")]
        assert left == []


def _about(pid: int) -> tuple[str, str]:
    """What tells the processes of a room from all others, whoever is their parent by now."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid"), os.readlink(f"/proc/{pid}/cwd")
    return "", ""


GRADER = """
import sys, time
from autograder.grading import forks
from autograder.grading.limits import Limits
from autograder.grading.room import Room, test_kernel
forks.warmth.refused = {refused!r}
limits = Limits(cell_timeout=20, total_timeout=60)
room, tests = Room(limits), test_kernel(limits)
room.kernel.run({brood!r}, 10)
print(room.kernel.process.root, tests.process.root, room._place, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("way", ["warm", "cold"])
def test_nothing_remains_of_a_grader_that_was_killed(way):
    code = GRADER.format(refused="as this test wants" * (way == "cold"), brood=BROOD)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as grader:
        try:
            *roots, place = grader.stdout.readline().split()
            theirs = set().union(*map(below, [grader.pid, *map(int, roots)]))
            assert len(theirs) >= (10 if way == "warm" else 6)
        finally:
            grader.kill()
    assert wait_for_the_end(theirs) == []
    shutil.rmtree(place, ignore_errors=True)


def test_an_interrupt_leaves_no_half_message(way):
    """Output without end is cut off when its time is over, and what was defined before is still there."""
    floods = ["print('spam ' * 1000)", "print('s' * 500_000)", "display({'text/plain': 'x' * 3_000_000}, raw=True)"]
    with rooms(LIMITS) as (room,):
        say(room, "x = 5")
        for flood in 3 * floods:
            ran = room.kernel.run(f"while True:\n    {flood}", 0.3, most=2**18, grace=2)
            assert ran.interrupted
            assert say(room, "print(x)") == "5\n"


def test_memory_without_a_name_counts(way):
    code = """
        import os, time
        hoard = []
        for _ in range(40):
            hoard.append(os.memfd_create(""))
            for _ in range(50):
                os.write(hoard[-1], bytes(1_000_000))
        time.sleep(5)
    """
    with rooms(LIMITS) as (room,), pytest.raises(KernelGone, match="it used more than 1,024 MiB of memory"):
        say(room, code)


# ---- What leads out ----


def a_python_of(user: int, folder: Path) -> Path:
    """A copy of this Python's program that belongs to a user; skips where it does not run from elsewhere."""
    program = folder / "bin" / "python"
    program.parent.mkdir(parents=True)
    shutil.copy(os.path.realpath(sys.executable), program)
    (folder / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\n")
    (folder / "lib").symlink_to(Path(sys.prefix, "lib"))
    if os.geteuid() == 0:
        os.chown(program, user, user)
    done = subprocess.run([program, "-c", "import numpy, IPython"], capture_output=True)
    if done.returncode:
        pytest.skip("this Python does not run from another folder")
    return program


def test_the_program_that_runs_cannot_be_changed_by_whom_it_belongs_to(warmth, tmp_path, monkeypatch):
    user = walls.new_user()
    monkeypatch.setattr(walls, "new_user", lambda: user)
    program = a_python_of(user or os.geteuid(), tmp_path / "python")
    usual = walls._system
    monkeypatch.setattr(walls, "_system", lambda fresh: [*usual(fresh), str(tmp_path / "python")])
    monkeypatch.setattr(sys, "executable", str(program))
    before = os.stat(program)
    code = """
        import os
        for change in (lambda path: os.chmod(path, 0), lambda path: os.utime(path, (0, 0)),
                       lambda path: os.setxattr(path, "user.seen", b"x"), lambda path: open(path, "r+b")):
            try:
                change("/proc/self/exe")
                print("changed")
            except OSError:
                pass
    """
    with rooms(LIMITS) as (room,):
        assert isinstance(room.kernel.process, forks.Forked)
        assert say(room, code) == ""
    now = os.stat(program)
    assert (now.st_mode, now.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


def test_a_fork_for_what_is_fresh_knows_nothing_of_the_course(full, monkeypatch):
    monkeypatch.setattr(forks, "warmth", full)
    code = """
        import gc, importlib.util, sys
        print([name for name in sys.modules if name.startswith(("course", "autograder"))])
        print(importlib.util.find_spec("course"))
    """
    with rooms(FULL) as _, rooms(FULL, fresh=True) as (fresh,):
        assert isinstance(fresh.kernel.process, forks.Forked)
        assert say(fresh, code) == "[]\nNone\n"
        weights = rb"tinygpt[.]safetensor[s]|trained_ml[p]"
        assert say(fresh, SCAN.format(pattern=weights)) == "0\n"


def test_without_walls_the_machines_own_files_count_for_nobody(way):
    with rooms(LIMITS._replace(walls=False, disk=2**20)) as (room,):
        assert say(room, "import time\ntime.sleep(1)\nprint('there')") == "there\n"


# ---- Where a fork cannot be made ----

EXERCISE = [
    nbformat.v4.new_code_cell("answer = 5"),
    nbformat.v4.new_code_cell(
        "assert answer == 5",
        metadata={"nbgrader": {"grade": True, "grade_id": "t", "points": 2, "solution": False, "schema_version": 3}},
    ),
]


def points() -> float:
    notebook = nbformat.v4.new_notebook(cells=nbformat.from_dict(EXERCISE))
    return determine_grade(run(notebook, {}, LIMITS).notebook.cells[-1])[0]


def send_instead(monkeypatch, tmp_path, *changes: tuple[str, str]) -> None:
    """The file of warm processes is sent with these changes."""
    source = Path(warm.__file__).read_text("utf-8")
    for before, after in changes:
        assert before in source
        source = source.replace(before, after, 1)
    (tmp_path / "changed.py").write_text(source)
    monkeypatch.setitem(forks.MODULES, "_warm", SimpleNamespace(__file__=str(tmp_path / "changed.py")))


def test_where_joining_is_refused_kernels_start_cold_and_one_line_says_so(warmth, notes, tmp_path, monkeypatch):
    earned = points()
    warmth.close()
    send_instead(monkeypatch, tmp_path, ('SPACES = ("mnt",', 'SPACES = ("nonesuch", "mnt",'))
    assert points() == earned == 2
    with rooms(LIMITS, LIMITS) as (one, other):
        assert isinstance(one.kernel.process, forks.Cold)
        assert isinstance(other.kernel.process, forks.Cold)
    assert len(notes) == 1
    assert "cold" in notes[0]
    assert "nonesuch" in notes[0]


def test_a_refused_step_is_named(warmth, notes, tmp_path, monkeypatch):
    send_instead(monkeypatch, tmp_path, ("_libc.setns(space, 0)", "_libc.setns(-1, 0)"))
    with rooms(LIMITS) as (room,):
        assert isinstance(room.kernel.process, forks.Cold)
    assert len(notes) == 1
    assert "setns into" in notes[0]
    assert "Bad file descriptor" in notes[0]


HOLDERS = {
    "it tells nonsense": "printf nonsense >&100; exec cat",
    "it tells of nobody": "printf '{}' >&100; exec cat",
    "it tells of a process that is none": "printf '{\"child-pid\": 999999999}' >&100; exec cat",
    "it tells of one outside": "printf '{\"child-pid\": '$PPID'}' >&100; exec cat",
    "it tells nothing": "exec cat",
    "what it holds says nothing": "exec sleep 600",
    "what it holds says something else": "echo something else; exec sleep 600",
    "what it holds leaves a child that says nothing": "sleep 5 & exec sleep 600",
    "it fails": "echo 'no namespaces here' >&2; exit 1",
}


@pytest.mark.parametrize("script", HOLDERS.values(), ids=HOLDERS)
def test_a_sandbox_that_cannot_be_joined_costs_a_cold_start(script, warmth, notes, tmp_path, monkeypatch):
    send_instead(monkeypatch, tmp_path, ("READY = 30", "READY = 1"))
    real, programs = shutil.which("bwrap"), tmp_path / "programs"
    programs.mkdir()
    (programs / "bwrap").write_text(f'#!/bin/bash\ncase "$*" in *--info-fd*) {script};; *) exec {real} "$@";; esac\n')
    (programs / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    started = time.monotonic()
    with rooms(LIMITS) as (room,):
        assert isinstance(room.kernel.process, forks.Cold)
        assert say(room, "print('there')") == "there\n"
    assert time.monotonic() - started < 30
    assert len(notes) == 1
    family = warmth._family.process.pid
    warmth.close()
    assert wait_for_the_end([family]) == []


def test_a_keeper_that_never_answers_is_the_machines_fault(warmth, tmp_path, monkeypatch):
    send_instead(monkeypatch, tmp_path, ("holder, held = _held(", "import time; time.sleep(3); holder, held = _held("))
    (tmp_path / "home").mkdir()
    start = forks.Start(forks.LEARNER, LIMITS, tmp_path / "home", walls.new_user())
    with pytest.raises(MachineFault, match=r"did not start in 0\.5 s"):
        Kernel(lambda pipes: forks.started(start, pipes, 0.5), 0.5)
    family = warmth._family.process.pid
    warmth.close()
    assert wait_for_the_end([family]) == []


def test_what_cannot_be_imported_is_the_machines_fault(way, warmth, monkeypatch):
    monkeypatch.setattr(warmth, "refused", "as this test wants" * (way == "cold"))
    with pytest.raises(MachineFault, match="nonesuch"):
        Room(LIMITS._replace(preload="nonesuch"))


def test_a_change_in_the_course_makes_new_warm_processes_and_the_old_ones_serve_on(warmth, tmp_path, monkeypatch):
    copy = tmp_path / "course"
    shutil.copytree(course.__path__[0], copy)
    monkeypatch.setattr(course, "__path__", [str(copy)])
    monkeypatch.setattr(walls, "LIBRARY", str(tmp_path))
    limits = LIMITS._replace(preload="course.slider_names")
    (copy / "slider_names.py").write_text((copy / "slider_names.py").read_text() + "\nedition = 1\n")
    with rooms(limits) as (old,):
        first = warmth._family.process.pid
        (copy / "slider_names.py").write_text((copy / "slider_names.py").read_text() + "\nedition = 2 + 1\n")
        with rooms(limits) as (new,):
            assert warmth._family.process.pid != first
            assert psutil.pid_exists(first)
            look = "import course.slider_names\nprint(course.slider_names.edition)"
            assert [say(room, look) for room in (old, new)] == ["1\n", "3\n"]
            assert old.kernel.ask('{"do": "get", "name": "look"}', 5)[0] == '{"missing": "look"}'
    assert wait_for_the_end([first]) == []


def family_of(warmth) -> list[int]:
    """The numbers of the warm processes: for what is fresh, for learners, for tests."""
    base = psutil.Process(warmth._family.process.pid)
    return [base.pid, *sorted(child.pid for child in base.children())]


def end(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    with contextlib.suppress(psutil.Error):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


@pytest.mark.parametrize("which", range(3), ids=["fresh", "learner", "tests"])
def test_a_warm_process_that_ended_is_followed_by_another(which, warmth):
    with rooms(LIMITS):
        family = family_of(warmth)
    end(family[which])
    with rooms(LIMITS) as (room,), contextlib.closing(test_kernel(LIMITS)) as tests:
        assert {type(room.kernel.process), type(tests.process)} == {forks.Forked}
        assert not set(family) & set(family_of(warmth))
        assert say(room, "print(6 * 7)") == "42\n"
    assert wait_for_the_end(family) == []


def test_who_loses_it_while_starting_gets_another_though_somebody_else_saw_it_first(warmth, monkeypatch):
    with rooms(LIMITS):
        pass
    usual, calls = warmth.fork, []

    def fork(*args):
        calls.append(args)
        if len(calls) == 1:
            end(warmth._family.process.pid)
            assert warmth.losses() == 1
            raise MachineFault("a kernel did not start: its keeper ended")
        return usual(*args)

    monkeypatch.setattr(warmth, "fork", fork)
    with rooms(LIMITS) as (room,):
        assert isinstance(room.kernel.process, forks.Forked)
    monkeypatch.setattr(warmth, "fork", lambda *args: usual(*args) and (_ for _ in ()).throw(MachineFault("its own")))
    with pytest.raises(MachineFault, match="its own"):
        Room(LIMITS)
    assert warmth.losses() == 1


def test_what_comes_and_goes_beside_the_sources_is_no_change(monkeypatch, tmp_path):
    """Python writes what it compiled under a name that is gone a moment later."""
    monkeypatch.setattr(course, "__path__", [str(tmp_path)])
    (tmp_path / "one.py").write_text("one = 1")
    before = forks._stamp()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "one.cpython-311.pyc.140512").write_text("")
    assert forks._stamp() == before
    monkeypatch.setattr(forks, "sources", lambda folder: [folder / "gone.py", folder / "one.py"])
    assert forks._stamp()
    (tmp_path / "one.py").write_text("one = 1 + 1")
    assert forks._stamp() != before


# ---- Other Pythons, other users ----

STUB = """
import json, os, socket, sys, types
source, what = sys.argv[1:]
warm = types.ModuleType("_warm")
exec(compile(open(source).read(), source, "exec"), warm.__dict__)


def become(control=None, channel=None):
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    told = {name: status[name].split() for name in ("CapEff", "CapBnd", "CapInh", "NoNewPrivs", "Uid", "Threads")}
    told["processes"] = sorted(int(pid) for pid in os.listdir("/proc") if pid.isdigit())
    told["networks"] = open("/proc/net/dev").read().count(":")
    told["open"] = sorted(int(number) for number in os.listdir("/proc/self/fd"))[:-1]
    told["folder"], told["environment"] = os.getcwd(), dict(os.environ)
    channel.sendall(json.dumps(told).encode())
    os._exit(7)


control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
if os.fork() == 0:
    control.close()
    warm.keep_warm(theirs, become)
theirs.close()
own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
end, channel = socket.socketpair()
read, write = os.pipe()
request = json.dumps({"fork": json.loads(what)}).encode()
socket.send_fds(control, [request], [other.fileno(), channel.fileno(), write, os.dup(write)])
other.close()
channel.close()
own.settimeout(30)
said = json.loads(own.recv(2**16))
told = json.loads(end.makefile().read()) if "pid" in said else None
print(json.dumps([said, told, json.loads(own.recv(2**16)) if "pid" in said else None]))
"""
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def python_of(version: str) -> str | None:
    """A Python of this version that is somewhere on this machine."""
    beside = sorted(Path(sys.base_prefix).parent.glob(f"*{version}.*/bin/python{version}"))
    for program in (shutil.which(f"python{version}"), *map(str, beside)):
        ask = [program, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if program and subprocess.run(ask, capture_output=True, text=True).stdout.strip() == version:
            return program
    return None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_fork_joins_a_sandbox_on_each_python(version, tmp_path):
    program = python_of(version)
    if not program:
        pytest.skip(f"there is no Python {version} on this machine")
    for module in (warm, inside):
        compiled = "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')"
        subprocess.run([program, "-W", "error", "-c", compiled, module.__file__], check=True)
    home = tmp_path / "home"
    home.mkdir()
    tmp_path.chmod(0o711)
    user = walls.new_user()
    what = {
        "warm": False,
        "walls": walls.walled(["cat"], home, LIMITS, user, more=["--info-fd", str(warm.INFO)]),
        "home": walls.HOME,
        "user": user,
        "group": None,
        "limits": {"RLIMIT_NPROC": 100},
        "nice": 5,
        "environment": {"ONLY": "this"},
    }
    command = [program, "-I", "-c", STUB, warm.__file__, json.dumps(what)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"TOKEN": SECRET, **os.environ})
    said, told, ended = json.loads(done.stdout)
    assert "refused" not in said
    assert {int(told[name][0], 16) for name in ("CapEff", "CapBnd", "CapInh")} == {0}
    assert told["NoNewPrivs"] == told["Threads"] == ["1"]
    assert told["Uid"] == 4 * [str(os.geteuid() if user is None else user)]
    assert told["processes"] == [1, 2, 3]
    assert told["networks"] == 1
    assert told["open"] == [0, 1, 2, 3]
    assert (told["folder"], told["environment"]) == (walls.HOME, {"ONLY": "this"})
    assert ended == {"ended": 7}


@pytest.fixture
def somebodys_home():
    """A folder of an ordinary user's, where that user can reach it."""
    home = tempfile.mkdtemp(prefix="somebody-")
    os.chown(home, SOMEBODY, SOMEBODY)
    yield home
    shutil.rmtree(home)


@as_root
def test_all_this_holds_for_an_ordinary_user(somebodys_home):
    """This file once more, and the attacks on the walls, by somebody who is not root."""
    home = somebodys_home
    become = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups"]
    about = {
        "cwd": ROOT,
        "env": os.environ | {"HOME": home, "TMPDIR": home, "PYTHONDONTWRITEBYTECODE": "1"},
        "stdin": subprocess.DEVNULL,
        "capture_output": True,
        "text": True,
    }
    code = "from autograder.grading import room, walls; print('refused:', walls.refused())"
    able = subprocess.run([*become, sys.executable, "-c", code], **about)
    if able.stdout.strip() != "refused:":
        pytest.skip(f"an ordinary user cannot grade here: {(able.stdout + able.stderr).strip()[-200:]}")
    tests, places = Path(__file__).parent, ["-p", "no:cacheprovider", f"--basetemp={home}/pytest"]
    attacks = (
        "gains_nothing and not cold and (walls or namespaces or root or program or traced or socket or proc or killed)"
    )
    for chosen in ([__file__], [str(tests / "test_attacks.py"), "-k", attacks]):
        command = [*become, sys.executable, "-m", "pytest", "-x", *places, *chosen]
        done = subprocess.run(command, timeout=400, **about)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
