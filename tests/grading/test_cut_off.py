"""Law 3: cut off anywhere, run again, and all is right."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import nbformat
import pytest
from nbgrader.api import Gradebook
from small_course import CHAPTER, SmallCourse, listed
from sqlalchemy.exc import OperationalError

from autograder import COURSE_ID, ROOT
from autograder.authoring import chapters
from autograder.grading import gradebook

#: Runs `nbgrader autograde`, and is sent a signal by itself at the event of that number.
SCRIPT = """
import json, os, pathlib, sys

sys.path.insert(0, sys.argv[3])
number, name = int(sys.argv[1]), int(sys.argv[2])
left = [number]

def event(function):
    def changed(*args, **named):
        for _ in range(2):  # before and after
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), name)
            if _ == 0:
                result = function(*args, **named)
        return result
    return changed

from nbgrader.apps import AutogradeApp
from nbgrader.api import Gradebook
from nbgrader.preprocessors import SaveAutoGrades
from autograder.grading import batch, gradebook, kernels, record, room, run, submission

for owner, names in {
    room.Room: ["_unpack", "close"], kernels.Kernel: ["run"], gradebook: ["enter", "doubtful", "taken"],
    SaveAutoGrades: ["_add_score", "_add_comment"], record.Recorder: ["_written", "_put_in_place"],
    os: ["replace"], pathlib.Path: ["write_text", "mkdir"], batch.mend: ["mend"], submission: ["mark_of"],
}.items():
    for each in names:
        setattr(owner, each, event(getattr(owner, each)))
try:
    AutogradeApp.launch_instance(["ch01_quantization"])
finally:
    print("events", number - left[0])
"""
MOMENTS = [(2 + 7 * place, name) for place, name in enumerate([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP] * 7)]


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory):
    """(a course whose grading was cut off again and again, what became of each attempt) after one plain run of both."""
    course = SmallCourse(tmp_path_factory.mktemp("cut-off") / "course")
    shutil.rmtree(course.root / "submitted")
    course.write_config()
    script = course.root / "cut_off.py"
    script.write_text(SCRIPT)
    ended = []
    for place, (number, name) in enumerate(MOMENTS):
        for student in ("a", "b"):
            course.submit(f"{place:02}-{student}")
        command = [sys.executable, str(script), str(number), str(int(name)), str(ROOT)]
        done = subprocess.run(command, cwd=course.root, capture_output=True, text=True, timeout=120, check=False)
        ended.append((name, done.returncode, done.stdout + done.stderr))
    for command in ("autograde", "generate_feedback"):
        subprocess.run([sys.executable, "-m", "nbgrader", command, CHAPTER], cwd=course.root, check=True, timeout=300)
    return course, ended


def test_each_attempt_was_cut_off(cut_off):
    _, ended = cut_off
    assert len(ended) >= 20
    for name, code, said in ended:
        assert code in (-name, 128 + name), said
    assert {name for name, _, _ in ended} == {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP}


def test_then_one_plain_run_puts_every_grade_and_page_right(cut_off):
    course, ended = cut_off
    students = {f"{place:02}-{student}" for place in range(len(ended)) for student in ("a", "b")}
    assert course.scores() == dict.fromkeys(students, course.most)
    for student in students:
        folder = course.root / "autograded" / student / CHAPTER
        assert sorted(path.name for path in folder.iterdir()) == [".graded.json", f"{CHAPTER}.ipynb"]
        assert f"{course.most} of {course.most} points" in " ".join(course.page(student).split())


def test_who_ends_it_politely_gets_an_account(cut_off):
    _, ended = cut_off
    polite = [said for name, _, said in ended if name != signal.SIGKILL]
    assert any("not graded" in said and "the command ended before" in said for said in polite)


def test_nothing_is_left_behind(cut_off):
    course, _ = cut_off
    assert not any((course.root / "autograded" / ".being-graded").rglob("*.ipynb"))


# The same law for what changes between two runs, always without --force.
@pytest.fixture
def graded(small_course):
    assert listed(small_course.autograde(), "graded") == set(small_course.students)
    small_course.feedback()
    return small_course


def wrong(notebook):
    for cell in notebook.cells:
        if chapters.grade_id(cell) == "ex_1_4":
            cell.source = "ex_1_4 = 17"


def test_an_unchanged_class_is_left_alone(graded):
    before = (graded.root / "autograded" / "ada" / CHAPTER / f"{CHAPTER}.ipynb").stat().st_mtime_ns
    assert listed(graded.autograde(), "graded before") == set(graded.students)
    assert (graded.root / "autograded" / "ada" / CHAPTER / f"{CHAPTER}.ipynb").stat().st_mtime_ns == before


def test_a_resubmission_is_graded_though_its_clock_says_it_is_older(graded):
    path = graded.submit("bob", wrong)
    os.utime(path, (0, 0))
    account = graded.autograde()
    assert listed(account, "graded") == {"bob"}
    assert graded.scores()["bob"] == 1
    graded.feedback()
    assert "1 of 2 points" in " ".join(graded.page("bob").split())
    graded.submit("bob")
    graded.autograde()
    graded.feedback()
    assert "2 of 2 points" in " ".join(graded.page("bob").split())


def test_another_file_beside_the_notebook_is_a_resubmission(graded):
    (graded.root / "submitted" / "cy" / CHAPTER / "helpers.py").write_text("size = 3")
    assert listed(graded.autograde(), "graded") == {"cy"}


def test_a_corrected_hidden_test_grades_everybody_again(graded):
    source = graded.source()
    cell = next(cell for cell in source.cells if chapters.grade_id(cell) == "test_1_4")
    hidden = "### BEGIN HIDDEN TESTS\n"
    cell.source = cell.source.replace(hidden, f"{hidden}raise AssertionError('corrected')\n")
    graded.write_source(source)
    graded.release()
    assert listed(graded.autograde(), "graded") == set(graded.students)
    assert graded.scores() == dict.fromkeys(graded.students, 1)
    graded.feedback()
    assert "corrected" in graded.page("ada")


def test_a_repaired_release_grades_everybody_again(graded):
    source = graded.source()
    source.cells[0].source = "# Chapter 1, second edition"
    graded.write_source(source)
    graded.release()
    assert listed(graded.autograde(), "graded") == set(graded.students)
    assert graded.scores() == dict.fromkeys(graded.students, graded.most)


def test_another_gradebook_grades_everybody_again(graded):
    (graded.root / "gradebook.db").unlink()
    graded.release()
    assert graded.scores() == {}
    assert listed(graded.autograde(), "graded") == set(graded.students)
    assert graded.scores() == dict.fromkeys(graded.students, graded.most)
    assert listed(graded.autograde(), "graded before") == set(graded.students)


def test_an_older_copy_of_the_gradebook_grades_whom_it_knows_otherwise(graded, capsys):
    graded.submit("bob", wrong)
    graded.autograde()
    copy = (graded.root / "gradebook.db").read_bytes()
    graded.submit("bob")
    graded.submit("dan")
    graded.autograde()
    (graded.root / "gradebook.db").write_bytes(copy)
    gradebook.opened.cache_clear()
    assert graded.scores() == {"ada": 2, "bob": 1, "cy": 2}
    page = graded.page("bob")
    graded.feedback()
    said = capsys.readouterr().out
    assert "no page, for the gradebook holds other grades than were recorded: bob, dan\n" in said
    assert f"nbgrader autograde {CHAPTER} grades them again" in said
    assert graded.page("bob") == page
    account = graded.autograde()
    assert listed(account, "graded") == {"bob", "dan"}
    assert listed(account, "graded before") == {"ada", "cy"}
    assert graded.scores() == {"ada": 2, "bob": 2, "cy": 2, "dan": 2}
    graded.feedback()
    assert "2 of 2 points" in " ".join(graded.page("dan").split())
    assert "no page" not in capsys.readouterr().out


def test_other_limits_or_another_grader_grade_everybody_again(graded, monkeypatch):
    assert listed(graded.autograde(restarts=3), "graded") == set(graded.students)
    monkeypatch.setattr("autograder.grading.submission.sources", lambda folder: [])
    assert listed(graded.autograde(restarts=3), "graded") == set(graded.students)


def test_a_persons_points_comments_and_extra_credit_stay_and_are_named(graded):
    with Gradebook(graded.url, COURSE_ID) as gradebook:
        grade = gradebook.find_grade("test_1_4", CHAPTER, CHAPTER, "bob")
        grade.manual_score, grade.extra_credit = 0.5, 0.25
        gradebook.find_comment("ex_1_4", CHAPTER, CHAPTER, "bob").manual_comment = "nearly"
        gradebook.db.commit()
    assert listed(graded.autograde(), "graded before") == set(graded.students)
    graded.submit("bob", wrong)
    account = graded.autograde()
    assert listed(account, "points by hand") == {"bob"}
    assert "bob: test_1_4" in account
    with Gradebook(graded.url, COURSE_ID) as gradebook:
        grade = gradebook.find_grade("test_1_4", CHAPTER, CHAPTER, "bob")
        assert (grade.auto_score, grade.manual_score, grade.extra_credit) == (0, 0.5, 0.25)
        assert grade.needs_manual_grade
        assert gradebook.find_comment("ex_1_4", CHAPTER, CHAPTER, "bob").comment == "nearly"
    graded.feedback()
    assert "nearly" in graded.page("bob")


def test_where_a_new_attempt_cannot_be_graded_the_former_grade_stands(graded, monkeypatch):
    graded.submit("bob", wrong)
    with monkeypatch.context() as patch:
        patch.setattr("autograder.grading.batch.run", lambda *args: 1 / 0)
        account = graded.autograde()
    assert listed(account, "not graded") == {"bob"}
    assert "the grade of an earlier hand-in stands" in account
    assert graded.scores()["bob"] == graded.most
    graded.feedback()
    assert "2 of 2 points" in " ".join(graded.page("bob").split())
    graded.autograde()
    assert graded.scores()["bob"] == 1


def test_where_the_gradebook_stays_locked_the_former_grade_and_its_folder_stand(graded, monkeypatch):
    folder = graded.root / "autograded" / "bob" / CHAPTER
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    graded.submit("bob", wrong)

    def locked(*args):
        raise OperationalError("INSERT", None, sqlite3.OperationalError("database is locked"))

    with monkeypatch.context() as patch:
        patch.setattr(gradebook.Patience.__init__, "__defaults__", (1,))
        patch.setattr(gradebook, "enter", locked)
        patch.setattr(gradebook, "put_back", locked)
        account = graded.autograde()
    assert listed(account, "not graded") == {"bob"}
    assert "the grade of an earlier hand-in stands" in account
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert graded.scores()["bob"] == graded.most
    assert listed(graded.autograde(), "graded") == {"bob"}
    assert graded.scores()["bob"] == 1


@pytest.mark.parametrize("mark", ["", "{", "[]", '{"digest": "another"}', '{"digest": 5}'])
def test_a_mark_that_says_nothing_is_none(mark, graded):
    path = graded.root / "autograded" / "ada" / CHAPTER / ".graded.json"
    path.chmod(0o644)
    path.write_text(mark)
    assert listed(graded.autograde(), "graded") == {"ada"}
    assert json.loads(path.read_text())["digest"]


def test_what_another_program_left_half_done_gets_no_page(graded):
    folder = graded.root / "autograded" / "dan" / CHAPTER
    folder.mkdir(parents=True)
    nbformat.write(graded.submission(), folder / f"{CHAPTER}.ipynb")
    graded.feedback()
    assert not (graded.root / "feedback" / "dan").exists()


def test_force_grades_again(graded):
    assert listed(graded.autograde(), "graded before") == set(graded.students)
    graded.write_config()
    command = [sys.executable, "-m", "nbgrader", "autograde", CHAPTER, "--force", "--student=ada"]
    done = subprocess.run(command, cwd=graded.root, capture_output=True, text=True, check=True)
    assert listed(done.stdout, "graded") == {"ada"}
