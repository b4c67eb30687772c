"""The report: narrow enough for any terminal, quiet when nobody reads on, about the configured gradebook."""

import subprocess
import sys

import pytest
from coded_class import CodedClass
from nbgrader.api import Gradebook
from tqdm.utils import disp_len

from autograder import COURSE_ID
from autograder.collecting.roster import Person
from autograder.reporting import grades, report
from autograder.reporting.grades import Chapter, Grades, Work

TEN = [
    f"ch{number:02}_{name}" for number, name in enumerate(["arithmetic", "quantization", "pruning", "capstone"] * 3)
][:10]


def made_up(students, chapters, points=12.25, most=120.0) -> Grades:
    works = {(student, chapter): Work(None, points, 0.5) for student in students for chapter in chapters}
    return Grades([Chapter(name, most, None) for name in chapters], {s: Person(s) for s in students}, works)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Three hundred students in ten chapters."""
    coded = CodedClass(tmp_path_factory.mktemp("large"), TEN)
    students = [f"a.student-with.a-long-name.{number}@university.example" for number in range(300)]
    coded.enter({(student, chapter): (7.75, 4.5) for student in students for chapter in TEN})
    return coded


def test_ten_chapters_and_300_students_fit_100_columns(large):
    with Gradebook(large.url, COURSE_ID) as gradebook:
        lines = report.table(grades.read(gradebook, {}))
    assert len(lines) == 302
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == ["student", *(name[:4] for name in TEN), "total"]
    assert lines[1].split()[1:] == ["12.25"] * 10 + ["122.5"]
    assert lines[-1].split()[2:] == ["12.5"] * 10 + ["125"]


def test_more_chapters_than_fit_stand_in_blocks():
    lines = report.table(made_up(["ada", "bob"], [f"homework-{number}" for number in range(14)]))
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("ada ") for line in lines) == 2
    assert [line for line in lines if line.startswith("ada ")][-1].endswith("164.5")


def test_who_has_no_grade_has_a_dash():
    found = made_up(["ada"], TEN[:2])
    del found.works["ada", TEN[0]]
    (line,) = (line for line in report.table(found) if line.startswith("ada"))
    assert line.split() == ["ada", "-", "11.75", "11.75"]


@pytest.mark.parametrize("name", ["李" * 60, "x" * 200, "\x1b[31mred\nline", "e\u0301" * 30, "\u202eevil"])
def test_odd_names_stay_in_their_line(name):
    lines = report.table(made_up(["ada", name], TEN))
    assert len(lines) == 4
    assert max(map(disp_len, lines)) <= 100
    assert all(line.isprintable() for line in lines)
    assert len({disp_len(line) for line in lines}) == 1


def test_pages_are_counted_and_not_listed(tmp_path):
    coded = CodedClass(tmp_path / "course")
    for number in range(30):
        for chapter in TEN[: 1 + number % 10]:
            coded.page(f"s{number}", chapter)
    said = report.pages(coded.course)
    assert len(said) <= 4
    assert max(map(len, said)) <= 100
    assert said[0].startswith("feedback pages: 165 in feedback/STUDENT/CHAPTER/, of 30 ch00, 27 ch01,")


def command(root, arguments: str, **options):
    line = f"set -o pipefail; {sys.executable} -m autograder {arguments}"
    return subprocess.run(["bash", "-c", line], cwd=root, capture_output=True, text=True, **options)


def test_the_command_reads_the_configured_gradebook_and_ends_quietly(course_copy, large):
    """By nbgrader_config.py, by --db, and through head, which reads three lines and goes."""
    refused = command(course_copy, "report")
    assert refused.returncode == 2
    assert "there is no gradebook yet" in refused.stderr
    assert not (course_copy / "gradebook.db").exists()
    head = command(course_copy, f"report --db {large.url} | head -3")
    assert (head.returncode, head.stderr) == (0, "")
    assert len(head.stdout.splitlines()) == 3
    gone = command(course_copy, f"report --db {large.url} | true")
    assert (gone.returncode, gone.stderr) == (0, "")
    with (course_copy / "nbgrader_config.py").open("a") as file:
        file.write(f"\nc.CourseDirectory.db_url = {large.url!r}\n")
    said = command(course_copy, "report")
    assert (said.returncode, said.stderr) == (0, "")
    assert len(said.stdout.splitlines()) < 310
    assert "122.5" in said.stdout
    results = command(course_copy, "results | head -1")
    assert "nobody is in submitted/" in results.stderr
