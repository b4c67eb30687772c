"""`make giveback TO=canvas`: the grade sheet, and for each chapter a zip of feedback pages, for a platform's upload."""

import os
import zipfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from nbgrader.coursedir import CourseDirectory

from autograder import NEEDS_A_LOOK, CourseError
from autograder.collecting.account import say, shown
from autograder.grading import record
from autograder.reporting import grade_sheets, grades, report, uploads


class Platform(NamedTuple):
    """sheet, where: the grade sheet, and where people upload it. pages: where they upload the zip."""

    sheet: type[grade_sheets.Sheet]
    where: str
    pages: str


PLATFORMS = {
    "canvas": Platform(grade_sheets.Canvas, "Grades, Import", "the assignment, Re-Upload Submissions"),
    "moodle": Platform(
        grade_sheets.Moodle, "Grades, Import, CSV file", "the assignment, Upload multiple feedback files in a zip"
    ),
    "brightspace": Platform(
        grade_sheets.Brightspace, "Grades, Enter Grades, Import", "the assignment's submissions, Add Feedback Files"
    ),
}
WORKSHEET = Platform(
    grade_sheets.MoodleWorksheet, "the assignment, Upload grading worksheet", PLATFORMS["moodle"].pages
)


class Zip(NamedTuple):
    """What became of a chapter's pages. unknown: whose upload has no name by which the platform would find them."""

    path: Path
    pages: int
    unknown: list[str]


def give(platform: str, only: list[str], url: str | None = None) -> None:
    """Write pages anew, so that they follow the grade, then the sheet and the zips into feedback/.

    only: chapters; none: all. Exit code 3 where somebody's page has to be given by hand.
    """
    if platform not in PLATFORMS:
        raise CourseError(f"TO={platform or '...'}: one of {', '.join(PLATFORMS)}")
    nbgrader = grades.configured(url)
    course = nbgrader.coursedir
    with grades.gradebook(course) as gradebook:
        table = grades.read(gradebook, {})
        known = [chapter.name for chapter in table.chapters]
        graded = {chapter for (_, chapter), work in table.works.items() if work.points is not None}
        without = [chapter for chapter in only if chapter not in graded]
        if without or not graded:
            raise CourseError(
                f"nobody has points in {(without or ['any chapter'])[0]}: nbgrader autograde CHAPTER, first"
            )
        to = PLATFORMS[platform] if platform != "moodle" or len(only) != 1 else WORKSHEET
        sheet = Path(course.root, course.feedback_directory, f"{'_'.join(only[:1]) or 'all'}_{platform}.csv")
        sheet.parent.mkdir(parents=True, exist_ok=True)
        to.sheet(config=nbgrader.config, to=str(sheet), assignment=only).write(gradebook)
    say(f"grades: {_place(sheet, course)}; upload it in {platform}: {to.where}")
    unknown = False
    for chapter in only or known:
        course.assignment_id = chapter
        if not _graded(course):
            continue
        report.write_pages(chapter, nbgrader)
        made = write_zip(course, chapter, platform)
        say(f"pages:  {_place(made.path, course)}, {made.pages} pages; upload it in {platform}: {to.pages}")
        if made.unknown:
            unknown = True
            say(f"  not in it, for it is not noted under which name {platform} has their upload: give these by hand")
            say("  " + ", ".join(map(shown, made.unknown)))
    if unknown:
        raise SystemExit(NEEDS_A_LOOK)


def write_zip(course: CourseDirectory, chapter: str, platform: str) -> Zip:
    """Put the pages of everybody who is graded into feedback/CHAPTER_PLATFORM.zip, all of it or nothing."""
    course.assignment_id = chapter
    pages, names = {}, {}
    for student in _graded(course):
        page = Path(course.format_path(course.feedback_directory, student, chapter), f"{chapter}.html")
        if page.is_file():
            upload = uploads.name(course, student, chapter, platform)
            pages[student] = page
            names[student] = uploads.page_name(platform, upload, chapter) if upload else None
    taken = Counter(name.casefold() for name in names.values() if name)
    found = {student: name for student, name in names.items() if name and taken[name.casefold()] == 1}
    path = Path(course.root, course.feedback_directory, f"{chapter}_{platform}.zip")
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for student, name in found.items():
                archive.writestr(name, pages[student].read_bytes())
        os.replace(partial, path)
    except OSError as error:
        raise CourseError(f"cannot write {path}: {error.strerror}") from error
    return Zip(path, len(found), sorted(set(names) - set(found)))


def _graded(course: CourseDirectory) -> list[str]:
    return list(record.graded(course)[0])


def _place(path: Path, course: CourseDirectory) -> Path:
    return path.relative_to(course.root)
