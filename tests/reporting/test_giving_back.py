"""Feedback pages go back in one zip for each platform, each to the person whose page it is, or to nobody."""

import shutil
import subprocess
import sys
import zipfile

import nbformat
import pytest
from coded_class import CHAPTERS, CodedClass
from nbgrader.api import Gradebook

from autograder import COURSE_ID
from autograder.authoring import chapters
from autograder.reporting import grade_sheets, grades, uploads
from autograder.reporting.giving_back import PLATFORMS, write_zip

CHAPTER = CHAPTERS[1]
#: How each platform writes person number n's upload in its download, and where their page goes in the zip.
FORMS = {
    "canvas": ("s{n:02}_LATE_{u}_{a}_answers-1.ipynb", "s{n:02}_LATE_{u}_{a}_answers-1.html"),
    "moodle": (
        "Åsa Ö{n}_{u}_assignsubmission_file_/answers.ipynb",
        f"Åsa Ö{{n}}_{{u}}_assignsubmission_file_/{CHAPTER}.html",
    ),
    "brightspace": (
        "{u}-{a} - Åsa Ö{n} - Nov 20, 2026 1015 AM/answers.ipynb",
        f"{{u}}-{{a}} - Åsa Ö{{n}} - Nov 20, 2026 1015 AM/{CHAPTER}.html",
    ),
}


def contents(path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_class_of_40_gets_its_pages_and_its_points_back(tmp_path, platform):
    coded = CodedClass(tmp_path / "course", [CHAPTER])
    upload, place = FORMS[platform]
    numbers = {f"s{n:02}": {"n": n, "u": 4000 + n, "a": 9000 + n} for n in range(40)}
    coded.enter({(student, CHAPTER): (n["n"] % 9, 1) for student, n in numbers.items()}, {("s07", CHAPTER)})
    for student, number in numbers.items():
        coded.page(student, CHAPTER, platform, upload.format(**number))
    made = write_zip(coded.course, CHAPTER, platform)
    assert made.path == coded.root / "feedback" / f"{CHAPTER}_{platform}.zip"
    assert (made.pages, made.unknown) == (40, [])
    assert contents(made.path) == {place.format(**number): f"<p>the page of {s}</p>" for s, number in numbers.items()}


def test_moodles_worksheet_and_zip_name_the_same_participants(tmp_path):
    coded = CodedClass(tmp_path / "course", [CHAPTER])
    coded.enter({(f"s{n}", CHAPTER): (n, 0) for n in range(3)})
    for n in range(3):
        coded.page(f"s{n}", CHAPTER, "moodle", f"Ada_{70 + n}_assignsubmission_file_{CHAPTER}.ipynb")  # without folders
    with Gradebook(coded.url, COURSE_ID) as gradebook:
        sheet = grade_sheets.MoodleWorksheet(assignment=[CHAPTER])
        sheet.course = coded.course
        rows = sheet.rows(grades.read(gradebook, {}))
    places = contents(write_zip(coded.course, CHAPTER, "moodle").path)
    assert [row[0] for row in rows[1:]] == [f"Participant {place.split('_')[1]}" for place in places]


@pytest.mark.parametrize(
    ("platform", "name"),
    [
        ("canvas", "ada_ch01_quantization.ipynb"),
        ("canvas", "ada_101_ch01_quantization.ipynb"),
        ("moodle", "Ada Lovelace/ch01_quantization.ipynb"),
        ("brightspace", "../../../etc/passwd"),
        ("brightspace", ""),
    ],
)
def test_a_name_that_is_none_of_the_platforms_is_not_guessed(platform, name):
    assert uploads.page_name(platform, name, CHAPTER) is None


@pytest.mark.parametrize(
    ("platform", "name", "place"),
    [
        ("canvas", "lovelaceada_101_5001_ch01.ipynb.txt", "lovelaceada_101_5001_ch01.html"),
        ("canvas", "submissions/anon_x7Gh2_5001_ch01.ipynb", "anon_x7Gh2_5001_ch01.html"),
        ("moodle", "All/Ada L_7_assignsubmission_file/my.ipynb", f"Ada L_7_assignsubmission_file_/{CHAPTER}.html"),
        (
            "moodle",
            "Ada L_7_assignsubmission_onlinetext_/t.html",
            f"Ada L_7_assignsubmission_onlinetext_/{CHAPTER}.html",
        ),
        (
            "brightspace",
            "12-34 - Ada - Nov 20, 2026 1015 AM - a.b.ipynb",
            "12-34 - Ada - Nov 20, 2026 1015 AM - a.b.html",
        ),
        ("brightspace", "all.zip/12-3 - Ada - Nov 2, 2026 1015 AM", f"12-3 - Ada - Nov 2, 2026 1015 AM/{CHAPTER}.html"),
        ("moodle", "..\\..\\Eve_7_assignsubmission_file_\\x.ipynb", f"Eve_7_assignsubmission_file_/{CHAPTER}.html"),
    ],
)
def test_other_forms_of_a_platforms_names(tmp_path, platform, name, place):
    coded = CodedClass(tmp_path / "course", [CHAPTER])
    coded.page("ada", CHAPTER, platform, name)
    assert list(contents(write_zip(coded.course, CHAPTER, platform).path)) == [place]


def test_a_class_of_40_goes_from_each_platforms_download_to_its_sheet_and_back(course_copy, nbgrader):
    """Collected by nbgrader zip_collect, graded in code, given back: everybody's page and points are their own."""
    right = (course_copy / "release" / CHAPTER / f"{CHAPTER}.ipynb").read_bytes()
    numbers = [{"n": n, "u": 4000 + n, "a": 9000 + n} for n in range(40)]
    for platform, (upload, place) in FORMS.items():
        for folder in ("downloaded", "submitted", "autograded", "feedback"):
            shutil.rmtree(course_copy / folder, ignore_errors=True)
        archive = course_copy / "downloaded" / CHAPTER / "archive" / "submissions.zip"
        archive.parent.mkdir(parents=True)
        with zipfile.ZipFile(archive, "w") as file:
            for number in numbers:
                file.writestr(upload.format(**number), right)
        nbgrader("zip_collect", CHAPTER)
        students = sorted(path.name for path in (course_copy / "submitted").iterdir() if path.is_dir())
        assert len(students) == 40, platform
        coded = CodedClass(course_copy, [CHAPTER], where=f"{platform}.db")
        works = {(student, CHAPTER): (number % 9, number / 10) for number, student in enumerate(students)}
        coded.enter(works, late={(students[3], CHAPTER)})
        for student in students:
            coded.page(student, CHAPTER)
        pages = contents(write_zip(coded.course, CHAPTER, platform).path)
        assert sorted(pages) == sorted(place.format(**number) for number in numbers)
        owners = {page.split()[-1].removesuffix("</p>"): name for name, page in pages.items()}
        assert set(owners) == {student.split()[-1] for student in students}
        assert read_back(coded, platform, pages) == pytest.approx(
            {student: points for (student, _), points in coded.counts().items()}
        ), platform


def read_back(coded, platform, pages) -> dict[str, float]:
    """{student: points} as the platform would find them in its sheet; Moodle by the number that the zip has, too."""
    sheets = {"canvas": grade_sheets.Canvas, "moodle": grade_sheets.MoodleWorksheet}
    made = sheets.get(platform, grade_sheets.Brightspace)(assignment=[CHAPTER])
    made.course = coded.course
    with Gradebook(coded.url, COURSE_ID) as gradebook:
        lines = made.rows(grades.read(gradebook, {}))[2 if platform == "canvas" else 1 :]
    if platform == "moodle":
        numbers = {name.split("_")[1]: page[len("<p>the page of ") : -len("</p>")] for name, page in pages.items()}
        return {numbers[line[0].split()[1]]: float(line[3]) for line in lines}
    who, points = (2, 4) if platform == "canvas" else (1, 2)
    return {line[who].lstrip("#"): float(line[points]) for line in lines}


def test_whoever_is_not_known_is_named_and_a_name_that_two_have_counts_for_neither(tmp_path):
    coded = CodedClass(tmp_path / "course", [CHAPTER])
    coded.page("ada", CHAPTER, "canvas", "ada_1_2_x.ipynb")
    coded.page("bob", CHAPTER)
    coded.page("cy", CHAPTER, "moodle", "Cy_3_assignsubmission_file_/x.ipynb")
    coded.page("eve", CHAPTER, "canvas", "dot_5_6_x.ipynb")  # a record that says dot's name
    coded.page("dot", CHAPTER, "canvas", "DOT_5_6_x.ipynb")
    for student, text in {"fay": "not json", "gil": "[]", "hal": '{"platform": "canvas", "name": 7}'}.items():
        coded.page(student, CHAPTER)
        (coded.root / "submitted" / student / CHAPTER / ".uploaded.json").write_text(text)
    coded.page("ida", CHAPTER, "canvas", "ida_7_8_x.ipynb")
    (coded.root / "autograded" / "ida" / CHAPTER / ".graded.json").unlink()  # not graded to its end: an old page
    made = write_zip(coded.course, CHAPTER, "canvas")
    assert list(contents(made.path)) == ["ada_1_2_x.html"]
    assert made.unknown == ["bob", "cy", "dot", "eve", "fay", "gil", "hal"]


def test_feedback_follows_the_grade_after_a_resubmission(small_course):
    """The page of the first hand-in, with its zero, does not stay; and a page never says less than nothing."""

    def blank(notebook):
        for cell in notebook.cells:
            if chapters.grade_id(cell).startswith("ex_"):
                cell.source = "pass"

    small_course.submit("ada", blank)
    small_course.autograde("ada")
    small_course.feedback()
    assert f"<strong>0 <small>of {small_course.most:g} points" in small_course.page("ada")
    small_course.submit("ada")
    small_course.autograde("ada")
    small_course.feedback()
    assert f"<strong>{small_course.most:g} <small>of {small_course.most:g} points" in small_course.page("ada")
    with Gradebook(small_course.url, COURSE_ID) as gradebook:
        notebook = gradebook.find_submission_notebook(CHAPTER, CHAPTER, "ada")
        notebook.late_submission_penalty = 2
        for grade in notebook.grades:
            grade.manual_score = 0
        gradebook.db.commit()
    small_course.feedback()
    assert f"<strong>0 <small>of {small_course.most:g} points" in small_course.page("ada")
    assert "2 points were taken off because it came late" in small_course.page("ada")


def test_the_command_writes_pages_anew_the_sheet_and_the_zip(course_copy):
    """One chapter to Moodle: ada's upload is known, bob's is not, and both have an old page."""
    for folder in ("submitted", "autograded", "feedback"):
        shutil.rmtree(course_copy / folder, ignore_errors=True)
    released = nbformat.read(course_copy / "release" / CHAPTER / f"{CHAPTER}.ipynb", as_version=4)
    coded = CodedClass(course_copy, [CHAPTER], where="elsewhere.db")
    with Gradebook(coded.url, COURSE_ID) as gradebook, gradebook.db.no_autoflush:
        gradebook.remove_assignment(CHAPTER)
        gradebook.add_assignment(CHAPTER)
        gradebook.add_notebook(CHAPTER, CHAPTER)
        for cell in released.cells:
            about = cell.metadata.get("nbgrader", {})
            if about.get("grade"):
                gradebook.add_grade_cell(
                    about["grade_id"], CHAPTER, CHAPTER, max_score=about["points"], cell_type=cell.cell_type
                )
            if about.get("solution"):
                gradebook.add_solution_cell(about["grade_id"], CHAPTER, CHAPTER)
        for student in ("ada", "bob"):
            gradebook.add_student(student)
            gradebook.add_submission(CHAPTER, student)
            notebook = gradebook.find_submission_notebook(CHAPTER, CHAPTER, student)
            for grade in notebook.grades:
                grade.auto_score = grade.max_score
        gradebook.db.commit()
    for student, upload in {"ada": "Ada_7_assignsubmission_file_/x.ipynb", "bob": ""}.items():
        coded.page(student, CHAPTER, "moodle" if upload else "", upload)
        (course_copy / "feedback" / student / CHAPTER / f"{CHAPTER}.html").write_text("old")
        nbformat.write(released, course_copy / "autograded" / student / CHAPTER / f"{CHAPTER}.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "giveback", "moodle", CHAPTER, "--db", coded.url],
        cwd=course_copy,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"grades: feedback/{CHAPTER}_moodle.csv; upload it in moodle: the assignment, Upload grading" in done.stdout
    assert f"pages:  feedback/{CHAPTER}_moodle.zip, 1 pages" in done.stdout
    assert "give these by hand\n  bob\n" in done.stdout
    (page,) = contents(course_copy / "feedback" / f"{CHAPTER}_moodle.zip").values()
    assert "24 <small>of 24 points" in page
    assert (
        (course_copy / "feedback" / f"{CHAPTER}_moodle.csv")
        .read_text()
        .splitlines()[1]
        .startswith("Participant 7,ada,")
    )
    for arguments, said in {
        ("myspace",): "giveback: TO=myspace: one of canvas, moodle, brightspace\n",
        ("canvas", CHAPTERS[0], "--db", coded.url): f"giveback: nobody has points in {CHAPTERS[0]}: nbgrader autograde "
        "CHAPTER, first\n",
    }.items():
        nobody = subprocess.run(
            [sys.executable, "-m", "autograder", "giveback", *arguments],
            cwd=course_copy,
            capture_output=True,
            text=True,
        )
        assert (nobody.returncode, nobody.stderr) == (2, said)
        assert not (course_copy / "feedback" / f"{CHAPTERS[0]}_canvas.csv").exists()
