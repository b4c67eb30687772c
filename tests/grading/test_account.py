"""Law 4: everybody is accounted for, once, whatever their folder and name are; and the account cannot break off."""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from small_course import CHAPTER, CONFIG, listed

from autograder import COURSE_ID, NEEDS_A_LOOK
from autograder.authoring import chapters
from autograder.collecting.account import shown
from autograder.grading.account import REMARKS, STATES, Account


def folder(course, student):
    place = course.root / "submitted" / student / CHAPTER
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture(scope="module")
def odd_class(tmp_path_factory):
    """(the course, the account) of a class in which nearly everybody's folder is odd."""
    from small_course import SmallCourse

    course = SmallCourse(tmp_path_factory.mktemp("odd") / "course")
    for student in ("eve[late]", "fay*", "gus?", "hal with spaces", "ida.b-2@uni", "zoë"):
        course.submit(student)
    (folder(course, "jon") / "answers.py").write_text("ex_1_1 = 1")
    (folder(course, "kim") / f"{CHAPTER}.ipynb").write_text("{ not json")
    (course.root / "submitted" / "lea").mkdir()
    (course.root / "submitted" / "notes.txt").write_text("call the dean")
    (course.root / "submitted" / ".DS_Store").write_text("")
    os.mkdir(os.fsencode(course.root / "submitted") + b"/m\xff")
    course.submit("red\x1b[31m")
    path = course.submit("ned")
    notebook = json.loads(path.read_text())
    notebook["metadata"] |= {"course_unreadable": 5, "course_stopped": [{}], "course_repairs": "x"}
    for cell in notebook["cells"]:
        cell["metadata"] |= {"course_unreadable": True}
    path.write_text(json.dumps(notebook))
    (folder(course, "oda") / f"{CHAPTER}.ipynb").symlink_to("/etc/hosts")
    path = course.submit("pia")
    path.rename(path.with_name("Copy of chapter.IPYNB"))
    path = course.submit("quin")
    (path.parent / "timestamp.txt").write_text("yesterday, I believe")
    course.submit("rob", lambda nb: nb.cells.append(nbformat.v4.new_code_cell("import os; os._exit(1)")))
    return course, course.autograde()


GRADED = {"ada", "bob", "cy", "eve[late]", "fay*", "gus?", "hal with spaces", "ida.b-2@uni", "zoë"}
GRADED |= {"ned", "pia", "quin", "rob"}


def test_each_folder_stands_once_in_the_account(odd_class):
    course, account = odd_class
    assert listed(account, "graded") == GRADED
    assert listed(account, "unreadable") == {"kim", "oda"}
    assert listed(account, "no notebook") == {"jon"}
    assert listed(account, "nothing handed in") == {"lea"}
    assert listed(account, "not a student's") == {".DS_Store", "notes.txt", r"m\xff", r"red\x1b[31m"}
    states = [listed(account, state) for state in STATES]
    assert sum(map(len, states)) == len(os.listdir(course.root / "submitted"))


def test_whoever_handed_in_right_answers_has_all_points(odd_class):
    course, _ = odd_class
    scores = course.scores()
    assert {student: scores[student] for student in GRADED} == dict.fromkeys(GRADED, course.most)
    assert {student: points for student, points in scores.items() if student not in GRADED} == {"kim": 0, "oda": 0}


def test_names_that_nbgraders_patterns_cannot_see_are_listed_and_get_a_page(odd_class):
    course, account = odd_class
    assert {"eve[late]", "fay*", "gus?"} <= listed(account, "noticed")
    course.feedback()
    for student in GRADED:
        assert "2 of 2 points" in " ".join(course.page(student).split())
        assert os.listdir(course.root / "feedback" / student / CHAPTER) == [f"{CHAPTER}.html"]


def test_metadata_of_a_submission_say_nothing(odd_class):
    course, account = odd_class
    assert "ned" not in listed(account, "repaired") | listed(account, "stopped")
    nb = nbformat.read(course.root / "autograded" / "ned" / CHAPTER / f"{CHAPTER}.ipynb", as_version=4)
    assert not [name for name in nb.metadata if name.startswith("course_")]


def test_what_is_worth_a_look_is_said(odd_class):
    _, account = odd_class
    assert listed(account, "stopped") == {"rob"}
    assert "pia: the file was named Copy of chapter.IPYNB" in account
    assert "quin: timestamp.txt: holds no time" in account


def test_the_account_can_be_printed_anywhere(odd_class):
    _, account = odd_class
    assert all(line.isprintable() for line in account.splitlines())


@pytest.mark.parametrize(
    "why", [5, None, "x" * 10**6, "\ud800", "a\nb", b"bytes", {"a": 1}, "\x00\x1b[2J"], ids=lambda why: repr(why)[:20]
)
def test_no_reason_breaks_the_account(why, tmp_path):
    account = Account(CHAPTER)
    for state in STATES:
        account.is_(state, f"student of {state}", why)
    for kind in REMARKS:
        account.remark(kind, "\udcff\u202e", why)
    account.close(tmp_path)
    text = (tmp_path / f"{CHAPTER}_account.txt").read_text("utf-8")
    assert len(text) < 10**5
    assert shown(why).isprintable()


def test_every_name_stays_in_one_piece():
    account = Account(CHAPTER)
    names = {f"student-{number} of-the class" for number in range(300)}
    for name in names:
        account.is_("graded", name)
    assert listed(account.text(), "graded") == names
    assert max(map(len, account.text().splitlines())) <= 120


def test_exit_codes_say_whether_somebody_needs_a_look(small_course):
    small_course.write_config()

    def autograde():
        command = [sys.executable, "-m", "nbgrader", "autograde", CHAPTER]
        done = subprocess.run(command, cwd=small_course.root, capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr)
        return done.returncode

    assert autograde() == 0
    (folder(small_course, "kim") / f"{CHAPTER}.ipynb").write_text("{ not json")
    assert autograde() == NEEDS_A_LOOK


def test_one_student_alone_and_some_excluded(small_course):
    account = small_course.autograde("bob")
    assert listed(account, "graded") == {"bob"}
    assert small_course.scores() == {"bob": small_course.most}


def test_the_formgraders_button_goes_the_same_way(small_course):
    small_course.submit("bob", lambda nb: nb.cells.insert(1, nbformat.v4.new_code_cell("import os; os._exit(1)")))
    config = CONFIG.copy()
    config.CourseDirectory.update(root=str(small_course.root), course_id=COURSE_ID, db_url=small_course.url)
    config.TwoKernels.preload = "json"
    api = NbGraderAPI(CourseDirectory(config=config), config=config)
    assert api.autograde(CHAPTER, "bob")["success"]
    assert small_course.scores() == {"bob": small_course.most}
    (small_course.root / "release" / CHAPTER / f"{CHAPTER}.ipynb").unlink()
    result = api.autograde(CHAPTER, "ada")
    assert not result["success"]
    assert "could not be graded" in result["error"]


# --no-execute: what a notebook holds is taken as it is, and what was not run is no pass.
def ran(notebook, wrong=()):
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = number, []
            if chapters.grade_id(cell) in wrong:
                cell.outputs = [nbformat.v4.new_output("error", ename="AssertionError", evalue="no", traceback=[])]


def test_no_execute_is_heeded(small_course):
    small_course.write_config()
    code = nbformat.v4.new_code_cell("open('ran', 'w'); raise SystemExit")
    small_course.submit("ada", lambda nb: (nb.cells.insert(1, code), ran(nb)))
    small_course.submit("bob", lambda nb: ran(nb, wrong=["test_1_4"]))
    command = [sys.executable, "-m", "nbgrader", "autograde", CHAPTER]
    subprocess.run([*command, "--no-execute"], cwd=small_course.root, capture_output=True, check=True)
    assert small_course.scores() == {"ada": 2, "bob": 1, "cy": 0}
    subprocess.run(command, cwd=small_course.root, capture_output=True, check=True)
    assert small_course.scores() == {"ada": 2, "bob": 2, "cy": 2}
