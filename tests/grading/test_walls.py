"""The walls hide the course's sources, submissions and gradebook wherever it lies; Python and `course` still work.

Each test runs Python behind real walls and tries to read secrets under every name they have.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import course
from autograder import ROOT
from autograder.grading import forks, walls
from autograder.grading.kernels import Kernel
from autograder.grading.limits import Limits
from autograder.grading.room import Room

LIMITS = Limits()
SECRET = "only the instructor knows"
READ = """
import os, sys
for path in {paths!r}:
    try:
        print(path, open(path).read())
    except OSError:
        pass
    try:
        print(path, sorted(os.listdir(path)))
    except OSError:
        pass
import numpy, course.expect, IPython
print("imported")
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may write to /usr")


@pytest.fixture(params=["warm", "cold"])
def inside(request, tmp_path):
    """inside(code) -> what it prints behind the walls, in a fork of a warm process or in a new Python."""

    def forked(code: str, home: Path, limits: Limits, fresh: bool) -> str:
        start = forks.Start(forks.FRESH if fresh else forks.LEARNER, limits, home, walls.new_user())
        with contextlib.closing(Kernel(lambda pipes: forks.started(start, pipes, 60), 60)) as kernel:
            assert isinstance(kernel.process, forks.Forked)
            ran = kernel.run(code, 60)
        assert ran.error is None, ran
        return "".join(output.text for output in ran.outputs)

    def started(code: str, home: Path, limits: Limits, fresh: bool) -> str:
        command = walls.walled([sys.executable, "-c", code], home, limits, walls.new_user(), fresh)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(code: str, limits: Limits = LIMITS, fresh: bool = False) -> str:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        tmp_path.chmod(0o711)
        return (forked if request.param == "warm" else started)(code, home, limits, fresh)

    return run


def make_course(root: Path) -> list[str]:
    """A course's folders with something secret in each; the paths of what no learner may see."""
    secrets = [
        "source/ch01/ch01.ipynb",
        "submitted/ada/ch01/ch01.ipynb",
        "gradebook.db",
        "autograder/secret.py",
        ".env",
    ]
    for name in secrets:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(SECRET)
    return [str(root / name) for name in secrets] + [str(root / "submitted"), str(root)]


def assert_hidden(paths: list[str], said: str) -> None:
    assert "imported" in said
    assert SECRET not in said
    for name in ("ada", "gradebook.db", "secret.py", "'submitted'"):
        assert name not in said


def installed_at(root: Path, monkeypatch) -> None:
    """As if the grader ran from a course at `root`, with its library there."""
    shutil.copytree(course.__path__[0], root / "course", dirs_exist_ok=True)
    monkeypatch.setattr(walls, "ROOT", root)
    monkeypatch.setattr(walls, "LIBRARY", str(root))
    monkeypatch.setattr(course, "__path__", [str(root / "course")])


@pytest.fixture
def below():
    """below(place) -> a new folder in a part of the system, removed at the end."""
    made = []

    def make(place: str) -> Path:
        path = Path(place, f"some-course-{os.getpid()}-{len(made)}")
        path.mkdir(parents=True)
        made.append(path)
        return path

    yield make
    for path in made:
        shutil.rmtree(path)


def test_this_repository_is_hidden_and_its_library_is_not(inside):
    paths = [str(ROOT), *(str(path) for path in ROOT.iterdir() if path.name != "course")]
    said = inside(READ.format(paths=paths))
    assert "imported" in said
    for name in ("nbgrader_config.py", "'source'", "'submitted'", "'tests'", "README.md"):
        assert name not in said


PARTS_OF_THE_SYSTEM = ["/usr/local/share", "/usr/lib", "/usr/local/lib/python3/site-packages", sys.base_prefix]


@needs_root
@pytest.mark.parametrize("place", [*PARTS_OF_THE_SYSTEM, os.path.dirname(os.__file__) + "/site-packages"])
def test_a_course_within_the_system_is_hidden(inside, place, below, monkeypatch):
    root = below(place)
    paths = make_course(root)
    installed_at(root, monkeypatch)
    assert_hidden(paths, inside(READ.format(paths=paths)))


@needs_root
def test_a_course_is_hidden_under_each_name_of_a_folder_that_is_linked(inside, below, monkeypatch):
    root = below("/usr/lib")
    paths = make_course(root)
    installed_at(root, monkeypatch)
    assert Path("/lib").resolve() == Path("/usr/lib")
    others = [path.replace("/usr/lib/", "/lib/", 1) for path in paths]
    assert_hidden([*paths, *others], inside(READ.format(paths=[*paths, *others])))


def with_system(monkeypatch, *places: Path) -> None:
    """More places that the walls let in, as if Python stood there."""
    usual = walls._system
    monkeypatch.setattr(walls, "_system", lambda fresh: [*usual(fresh), *map(str, places)])


def test_a_course_in_a_home_that_holds_python_too_is_hidden(inside, tmp_path, monkeypatch):
    home = tmp_path / "instructor"
    paths = make_course(home / "course")
    installed_at(home / "course", monkeypatch)
    (home / "miniconda").mkdir()
    (home / "miniconda" / "python").write_text("a part of Python")
    with_system(monkeypatch, home)
    said = inside(READ.format(paths=[*paths, str(home / "miniconda" / "python")]))
    assert_hidden(paths, said)
    assert "a part of Python" in said


def test_a_virtual_environment_within_the_course_is_seen_and_nothing_else(inside, tmp_path, monkeypatch):
    root = tmp_path / "root"
    paths = make_course(root)
    installed_at(root, monkeypatch)
    (root / ".venv" / "lib").mkdir(parents=True)
    (root / ".venv" / "lib" / "library.py").write_text("a library")
    with_system(monkeypatch, root / ".venv")
    said = inside(READ.format(paths=[*paths, str(root / ".venv" / "lib" / "library.py")]))
    assert_hidden(paths, said)
    assert "a library" in said


def test_a_course_that_is_itself_a_virtual_environment_shows_only_the_environment(inside, tmp_path, monkeypatch):
    root = tmp_path / "root"
    paths = make_course(root)
    installed_at(root, monkeypatch)
    for name in ("bin", "lib"):
        (root / name).mkdir()
        (root / name / "part").write_text("a library")
    (root / "pyvenv.cfg").write_text("home = /usr/bin")
    with_system(monkeypatch, root)
    said = inside(READ.format(paths=[*paths, str(root / "lib" / "part"), str(root / "pyvenv.cfg")]))
    assert_hidden(paths, said)
    assert "a library" in said
    assert "home = /usr/bin" in said


@needs_root
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_gradebook_elsewhere_is_hidden(inside, kind, below):
    place = below("/usr/local/share")
    (place / "grades.db").write_text(SECRET)
    hidden = place if kind == "folder" else place / "grades.db"
    said = inside(READ.format(paths=[str(place / "grades.db")]), Limits(hidden=(str(hidden),)))
    assert "imported" in said
    assert SECRET not in said


@needs_root
def test_what_is_hidden_through_a_link_is_hidden_where_it_lies(inside, below, tmp_path):
    place = below("/usr/local/share")
    (place / "grades.db").write_text(SECRET)
    (tmp_path / "link.db").symlink_to(place / "grades.db")
    said = inside(READ.format(paths=[str(place / "grades.db")]), Limits(hidden=(str(tmp_path / "link.db"),)))
    assert SECRET not in said


def test_what_lies_outside_the_system_is_not_there_at_all(inside, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text(SECRET)
    paths = [
        str(tmp_path / "outside" / "secret"),
        str(tmp_path / "outside"),
        str(Path.home()),
        "/root",
        "/var",
        "/home",
    ]
    said = inside(READ.format(paths=paths))
    assert SECRET not in said
    assert "/var [" not in said
    assert "/home ['learner']" in said


def test_nothing_of_the_system_can_be_written_to(inside):
    libraries = course.__path__[0], sys.prefix, os.path.dirname(os.__file__)
    places = [*libraries, str(ROOT), "/usr", "/etc", "/", "/dev", "/home"]
    code = f"""
import os
for place in {places!r}:
    try:
        open(os.path.join(place, "new"), "w").write("x")
        print("written", place)
    except OSError:
        pass
"""
    assert inside(code) == ""
    assert not any(Path(place, "new").exists() for place in places)


def test_the_graders_environment_is_read_nowhere(inside, monkeypatch):
    monkeypatch.setenv("TOKEN", SECRET)
    code = """
import glob
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        print(open(path).read())
    except OSError:
        pass
"""
    said = inside(code)
    assert "USER=learner" in said
    assert SECRET not in said


# The room for what judges a restored network.
def test_a_fresh_room_has_nothing_of_the_course(inside):
    from course import tinygpt

    weights = [str(path) for path in Path(course.__path__[0]).glob("*.safetensors")]
    paths = [*weights, *map(str, tinygpt.held_out_files()), course.__file__, course.__path__[0], str(ROOT)]
    code = f"""
import glob, importlib.util, os
for path in {paths!r}:
    try:
        print("read", path, len(open(path, "rb").read()))
    except OSError:
        pass
    try:
        print("listed", os.listdir(path) or "")
    except OSError:
        pass
print("home", os.listdir({walls.HOME!r}))
print("course", importlib.util.find_spec("course"))
import numpy
print("numpy")
"""
    said = inside(code, fresh=True)
    assert not [line for line in said.splitlines() if line.startswith("read") and not line.endswith(" 0")], said
    empty = ("listed ", "listed ['.venv']")  # this Python may lie in the course's folder
    assert not [line for line in said.splitlines() if line.startswith("listed") and line not in empty], said
    assert "home []" in said
    assert "course None" in said
    assert said.endswith("numpy\n")


def test_a_fresh_room_knows_nothing_of_the_learners(tmp_path):
    limits = Limits(cell_timeout=10, total_timeout=30)
    room, fresh = Room(limits, {"answer.txt": b"mine"}), Room(limits, fresh=True)
    try:
        room.kernel.run("import os\nopen('/tmp/note', 'w').write('x')\nopen('/dev/shm/note', 'w').write('x')", 10)
        said = fresh.kernel.run("import os\nprint(*map(os.listdir, ['.', '/tmp', '/dev/shm', '/home']))", 10).outputs
        assert "note" not in said[0].text
        assert "answer.txt" not in said[0].text
        assert said[0].text.startswith("[]")
    finally:
        room.close()
        fresh.close()


# Where walls cannot be made.
def fake_bwrap(tmp_path, monkeypatch, script: str) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "bwrap").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    walls._sizes.cache_clear()


@pytest.fixture(autouse=True)
def the_real_bubblewrap_afterwards():
    yield
    walls._sizes.cache_clear()


def test_walls_can_be_made_here():
    assert walls.refused() == ""


def test_bubblewrap_that_is_missing_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not walls.installed()
    assert "bwrap" in walls.refused()


REFUSALS = {
    "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1": "setting up uid map: Permission denied",
    "exit 0": "it ran and said nothing",
    "exit 7": "exit code 7",
    "echo something else": "something else",
    "printf '\\001\\377no' >&2; exit 1": "\\x01",
}


@pytest.mark.parametrize(("script", "said"), REFUSALS.items(), ids=REFUSALS)
def test_bubblewrap_that_fails_is_quoted(script, said, tmp_path, monkeypatch):
    fake_bwrap(tmp_path, monkeypatch, script)
    why = walls.refused()
    assert said in why
    assert why.isprintable()


def test_bubblewrap_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    fake_bwrap(tmp_path, monkeypatch, "[ $1 = --help ] || exec sleep 60")
    assert "timed out" in walls.refused(timeout=1)


def test_what_to_do_is_told_for_ubuntus_rule():
    assert "AppArmor" in walls.ALLOW
    assert "apt-get install bubblewrap" in walls.INSTALL


def test_an_old_bubblewrap_that_cannot_bound_a_folder_in_memory_is_not_asked_to(tmp_path, monkeypatch):
    real = shutil.which("bwrap")
    fake_bwrap(tmp_path, monkeypatch, f'[ "$1" = --help ] && {{ echo "--tmpfs DEST"; exit; }}\nexec {real} "$@"')
    command = walls.walled(["true"], tmp_path, Limits(), None)
    assert "--size" not in command
    assert walls.refused() == ""
