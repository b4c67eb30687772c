"""The course as instructors use it: nbgrader's own commands, from the repository's root, on the sample class.

The tests follow one course through its commands, so they need one process: see LONG in conftest.py.
"""

import csv
import html
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from conftest import points, scores, secret_lines

from autograder.authoring import chapters, sample_class

CHAPTER = "ch01_quantization"


@pytest.fixture(scope="module")
def graded(course_copy, nbgrader):
    """The course after the sample class was graded: {student: {grade_id: score}} from the export."""
    nbgrader("generate_assignment", CHAPTER, "--force")
    for student in sample_class.STUDENTS:
        folder = course_copy / "submitted" / student / CHAPTER
        folder.mkdir(parents=True)
        nbformat.write(sample_class.submission(student, CHAPTER), folder / f"{CHAPTER}.ipynb")
    nbgrader("autograde", CHAPTER)
    return course_copy


def test_every_sample_student_gets_what_the_bank_says(graded, exercises_of, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    found = scores(graded, CHAPTER)
    assert sorted(found) == sorted(sample_class.STUDENTS)
    for student in sample_class.STUDENTS:
        answers = sample_class.answers(student, CHAPTER)
        for number, exercise in exercises_of(CHAPTER).items():
            earned = sum(found[student][chapters.grade_id(cell)] for cell in exercise.tests)
            deserved = points(exercise, answers[number].source)[0] if number in answers else 0
            assert earned == deserved, f"{student}, exercise {number}"


def test_the_perfect_student_has_everything_and_the_untouched_one_nothing(graded, exercises_of):
    found = scores(graded, CHAPTER)
    assert sum(found["ada"].values()) == sum(exercise.points for exercise in exercises_of(CHAPTER).values())
    assert sum(found["bruno"].values()) == 0


def test_autograding_again_changes_nothing(graded, nbgrader):
    before = scores(graded, CHAPTER)
    nbgrader("autograde", CHAPTER)
    assert scores(graded, CHAPTER) == before


def test_feedback_pages_show_points_and_messages(graded, nbgrader):
    nbgrader("generate_feedback", CHAPTER, "--force")
    page = (graded / "feedback" / "chen" / CHAPTER / f"{CHAPTER}.html").read_text("utf-8")
    text = re.sub(r"<[^>]+>", "", page)
    assert "16 of 24 points" in text
    assert "a scale of 2/128 needs the code 128" in text


def test_feedback_pages_hold_no_hidden_test(graded, nbgrader):
    nbgrader("generate_feedback", CHAPTER, "--force")
    for student in sample_class.STUDENTS:
        text = (graded / "feedback" / student / CHAPTER / f"{CHAPTER}.html").read_text("utf-8")
        text = html.unescape(re.sub(r"<[^>]+>", "", text))
        answers = {
            line.strip() for a in sample_class.answers(student, CHAPTER).values() for line in a.source.splitlines()
        }
        shown = [line for line in secret_lines(CHAPTER) - answers if line in text]
        assert shown == [], student


def test_feedback_shows_nothing_that_a_learner_made_as_html(graded, nbgrader):
    path = graded / "autograded" / "chen" / CHAPTER / f"{CHAPTER}.ipynb"
    nb = nbformat.read(path, as_version=4)
    before = path.read_bytes()
    evil = "<script>alert(1)</script>"
    hostile = nbformat.v4.new_code_cell(f"# {evil}")
    hostile.outputs = [
        nbformat.v4.new_output("stream", text=evil),
        nbformat.v4.new_output("display_data", data={"text/html": evil, "image/png": f'"{evil}', "text/plain": evil}),
        nbformat.v4.new_output("error", ename=evil, evalue=evil, traceback=[evil]),
    ]
    nb.cells += [hostile, nbformat.v4.new_markdown_cell(evil)]
    path.chmod(0o644)
    nbformat.write(nb, path)
    nbgrader("generate_feedback", CHAPTER, "--force", "--student=chen")
    path.write_bytes(before)
    assert evil not in (graded / "feedback" / "chen" / CHAPTER / f"{CHAPTER}.html").read_text("utf-8")


def test_feedback_names_the_learners_own_line(graded, nbgrader):
    nbgrader("generate_feedback", CHAPTER, "--force")
    text = (graded / "feedback" / "dara" / CHAPTER / f"{CHAPTER}.html").read_text("utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", "", text))
    assert "(your code, line 2 of quantize_dequantize: undefined_name)" in text


def test_export_writes_every_students_points(graded, nbgrader):
    nbgrader("export")
    with open(graded / "grades.csv", newline="") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert float(rows["ada"]["score"]) == 24
    assert float(rows["bruno"]["score"]) == 0


def test_the_report_has_a_row_for_each_student(graded):
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "report"], cwd=graded, capture_output=True, text=True, check=True
    )
    assert re.search(r"^ada +24 +24$", done.stdout, re.MULTILINE)
    assert re.search(r"^bruno +0 +0$", done.stdout, re.MULTILINE)


def test_a_real_class_is_never_mixed_with_the_sample(graded):
    stranger = graded / "submitted" / "zoe" / CHAPTER
    stranger.mkdir(parents=True)
    for student in sample_class.STUDENTS:
        shutil.move(graded / "submitted" / student, graded / f"aside_{student}")
    done = subprocess.run([sys.executable, "-m", "autograder", "sample"], cwd=graded, capture_output=True, text=True)
    for student in sample_class.STUDENTS:
        shutil.move(graded / f"aside_{student}", graded / "submitted" / student)
    assert "submitted/ holds a class (zoe)" in done.stdout
    unsample = subprocess.run(
        [sys.executable, "-m", "autograder", "unsample"], cwd=graded, capture_output=True, text=True
    )
    assert unsample.returncode == 0, unsample.stderr
    assert [path.name for path in (graded / "submitted").iterdir()] == ["zoe"]
    shutil.rmtree(graded / "submitted" / "zoe")
    assert scores(graded, CHAPTER) == {}


def test_validate_tells_a_learner_what_is_missing_and_when_all_is_well(tmp_path, nbgrader):
    path = tmp_path / f"{CHAPTER}.ipynb"
    shutil.copy(chapters.release_path(CHAPTER), path)
    said = nbgrader("validate", str(path))
    assert "FAILED" in said.upper()
    assert "Exercise 1.1: no answer yet." in said
    assert "your code here" in said
    nbformat.write(sample_class.submission("ada", CHAPTER), path)
    assert "Success" in nbgrader("validate", str(path))


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("ada_ch01_quantization.ipynb", "ada"),
        ("b.ob-2_ch01_quantization (1).ipynb", "b.ob-2"),
        ("cy_4711_assignsubmission_file_ch01_quantization.ipynb", "cy"),
        ("di_2026-11-23-10-15-00_ch01_quantization.ipynb", "di"),
        ("eve_homework/ch01_quantization.ipynb", "eve"),
    ],
)
def test_zip_collect_finds_the_student_in_what_was_uploaded(course_copy, nbgrader, name, student):
    for leftover in ("downloaded", f"submitted/{student}"):
        shutil.rmtree(course_copy / leftover, ignore_errors=True)
    path = course_copy / "downloaded" / CHAPTER / "archive" / name
    path.parent.mkdir(parents=True)
    nbformat.write(sample_class.submission("ada", CHAPTER), path)
    nbgrader("zip_collect", CHAPTER, "--force")
    collected = course_copy / "submitted" / student / CHAPTER / f"{CHAPTER}.ipynb"
    assert collected.read_bytes() == path.read_bytes()
    shutil.rmtree(course_copy / "submitted" / student)
