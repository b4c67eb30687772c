"""The zip for Gradescope is run as Gradescope runs it, and says what nbgrader says here."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import nbformat
import pytest
from small_course import CHAPTER, SmallCourse

from autograder import ROOT, CourseError
from autograder.authoring import chapters
from autograder.grading import gradebook
from autograder.reporting import gradescope

#: What the documented form knows; whatever else stands there Gradescope does not read.
WHOLE = {"output", "tests", "execution_time", "visibility", "stdout_visibility", "extra_data"}
EACH = {"name", "number", "score", "max_score", "status", "output", "output_format", "visibility"}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A small course with everything that the zip is made of."""
    course = SmallCourse(tmp_path_factory.mktemp("small") / "course")
    for name in ("autograder", "course", *gradescope.FILES):
        (course.root / name).symlink_to(ROOT / name)
    config = course.root / "nbgrader_config.py"
    config.unlink()
    config.write_text((ROOT / "nbgrader_config.py").read_text("utf-8") + '\nc.TwoKernels.preload = "json"\n', "utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gradescope, "ROOT", course.root)
        patched.setattr(chapters, "ROOT", course.root)
        yield course


@pytest.fixture(scope="module")
def archive(course):
    return gradescope.write(CHAPTER)


@pytest.fixture
def container(archive, tmp_path):
    """hand_in(name, bytes) and run(), in a folder laid out as /autograder is."""
    with zipfile.ZipFile(archive) as files:
        for one in files.infolist():
            path = files.extract(one, tmp_path / "source")
            os.chmod(path, one.external_attr >> 16)
    (tmp_path / "submission").mkdir()
    results = tmp_path / "results" / "results.json"
    results.parent.mkdir()
    results.write_text("somebody else's")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NBGRADER")}

    def hand_in(name: str, data: bytes) -> None:
        path = tmp_path / "submission" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def run(code: int = 0, **more) -> SimpleNamespace:
        """What it printed, and the results or None."""
        done = subprocess.run(
            [tmp_path / "source" / "run_autograder"],
            env={**environment, "AUTOGRADER": str(tmp_path), "PYTHON": sys.executable, **more},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        made = json.loads(results.read_text("utf-8")) if results.exists() else None
        return SimpleNamespace(said=done.stdout, results=made, text=json.dumps(made, ensure_ascii=False))

    return SimpleNamespace(hand_in=hand_in, run=run, root=tmp_path)


def half_right(course) -> bytes:
    notebook = course.submission()
    for cell in notebook.cells:
        if chapters.grade_id(cell) == "ex_1_4":
            cell.source = "ex_1_4 = 1 / 127  # <script>"
    return nbformat.writes(notebook).encode()


def secrets(course) -> set[str]:
    """Lines of solutions and hidden tests that the release does not have."""
    cells = course.source().cells
    regions = [
        text for cell in cells for kind in (chapters.SOLUTION, chapters.HIDDEN) for text in kind.findall(cell.source)
    ]
    shown = {line.strip() for cell in course.released().cells for line in cell.source.splitlines()}
    return {line.strip() for text in regions for line in text.splitlines()} - shown - {""}


def test_a_submission_gets_the_points_that_nbgrader_gives_it(course, container):
    path = course.root / "submitted" / "ada" / CHAPTER / f"{CHAPTER}.ipynb"
    path.write_bytes(half_right(course))
    course.autograde("ada")
    points = dict(gradebook.grades(CHAPTER, course.url))["ada"]
    container.hand_in("Copy of my work.ipynb", half_right(course))
    ran = container.run()
    assert {test["number"]: test["score"] for test in ran.results["tests"]} == {
        "1.1": points["test_1_1"],
        "1.4": points["test_1_4"],
    }
    assert [test["status"] for test in ran.results["tests"]] == ["passed", "failed"]
    assert ran.results["tests"][1]["name"] == "Exercise 1.4 · Derive"
    assert "Your answer: not passed" in ran.results["tests"][1]["output"]
    assert "that is a whole step" in ran.results["tests"][1]["output"]
    assert ran.results["extra_data"] == {"walls": "bubblewrap"}
    assert "walls: bubblewrap" in ran.said
    assert set(ran.results) == WHOLE
    for test in ran.results["tests"]:
        assert set(test) == EACH
        assert 0 <= test["score"] <= test["max_score"]
        assert test["visibility"] == "visible"
    assert "Traceback" not in ran.text
    assert not [line for line in secrets(course) if len(line) > 8 and line in ran.text]


def test_without_walls_it_refuses_or_goes_on_as_the_zip_says(course, container):
    container.hand_in(f"{CHAPTER}.ipynb", half_right(course))
    no_bubblewrap = {"PATH": "/nonexistent"}
    ran = container.run(code=1, **no_bubblewrap)
    assert ran.results is None, "no grade follows"
    assert "walls: none, bwrap is not installed" in ran.said
    assert "Not graded: without walls" in ran.said
    settings = container.root / "source" / "settings.json"
    changed = {"without_walls": "go on", "visibility": "after_published"}
    settings.write_text(json.dumps(json.loads(settings.read_text()) | changed))
    ran = container.run(**no_bubblewrap)
    assert "walls: none, bwrap is not installed" in ran.said
    assert [test["score"] for test in ran.results["tests"]] == [1, 0]
    assert ran.results["extra_data"] == {"walls": "none"}
    assert {test["visibility"] for test in ran.results["tests"]} == {"after_published"}


def test_the_machines_fault_leaves_no_results(course, container):
    container.hand_in(f"{CHAPTER}.ipynb", half_right(course))
    (container.root / "source" / "gradebook.db").write_text("this is no database" * 100)
    ran = container.run(code=1)
    assert ran.results is None
    assert "Not graded" in ran.said


def test_what_cannot_be_graded_gets_nothing_and_is_told_why(course, container):
    ran = container.run()
    assert ran.results["output"].startswith(f"No notebook was handed in: hand in {CHAPTER}.ipynb")
    assert [test["score"] for test in ran.results["tests"]] == [0, 0]
    assert [test["max_score"] for test in ran.results["tests"]] == [1, 1]
    container.hand_in("my folder/__MACOSX/._work.ipynb", b"")
    container.hand_in("my folder/work/notes.ipynb", b"%PDF-1.7")
    ran = container.run()
    assert "Nothing could be graded: the file is not a notebook: it is a PDF" in ran.results["output"]
    assert [test["score"] for test in ran.results["tests"]] == [0, 0]


def test_the_zip_holds_nobody(container):
    assert list(gradebook.grades(CHAPTER, gradescope.database(container.root / "source"))) == []


def test_the_zip_holds_what_grading_needs_and_no_solution(course, archive):
    with zipfile.ZipFile(archive) as files:
        names = set(files.namelist())
        everything = b"\n".join(files.read(name) for name in names).decode("utf-8", "replace")
        assert files.getinfo("run_autograder").external_attr >> 16 & 0o111
        assert files.getinfo("setup.sh").external_attr >> 16 & 0o111
    assert {"setup.sh", "run_autograder", "grade_one.py", "settings.json", "gradebook.db"} <= names
    assert f"release/{CHAPTER}/{CHAPTER}.ipynb" in names
    assert not [name for name in names if name.startswith(("source/", "submitted/", "autograded/", "tests/"))]
    assert not [name for name in names if "bank/" in name and not name.endswith("bank/__init__.py")]
    for cell in course.source().cells:
        for solution in chapters.SOLUTION.findall(cell.source):
            lines = [line.strip() for line in solution.splitlines() if len(line.strip()) > 12]
            assert not [line for line in lines if line in everything]


def test_setup_is_shell_and_names_what_the_course_needs(archive):
    setup = gradescope.TEMPLATES / "setup.sh"
    subprocess.run(["bash", "-n", setup], check=True)
    assert "bubblewrap" in setup.read_text()
    assert "-c constraints.txt" in setup.read_text()
    assert {"constraints.txt", "pyproject.toml", "README.md", "LICENSE"} <= set(zipfile.ZipFile(archive).namelist())


def test_a_release_that_is_not_in_step_is_one_line(course):
    path = chapters.release_path(CHAPTER)
    before = path.read_bytes()
    made = course.root / "build" / "gradescope" / f"{CHAPTER}.zip"
    was = made.read_bytes() if made.exists() else b""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if chapters.grade_id(cell) != "test_1_4"]
    nbformat.write(notebook, path)
    try:
        with pytest.raises(CourseError, match="hold different tests: run make release first"):
            gradescope.write(CHAPTER)
        shutil.move(path, course.root / "aside")
        with pytest.raises(CourseError, match="has no release: run make release first"):
            gradescope.write(CHAPTER)
    finally:
        path.write_bytes(before)
    assert (made.read_bytes() if made.exists() else b"") == was
