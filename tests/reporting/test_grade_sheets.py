"""Grade sheets: the columns that each platform's documentation names, and the same points as everywhere else."""

import csv
import io
import os
import re
import subprocess
import sys

import pytest
from coded_class import CHAPTERS, CodedClass
from nbgrader.api import Gradebook
from traitlets.config import Config

from autograder import COURSE_ID, ROOT, CourseError
from autograder.collecting import roster
from autograder.reporting import grade_sheets, grades, report

FIRST, SECOND = CHAPTERS
PLATFORMS = ("Table", "Canvas", "Moodle", "Brightspace")


@pytest.fixture
def graded(tmp_path):
    """ada has all, bob was late, cy has nothing right, dot handed in one chapter, eli none; flo is not graded yet."""
    coded = CodedClass(tmp_path / "course")
    coded.enter(
        {
            **{("ada", chapter): (8, 4.5) for chapter in CHAPTERS},
            **{("bob", chapter): (7, 4) for chapter in CHAPTERS},
            **{("cy", chapter): (0, 0) for chapter in CHAPTERS},
            ("dot", SECOND): (0.1, 0.2),
            ("flo", SECOND): (3, None),
        },
        late={("bob", SECOND)},
    )
    coded.add_student("eli", first_name="Eli", last_name="Stone", email="eli@school.example")
    (coded.root / "roster.csv").write_text(
        "id,name,platform_id,e-mail\nada,Ada Lovelace,101,ada@school.example\nbob,Bob O'Hara,102,\ngus,Gus New,107,\n"
    )
    return coded


def sheet(coded, name, **traits) -> list[list[str]]:
    """The lines that a sheet has on the disk."""
    made = getattr(grade_sheets, name)(
        config=Config({"CourseDirectory": {"root": str(coded.root)}}), to=str(coded.root / "out.csv"), **traits
    )
    with Gradebook(coded.url, COURSE_ID) as gradebook:
        made.write(gradebook)
    return list(csv.reader(io.StringIO((coded.root / "out.csv").read_bytes().decode("utf-8"), newline="")))


def test_canvas_has_its_columns_and_the_row_of_points_possible(graded):
    assert sheet(graded, "Canvas") == [
        ["Student", "ID", "SIS Login ID", "Section", FIRST, SECOND],
        ["    Points Possible", "", "", "", "12.5", "12.5"],
        ["Ada Lovelace", "101", "ada", "", "12.5", "12.5"],
        ["Bob O'Hara", "102", "bob", "", "11", "8.25"],
        ["cy", "", "cy", "", "0", "0"],
        ["dot", "", "dot", "", "", "0.3"],
        ["Stone, Eli", "", "eli", "", "", ""],
        ["flo", "", "flo", "", "", ""],
        ["Gus New", "107", "gus", "", "", ""],
    ]


def test_moodles_gradebook_has_columns_to_map(graded):
    lines = sheet(graded, "Moodle")
    assert lines[:3] == [
        ["Full name", "ID number", "Email address", FIRST, SECOND],
        ["Ada Lovelace", "101", "ada@school.example", "12.5", "12.5"],
        ["Bob O'Hara", "102", "", "11", "8.25"],
    ]
    assert lines[5] == ["Stone, Eli", "eli", "eli@school.example", "", ""]


def test_moodles_worksheet_has_a_line_for_whoever_moodle_knows_and_was_graded(graded):
    for number, student in enumerate(("ada", "bob", "flo")):
        graded.page(
            student, SECOND, "moodle", f"{student.title()} X_{4711 + number}_assignsubmission_file_/answers.ipynb"
        )
    titles, *lines = sheet(graded, "MoodleWorksheet", assignment=[SECOND])
    assert titles == [
        *("Identifier", "Full name", "Email address", "Grade", "Maximum Grade"),
        *("Last modified (grade)", "Feedback comments"),
    ]
    assert [line[:5] + line[6:] for line in lines] == [
        ["Participant 4711", "Ada Lovelace", "ada@school.example", "12.5", "12.5", "12.5 of 12.5 points"],
        [
            *("Participant 4712", "Bob O'Hara", "", "8.25", "12.5"),
            "8.25 of 12.5 points; 2.75 points were taken off because it came late",
        ],
    ]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", line[5]) for line in lines)
    with pytest.raises(CourseError, match="add --assignment"):
        sheet(graded, "MoodleWorksheet")


def test_brightspace_has_its_columns_and_its_end_of_line(graded):
    lines = sheet(graded, "Brightspace")
    assert lines[:4] == [
        ["OrgDefinedId", "Username", f"{FIRST} Points Grade", f"{SECOND} Points Grade", "End-of-Line Indicator"],
        ["#101", "#ada", "12.5", "12.5", "#"],
        ["#102", "#bob", "11", "8.25", "#"],
        ["", "#cy", "0", "0", "#"],
    ]
    assert lines[5] == ["", "#eli", "", "", "#"]


def test_the_plain_table_has_nbgraders_columns_and_numbers(graded, tmp_path):
    from nbgrader.plugins import CsvExportPlugin

    (graded.root / "roster.csv").unlink()
    with Gradebook(graded.url, COURSE_ID) as gradebook:
        CsvExportPlugin(to=str(tmp_path / "theirs.csv")).export(gradebook)
    ours = {(line[0], line[3]): line for line in sheet(graded, "Table")}
    with (tmp_path / "theirs.csv").open(newline="") as file:
        theirs = {(line[0], line[3]): line for line in csv.reader(file)}
    assert ours.pop((SECOND, "flo"))[7:10] == ["", "0.0", ""]  # one cell has no points yet: nbgrader would count 3
    assert theirs.pop((SECOND, "flo"))[7:10] == ["3.0", "0.0", "3.0"]
    assert ours == theirs


def test_report_sheets_and_gradebook_agree_to_the_point(graded):
    counted = {key: points for key, points in graded.counts().items() if key[0] != "flo"}
    assert counted["bob", SECOND] == 8.25
    with Gradebook(graded.url, COURSE_ID) as gradebook:
        found = grades.read(gradebook, {})
    printed = {line.split()[0]: line.split()[1:3] for line in report.table(found)[1:-1]}
    cells = {name: sheet(graded, name) for name in PLATFORMS}
    for (student, chapter), points in counted.items():
        place = CHAPTERS.index(chapter)
        text = f"{points:.10g}"
        assert printed[student][place] == text
        assert next(line for line in cells["Canvas"] if line[2] == student)[4 + place] == text
        assert next(line for line in cells["Brightspace"] if line[1] == f"#{student}")[2 + place] == text
        ids = {"ada": "101", "bob": "102"}
        assert next(line for line in cells["Moodle"] if line[1] == ids.get(student, student))[3 + place] == text
        plain = next(line for line in cells["Table"] if (line[0], line[3]) == (chapter, student))
        assert float(plain[9]) == pytest.approx(points)
    assert printed["flo"] == printed["eli"] == ["-", "-"]


@pytest.mark.parametrize("name", ["Canvas", "Moodle", "Brightspace", "Table"])
def test_a_class_of_40_comes_back_from_its_sheet(tmp_path, name):
    coded = CodedClass(tmp_path / "course", chapters=[SECOND])
    students = [f"s{number:02}" for number in range(40)]
    late = {(student, SECOND) for student in students[::7]}
    coded.enter({(student, SECOND): (number % 9, number % 5) for number, student in enumerate(students)}, late)
    who, points = {"Canvas": (2, 4), "Moodle": (1, 3), "Brightspace": (1, 2), "Table": (3, 9)}[name]
    lines = sheet(coded, name)[2 if name == "Canvas" else 1 :]
    read_back = {line[who].lstrip("#"): float(line[points]) for line in lines}
    assert read_back == {student: counted for (student, _), counted in coded.counts().items()}


ODD = {
    "f1": '=HYPERLINK("http://evil.example","x")',
    "f2": "+1+1",
    "f3": "-2+3",
    "f4": "@SUM(A1)",
    "f5": "  =1+1",
    "f6": "＝1+1",
    "u1": "Åsa Öström-Ñandú",
    "u2": "李小龍",
    "q1": 'O\'Brien, "Jo"; Mary',
    "n1": "two\r\nlines\tand a tab",
}


@pytest.mark.parametrize("name", PLATFORMS)
def test_odd_names_are_no_formulas_and_come_back(tmp_path, name):
    coded = CodedClass(tmp_path / "course", chapters=[SECOND])
    coded.enter({(student, SECOND): (1, 1) for student in [*ODD, "=cmd", "@home"]})
    with (coded.root / "roster.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["ID", "Name", "E-Mail"], *([id, name, "=2+2"] for id, name in ODD.items())])
    lines = sheet(coded, name)
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 13 + (name == "Canvas")
    for cell in (cell for line in lines for cell in line):
        assert not re.match(r"\s*[=+\-@＝＋－＠]", cell), cell
        assert cell.isprintable()
    text = "\n".join(",".join(line) for line in lines)
    if name in ("Canvas", "Moodle"):
        assert all(
            name in text for name in ("Åsa Öström-Ñandú", "李小龍", 'O\'Brien, "Jo"; Mary', "two lines and a tab")
        )
        assert "'=HYPERLINK" in text


def test_chapters_and_students_can_be_chosen_and_have_the_platforms_titles(graded):
    lines = sheet(graded, "Canvas", assignment=[SECOND], student=["bob"], titles={SECOND: "Homework 1 (4711)"})
    assert [line[-1] for line in lines] == ["Homework 1 (4711)", "12.5", "8.25"]
    with pytest.raises(CourseError, match="the gradebook knows no ch77"):
        sheet(graded, "Canvas", assignment=["ch77"])


def test_canvas_knows_people_by_the_number_in_their_uploads_name_and_by_no_number_of_another_kind(graded):
    (graded.root / "roster.csv").write_text("id;name;ID number\nada;Ada;A-7\n")
    graded.page("ada", FIRST, "canvas", "lovelaceada_LATE_501_9001_ch00_arithmetic-1.ipynb")
    assert sheet(graded, "Canvas")[2][:3] == ["Ada", "501", "ada"]
    (graded.root / "submitted" / "ada" / FIRST / ".uploaded.json").write_text("[" * 5000)
    assert sheet(graded, "Canvas")[2][:3] == ["Ada", "", "ada"]


@pytest.mark.parametrize(
    "text",
    [
        "id,name,platform_id,e-mail\nada,Ada Å,7,a@x\n",
        "\ufeffStudent ID;Full Name;Platform's ID;E-Mail address\nada;Ada Å;7;a@x\n",
        "Email\tCanvas ID\tusername\tGroup\tname\na@x\t7\tada\tB\tAda Å\n\n",
        "first name,last name,id,mail,platform_id\n,Ada Å,ada,a@x,7\n",
    ],
)
def test_a_roster_is_read_by_its_header(tmp_path, text):
    for encoding in ("utf-8",) if text.startswith("\ufeff") else ("utf-8", "cp1252", "utf-16"):
        path = tmp_path / "roster.csv"
        path.write_bytes(text.encode(encoding))
        assert roster.read(path).people == {"ada": roster.Person("ada", "Ada Å", "7", "a@x")}


def test_a_roster_without_ids_is_one_line(tmp_path):
    (tmp_path / "roster.csv").write_text("name,mail\nAda,a@x\n")
    with pytest.raises(CourseError, match=r"roster\.csv needs a first line"):
        roster.read(tmp_path / "roster.csv")
    assert roster.read(tmp_path / "none.csv").people == {}


def test_nbgrader_export_takes_the_configured_gradebook_or_the_one_that_is_named(tmp_path):
    """Plain commands: the table without a word, a platform's sheet with --exporter, another gradebook with --db."""
    course = tmp_path / "course"
    here, there = CodedClass(course, where="elsewhere.db"), CodedClass(course, where="other.db")
    here.enter({("ada", SECOND): (8, 0)}, late={("ada", SECOND)})
    there.enter({("zoe", SECOND): (4, 0)})
    (course / "nbgrader_config.py").write_text(
        f"""__file__ = {str(ROOT / "nbgrader_config.py")!r}
exec(compile(open(__file__).read(), __file__, "exec"), globals())
c.CourseDirectory.root = {str(course)!r}
c.CourseDirectory.db_url = {here.url!r}
"""
    )

    def export(*arguments):
        command = [sys.executable, "-m", "nbgrader", "export", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # nbgrader looks in the folder where it is called
        return subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)

    assert export().returncode == 0
    with (course / "grades.csv").open(newline="") as file:
        assert [(row["student_id"], row["score"]) for row in csv.DictReader(file) if row["assignment"] == SECOND] == [
            ("ada", "6.0")
        ]
    canvas = "--exporter=autograder.reporting.grade_sheets.Canvas"
    done = export(canvas, "--to=sheet.csv", f"--db={there.url}", f"--assignment={SECOND}")
    assert done.returncode == 0, done.stderr
    assert (course / "sheet.csv").read_text().splitlines()[2] == "zoe,,zoe,,4"
    refused = export(canvas, "--to=no/such/folder.csv")
    assert refused.returncode == 1
    assert "cannot write no/such/folder.csv" in refused.stderr
    assert "Traceback" not in refused.stderr
