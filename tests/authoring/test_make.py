"""`make` does what a change asks for, and nothing else. The steps are stood in for; they have tests of their own."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import CHAPTERS

from autograder import ROOT

FIRST, SECOND = CHAPTERS[1:3]
#: Says which step it is and for which chapters, and writes what that step writes.
STEP = """
import pathlib, sys
step, *only = sys.argv[1:]
print(step, *only)
chapters = only or sorted(path.name for path in pathlib.Path("source").iterdir())
for chapter in chapters:
    assert pathlib.Path("source", chapter).is_dir(), chapter
    notebook = f"{chapter}/{chapter}.ipynb"
    written = {"source": f"source/{notebook}", "release": f"release/{notebook}", "sample": f"submitted/ada/{notebook}"}
    path = pathlib.Path(written.get(step, "nothing"))
    text = pathlib.Path("source", chapter, f"{chapter}.py").read_text()
    if step in written and not (step != "release" and path.exists() and path.read_text() == text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
"""


class Course:
    """A folder with the real Makefile."""

    def __init__(self, root):
        self.root = root
        shutil.copy(ROOT / "Makefile", root)
        (root / "step.py").write_text(STEP)
        for chapter in CHAPTERS:
            self.change(f"source/{chapter}/{chapter}.py", "text")
        for name in ("nbgrader_config.py", "autograder/authoring/sample_class.py", "autograder/authoring/bank/ch01.py"):
            self.change(name)
        for name in ("pyproject.toml", "constraints.txt", "autograder/authoring/setup_cell.txt", ".make/ready"):
            self.change(name)

    def change(self, name: str, text: str = "") -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def make(self, *arguments: str) -> list[str]:
        """The steps that it takes, each with its chapters."""
        for path in self.root.rglob("*"):  # what there is becomes older than what is made now
            if path.is_file():
                made = path.stat()
                os.utime(path, ns=(made.st_mtime_ns - 10**10, made.st_mtime_ns - 10**10))
        command = ["make", f"STEP={sys.executable} step.py", *arguments]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()


@pytest.fixture
def course(tmp_path):
    return Course(tmp_path)


@pytest.fixture
def made(course):
    assert course.make() == ["source", "release", "sample", "grade", "feedback", "report"]
    return course


def of(*only):
    return [" ".join([step, *only]) for step in ("release", "sample", "grade", "feedback")]


def test_nothing_is_done_twice(made):
    assert made.make() == ["report"]
    assert made.make("-j2") == ["report"]


def test_a_changed_text_releases_and_grades_that_chapter_only(made):
    made.change(f"source/{FIRST}/{FIRST}.py", "another text")
    assert made.make() == ["source", *of(FIRST), "report"]
    assert made.make() == ["report"]


def test_a_text_that_makes_the_same_notebook_releases_nothing(made):
    made.change(f"source/{FIRST}/{FIRST}.py", "text")
    assert made.make() == ["source", "report"]


def test_resubmissions_grade_their_chapters_only(made):
    for name in (f"submitted/ada/{SECOND}/{SECOND}.ipynb", f"submitted/bob/{FIRST}/answers.ipynb"):
        made.change(name, "text")
    assert made.make() == [*of(FIRST, SECOND)[1:], "report"]


@pytest.mark.parametrize("name", ["nbgrader_config.py", "autograder/authoring/setup_cell.txt"])
def test_what_concerns_all_releases_all(name, made):
    made.change(name, "changed")
    assert made.make()[0] == "release"
    assert made.make() == ["report"]


def test_another_bank_makes_another_class(made):
    made.change("autograder/authoring/bank/ch01.py", "changed")
    assert made.make() == ["sample", "grade", "feedback", "report"]


def test_a_new_chapter_is_made_alone(made):
    made.change("source/ch99_new/ch99_new.py", "text")
    assert made.make() == ["source", *of("ch99_new"), "report"]


def test_a_step_that_failed_is_taken_again(made):
    step = made.root / "step.py"
    made.change(f"source/{FIRST}/{FIRST}.py", "another text")
    step.write_text(STEP + "assert step != 'grade'\n")
    with pytest.raises(subprocess.CalledProcessError):
        made.make()
    step.write_text(STEP)
    assert made.make() == [*of(FIRST)[1:], "report"]
