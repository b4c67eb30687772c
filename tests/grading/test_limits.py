"""Law 5: a limit cuts, it does not kill. One deadline for the whole notebook; what ends goes on; too much is left out.

Times are asserted generously: what counts is which cells were run, and what was said.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time

import nbformat
import psutil
import pytest
from nbgrader.utils import determine_grade

from autograder.grading import cgroup, watch
from autograder.grading.faults import KernelGone, MachineFault
from autograder.grading.limits import Limits
from autograder.grading.room import Room
from autograder.grading.run import run

LIMITS = Limits(
    memory=512 * 2**20, disk=64 * 2**20, file_size=32 * 2**20, output_size=2**16, cell_timeout=3, total_timeout=30
)
HURRIED = LIMITS._replace(cell_timeout=1, total_timeout=5)
ANSWER = "def double(x):\n    return 2 * x"
DOUBLED = "assert double(4) == 8, 'twice four'"


def test_cell(code: str, name: str):
    about = {"grade": True, "grade_id": name, "points": 1, "solution": False, "locked": True, "schema_version": 3}
    return nbformat.v4.new_code_cell(code, metadata={"nbgrader": about})


test_cell.__test__ = False


def ran(*cells, tests=(DOUBLED,), limits=LIMITS, files=None):
    """(outputs of each cell as text, points of each test, what was stopped, seconds)."""
    graded = [test_cell(code, f"test_{number}") for number, code in enumerate(tests)]
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, cells), *graded])
    started = time.monotonic()
    outcome = run(notebook, files or {}, limits)
    seconds = time.monotonic() - started
    written = nbformat.writes(outcome.notebook).encode("utf-8")
    assert nbformat.reads(written.decode(), as_version=4) == outcome.notebook
    said = [str(cell.outputs) for cell in outcome.notebook.cells]
    points = [determine_grade(cell)[0] for cell in outcome.notebook.cells[len(cells) :]]
    return said, points, outcome.stopped, seconds


# ---- Time ----
ENDLESS = """
import time
class Endless:
    def __len__(self):
        return 10**6
    def __getitem__(self, i):
        time.sleep(0.03)
        return 0.5
def double(x):
    return Endless()
"""


def test_one_deadline_holds_for_a_test_that_waits_for_an_answer_that_waits():
    asks = "import numpy as np\nassert np.asarray(double(1)).sum() == 3"
    said, points, _, seconds = ran(ENDLESS, tests=[asks] * 3, limits=HURRIED)
    assert points == [0, 0, 0]
    assert "took longer than" in said[1]
    assert seconds < 3 * 5


def test_one_deadline_holds_for_answers_that_each_stay_below_the_limit():
    slow = "import time\ndef double(x):\n    time.sleep(0.9)\n    return 2 * x"
    asks = "for x in range(3):\n    assert double(x) == 2 * x"
    said, points, _, seconds = ran(slow, tests=[asks] * 6, limits=HURRIED)
    assert points[-1] == 0
    assert "nothing was run after that" in said[-1]
    assert seconds < 3 * 5


def test_one_deadline_holds_for_cells_and_tests_together():
    cells = ["while True:\n    pass"] * 7
    said, points, _, seconds = ran(ANSWER, *cells, limits=HURRIED)
    assert points == [0]
    assert "took longer than 1 s" in said[1]
    assert "nothing was run after that" in said[-2]
    assert "nothing was run after that" in said[-1]
    assert seconds < 3 * 5


def test_one_deadline_holds_while_a_process_is_started_again():
    said, points, _, seconds = ran(*["import os\nos._exit(1)"] * 20, tests=[DOUBLED], limits=HURRIED)
    assert points == [0]
    assert "nothing was run after that" in said[-1]
    assert seconds < 3 * 5


def test_a_cell_that_is_interrupted_is_told_and_keeps_what_it_had():
    said, points, stopped, _ = ran(
        ANSWER + "\nprint('begun')\nwhile True:\n    pass", limits=HURRIED._replace(total_timeout=20)
    )
    assert "begun" in said[0]
    assert "this cell took longer than 1 s" in said[0]
    assert points == [1]
    assert stopped == ["a cell or an answer was interrupted: it took longer than 1 s"]


@pytest.mark.parametrize("what", ["print('x' * 300)", "display({'text/plain': 'x' * 10**6}, raw=True)"])
def test_a_cell_that_is_interrupted_while_it_prints_leaves_the_process_whole(what):
    endless = f"from IPython.display import display\nwhile True:\n    {what}"
    said, points, stopped, _ = ran(ANSWER, *[endless] * 3, "print('on')", limits=HURRIED._replace(total_timeout=20))
    assert points == [1]
    assert "'on" in said[4]
    assert stopped == ["a cell or an answer was interrupted: it took longer than 1 s"]


# ---- Output ----
LOUD = {
    "a large picture": "from IPython.display import Image\nimport os\nImage(data=os.urandom(2_000_000), format='png')",
    "a long print": "print('spam ' * 1_000_000)",
    "5,000 displays": (
        "from IPython.display import display\nfor k in range(5000):\n    display({'text/plain': str(k) * 20}, raw=True)"
    ),
    "two streams in turn": (
        "import sys\nfor k in range(3000):\n    print(k, flush=True)\n    print(k, file=sys.stderr, flush=True)"
    ),
    "a long value": "[0] * 5_000_000 and 'x' * 5_000_000",
    "an error of ten megabytes": "raise ValueError('x' * 10_000_000)",
    "a flood after a flood": "for k in range(20):\n    print('x' * 500_000)",
}


@pytest.mark.parametrize("name", LOUD)
def test_too_much_output_is_cut_and_says_so_and_the_cell_goes_on(name):
    code = LOUD[name] if "error" in name else f"{LOUD[name]}\nlate = 'reached'"
    if name in ("a large picture", "a long value"):  # what a cell's last line shows
        code = f"late = 'reached'\n{LOUD[name]}"
    said, points, stopped, _ = ran(ANSWER, "late = ''", code, "print(late)", limits=LIMITS._replace(cell_timeout=10))
    assert points == [1]
    assert stopped == []
    assert len(said[2]) < 10 * LIMITS.output_size
    if name == "an error of ten megabytes":
        assert "(10,000,000 characters)" in said[2]
    else:
        assert "of output were left out here: a cell may show 64 KiB" in said[2]
        assert "reached" in said[3]


def test_output_that_is_cleared_again_and_again_shows_the_last():
    code = (
        "from IPython.display import clear_output\n"
        "for k in range(300):\n    clear_output(wait=True)\n    print('step', k, 'x' * 1000)"
    )
    said, points, _, _ = ran(ANSWER, code)
    assert points == [1]
    assert "step 299" in said[1]
    assert "left out" not in said[1]


def test_a_last_clear_that_waits_for_more_clears_nothing():
    said, *_ = ran(ANSWER, "from IPython.display import clear_output\nprint('shown')\nclear_output(wait=True)")
    assert "shown" in said[1]


TEXTS = [
    "grüße 你好 مرحبا",
    "\U0001f600 \U0001f468‍\U0001f469",
    "\ud83d half",
    "\x00\x07\x1b]0;title\x07 \x85",
    "\u202e rtl",
]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_output_in_any_characters_arrives_printable(text):
    shown = f"from IPython.display import display\ndisplay({{'text/plain': {text!a}}}, raw=True)"
    said, points, *_ = ran(ANSWER, f"print({text!a})", shown, f"raise ValueError({text!a})", f"{text!a}")
    assert points == [1]
    for output in said[1:5]:
        output.encode()
    if text.isprintable():
        assert all(text in output for output in (said[1], said[3]))


def test_code_of_half_characters_is_run_as_far_as_it_goes():
    cells = [*map(nbformat.v4.new_code_cell, (ANSWER, "print('\ud83d')", "print('on')")), test_cell(DOUBLED, "test")]
    outcome = run(nbformat.v4.new_notebook(cells=cells), {}, LIMITS)
    assert outcome.notebook.cells[2].outputs[0].text == "on\n"
    assert determine_grade(outcome.notebook.cells[3])[0] == 1


# ---- Memory and disk ----
@pytest.fixture(params=["cgroup", "watcher"])
def counted_by(request, monkeypatch):
    if request.param == "watcher":
        monkeypatch.setattr(cgroup, "available", lambda: False)
    elif not cgroup.available():
        pytest.skip("only where this process may make cgroups")
    yield request.param


GREEDY = {
    "one process": "hoard = []\nfor k in range(60):\n    hoard.append(bytearray(b'x') * 20_000_000)",
    "several processes": (
        "import os\nfor k in range(6):\n    if os.fork() == 0:\n        hoard = bytearray(b'x') * 150_000_000\n"
        "        import time\n        time.sleep(20)\n        os._exit(0)\nimport time\ntime.sleep(8)"
    ),
    "shared memory": (
        "import mmap\nshared = mmap.mmap(-1, 3 * 2**30)\nfor i in range(0, 3 * 2**30, 4096):\n    shared[i] = 1"
    ),
}


@pytest.mark.parametrize("kind", GREEDY)
def test_memory_is_bounded_in_sum_and_the_notebook_goes_on(kind, counted_by):
    limits = LIMITS._replace(cell_timeout=10)
    said, points, stopped, _ = ran(f"{GREEDY[kind]}\nprint('un' 'bounded')", ANSWER, limits=limits)
    assert "unbounded" not in said[0] or kind == "several processes"
    assert points == [1]
    if counted_by == "watcher" and kind != "one process":
        assert any("it used more than 512 MiB of memory" in why for why in stopped)


LEAVES = "import os\nos.kill(os.getpid(), 9)"


@pytest.fixture
def others():
    """A group of somebody else's, in which the system ends processes for want of memory all the time."""
    if not cgroup.available():
        pytest.skip("only where this process may make cgroups")
    group, over = cgroup.Group(2**25), threading.Event()
    command = group.command([sys.executable, "-c", "hoard = bytearray(b'x') * 2**28"])

    def use_up():
        while not over.is_set():
            subprocess.run(command, check=False, stderr=subprocess.DEVNULL)

    thread = threading.Thread(target=use_up)
    thread.start()
    while not group.ended():
        time.sleep(0.05)
    yield group
    over.set()
    thread.join()
    group.close()


def test_who_ends_the_process_is_graded_though_the_system_ends_processes_elsewhere(others):
    """The machine counts them too; that is no sign that there was too little memory for this one."""
    limits, before = LIMITS._replace(cell_timeout=10, total_timeout=60), others.ended()
    said, points, _, _ = ran(GREEDY["shared memory"], LEAVES, LEAVES, ANSWER, limits=limits)
    assert points == [1]
    assert "it used more than 512 MiB of memory" in said[0]
    assert "it ended its own process" in said[1]
    assert others.ended() > before


def test_where_what_holds_the_group_has_no_memory_left_it_is_the_machines_fault(monkeypatch):
    """As in a container that is smaller than what one notebook may use."""
    if not cgroup.available():
        pytest.skip("only where this process may make cgroups")
    holder = cgroup.Group(200 * 2**20)
    if holder.names is cgroup.NEW:
        (holder.path / "cgroup.subtree_control").write_text("+memory")
    monkeypatch.setattr(cgroup, "_place", lambda: (holder.path, holder.names))
    with contextlib.closing(holder), pytest.raises(MachineFault, match="too little memory"):
        ran(GREEDY["shared memory"], ANSWER, limits=LIMITS._replace(cell_timeout=10, total_timeout=60))


def test_without_groups_of_its_own_the_graders_own_is_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(cgroup, "_own", lambda: iter([(tmp_path, tmp_path, cgroup.NEW)]))
    machine = cgroup.ended_here()
    (tmp_path / "memory.events").write_text("oom 9\noom_kill 7\noom_group_kill 0\n")
    assert cgroup.ended_here() == 7
    (tmp_path / "memory.events").write_text("oom_kill many\n")
    assert cgroup.ended_here() >= machine


WRITTEN = {
    "many files": "for k in range(200):\n    open(f'x{k}', 'wb').write(bytes(1_000_000))",
    "files that were deleted": (
        "import tempfile\nhoard = [tempfile.TemporaryFile(dir='.') for k in range(10)]\n"
        "for file in hoard:\n    file.write(bytes(20_000_000))\n    file.flush()"
    ),
    "files deep below": (
        "import os\nhome = os.getcwd()\nfor k in range(60):\n    os.mkdir('d' * 100)\n    os.chdir('d' * 100)\n"
        "os.chdir(home)"
    ),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_disk_is_bounded_in_sum_and_the_notebook_goes_on(kind):
    wait = "\nimport time\ntime.sleep(5)\nprint('un' 'bounded')"
    files = {"data.txt": b"handed in"}
    said, points, stopped, _ = ran(
        f"{WRITTEN[kind]}{wait}",
        ANSWER,
        "print(open('data.txt').read())",
        files=files,
        limits=LIMITS._replace(cell_timeout=8),
    )
    assert "unbounded" not in said[0]
    assert points == [1]
    assert "handed in" in said[2]
    assert any("its folder" in why and "started again" in why for why in stopped)


def test_the_number_of_files_is_bounded(monkeypatch):
    monkeypatch.setattr(watch, "FILES", 500)
    code = "import time\nfor k in range(2000):\n    open(f'x{k}', 'w').close()\ntime.sleep(2)\nprint('un' 'bounded')"
    said, points, stopped, _ = ran(code, ANSWER)
    assert "unbounded" not in said[0]
    assert points == [1]
    assert any("it made more than 500 files" in why for why in stopped)


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm"])
def test_folders_in_memory_are_bounded_and_nothing_ends(place):
    code = (
        "kept = 'kept'\ntry:\n    for k in range(20):\n"
        f"        open(f'{place}/x{{k}}', 'wb').write(bytes(10_000_000))\n"
        "    print('un' 'bounded')\nexcept OSError as error:\n    print(error)"
    )
    said, points, stopped, _ = ran(ANSWER, code, "print(kept)")
    assert "No space left" in said[1]
    assert "kept" in said[2]
    assert points == [1]
    assert stopped == []


def test_one_file_is_bounded_and_nothing_ends():
    code = "try:\n    open('x', 'wb').write(bytes(40_000_000))\nexcept OSError as error:\n    print(error)"
    said, points, stopped, _ = ran(ANSWER, code)
    assert "File too large" in said[1]
    assert (points, stopped) == ([1], [])


def test_processes_are_bounded_and_nothing_ends():
    code = (
        "import os, time\nmade = 0\ntry:\n    for k in range(400):\n        if os.fork() == 0:\n"
        "            time.sleep(20)\n            os._exit(0)\n        made += 1\n"
        "except OSError:\n    print('refused', made)"
    )
    said, points, _, _ = ran(ANSWER, code, limits=LIMITS._replace(processes=100, cell_timeout=8))
    assert "refused" in said[1]
    assert points == [1]


# ---- A process that ends ----
ENDS = {
    "it leaves": "import os\nos._exit(0)",
    "it kills itself": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "it is aborted": "import os\nos.abort()",
    "it crashes": "import ctypes\nctypes.string_at(0)",
    "it calls exit": "exit()",
    "it quits and says so": "import sys\nsys.exit(3)",
    "it is told to end": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nimport time\ntime.sleep(9)",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_process_that_ends_is_started_again_and_later_exercises_earn_their_points(end):
    cells = ["from fractions import Fraction\nbefore = 5", ENDS[end], "print('after', Fraction(1, 2))", ANSWER]
    said, points, stopped, _ = ran(*cells, limits=LIMITS)
    assert points == [1]
    assert "after 1/2" in said[2]
    if end != "it quits and says so":  # which a notebook takes for an error
        assert "It was started again" in said[1]
        assert len(stopped) == 1


def test_what_was_defined_before_the_end_is_gone_and_its_test_says_so():
    said, points, *_ = ran(ANSWER, "import os\nos._exit(0)", "kept = 5", tests=[DOUBLED, "assert kept == 5"])
    assert points == [0, 1]
    assert "NameError" in said[3]


def test_a_process_that_ends_too_often_is_said_and_stopped():
    leaves = "import os\nos._exit(0)"
    said, points, stopped, _ = ran(ANSWER, *[leaves] * 4, ANSWER, limits=LIMITS._replace(restarts=2))
    assert points == [0]
    assert "started more than 2 times" in said[3]
    assert "nothing was run after that" in said[-1]
    assert any("started more than 2 times" in why for why in stopped)


def test_files_in_the_home_do_not_keep_a_process_from_starting():
    names = ["json", "random", "runpy", "socket", "IPython", "asyncio", "sitecustomize", "numpy", "types"]
    code = f"for name in {names!r}:\n    open(name + '.py', 'w').write('while True: pass')\nimport os\nos._exit(0)"
    said, points, _, _ = ran(code, "print('after')", ANSWER)
    assert points == [1]
    assert "after" in said[1]


def test_files_that_were_written_are_still_there_after_the_end():
    said, *_ = ran("open('kept.txt', 'w').write('kept')", "import os\nos._exit(0)", "print(open('kept.txt').read())")
    assert "kept" in said[2]


# ---- Nobody is kept waiting ----
def test_a_learners_processes_come_after_the_graders():
    one = Room(LIMITS)
    try:
        one.kernel.run(
            "import os, time\nfor k in range(3):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(30)",
            5,
        )
        kernel = psutil.Process(one.kernel.process.pid)
        learners = [kernel, *kernel.children(recursive=True)]
        assert len(learners) >= 4
        assert all(process.nice() >= 10 for process in learners)
        again = one.kernel.run("import os\nprint(os.nice(0))", 5)
        assert again.outputs[0].text == "10\n"
    finally:
        one.close()


def test_after_a_room_is_closed_nothing_of_it_is_left():
    one = Room(LIMITS)
    code = (
        "import os, time\nfor k in range(5):\n    if os.fork() == 0:\n"
        "        os.setsid()\n        time.sleep(60)\n        os._exit(0)"
    )
    one.kernel.run(code, 5)
    learners = psutil.Process(one.kernel.process.root).children(recursive=True)
    folder, group = one.folder, one._group
    one.close()
    psutil.wait_procs(learners, timeout=10)
    assert not [process for process in learners if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not folder.exists()
    assert group is None or not group.path.exists()


def test_a_home_of_any_depth_is_removed():
    one = Room(LIMITS)
    with contextlib.suppress(KernelGone):
        one.kernel.run("import os\nfor k in range(3000):\n    os.mkdir('deeper')\n    os.chdir('deeper')", 5)
    one.close()
    assert not one.folder.exists()
    assert not os.path.exists(one._place)


def test_messages_that_nobody_reads_do_not_fill_the_graders_memory():
    one = Room(LIMITS._replace(memory=2**30))
    try:
        before = psutil.Process().memory_info().rss
        flood = (
            "import threading\nfrom IPython.display import display\ndef flood():\n    while True:\n"
            "        display({'text/plain': 'x' * 30_000_000}, raw=True)\n"
            "threading.Thread(target=flood, daemon=True).start()"
        )
        one.kernel.run(flood, 5)
        time.sleep(5)
        assert psutil.Process().memory_info().rss - before < 2**30
    finally:
        one.close()
