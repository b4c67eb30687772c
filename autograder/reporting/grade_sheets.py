"""Grade sheets for learning platforms, such as `nbgrader export --exporter=autograder.reporting.grade_sheets.Canvas`.

Points are those that count, penalties for coming late taken off: switch a platform's own deduction off. Who has no
grade gets an empty cell. Names, e-mails and platforms' ids come from the gradebook and roster.csv.
"""

import csv
import datetime
import io
from pathlib import Path

from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import ExportPlugin
from traitlets import Dict

from autograder import CourseError
from autograder.collecting import roster
from autograder.collecting.roster import Person
from autograder.reporting import grades, uploads
from autograder.reporting.grades import Grades, number


class Sheet(ExportPlugin):
    """What all sheets share: whom and what they name, and how a file is written."""

    titles = Dict(
        help="The platform's own titles of chapters: {'ch01_quantization': 'Homework 1 (4711)'}",
    ).tag(config=True)

    def export(self, gradebook) -> None:
        """nbgrader's hook: what cannot be written is one line and exit code 1."""
        try:
            self.log.info("Wrote %s", self.write(gradebook))
        except CourseError as error:
            self.log.error("%s", error)
            raise SystemExit(1) from error

    def write(self, gradebook) -> Path:
        """Write the sheet to `to`, grades.csv unless it is given."""
        self.course = CourseDirectory(parent=self)
        everybody = grades.read(gradebook, roster.of(self.course.root).people)
        text = _csv(self.rows(everybody.only(self.student, self.assignment)))
        path = Path(self.to or "grades.csv")
        try:
            path.write_text(text, "utf-8", newline="")
        except OSError as error:
            raise CourseError(f"cannot write {path}: {error.strerror}") from error
        return path

    def rows(self, found: Grades) -> list[list[str]]:
        """The lines of the sheet, the titles first."""
        raise NotImplementedError

    def title(self, chapter: str) -> str:
        return harmless(self.titles.get(chapter, chapter))


class Table(Sheet):
    """nbgrader's own table, column by column, and readable whatever people are called; `nbgrader export` alone.

    As nbgrader has it, who handed nothing in has 0 points and no timestamp.
    """

    def rows(self, found: Grades) -> list[list[str]]:
        rows = [
            [
                *("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email"),
                *("raw_score", "late_submission_penalty", "score", "max_score"),
            ]
        ]
        for chapter in found.chapters:
            for person in found.people.values():
                work = found.works.get((person.id, chapter.name), grades.Work(None, 0.0, 0.0))
                last, first = _last_first(person.name)
                rows.append(
                    [
                        *(chapter.name, str(chapter.due or ""), str(work.handed_in or "")),
                        *map(harmless, (person.id, last, first, person.email)),
                        *(str("" if x is None else x) for x in (work.earned, work.penalty, work.points, chapter.most)),
                    ]
                )
        return rows


class Canvas(Sheet):
    """Canvas: Grades, Import.

    Columns as Canvas exports them: Student, ID, SIS Login ID, Section, one for each assignment, and a second line that
    begins with Points Possible. A person is found by ID, then by login, then by name; ID is Canvas' own number, from
    the roster or from the upload's name. A title without Canvas' number in brackets is looked for by name, and where
    there is none Canvas asks. (canvas-lms, lib/gradebook_importer.rb; Ohio State, "Import CSV File to Carmen Grades")
    """

    def rows(self, found: Grades) -> list[list[str]]:
        chapters = [chapter.name for chapter in found.chapters]
        rows = [
            ["Student", "ID", "SIS Login ID", "Section", *map(self.title, chapters)],
            ["    Points Possible", "", "", "", *(number(chapter.most) for chapter in found.chapters)],
        ]
        for person in found.people.values():
            points = [number(found.points(person.id, chapter)) for chapter in chapters]
            rows.append(
                [harmless(person.name or person.id), self._number(person, chapters), harmless(person.id), "", *points]
            )
        return rows

    def _number(self, person: Person, chapters: list[str]) -> str:
        """Canvas' number of the person. An id of another kind there could be somebody else's number."""
        noted = (uploads.canvas_user(self.course, person.id, chapter) for chapter in chapters)
        known = person.platform_id if person.platform_id.isdecimal() else ""
        return known or next(filter(None, noted), "")


class Moodle(Sheet):
    """Moodle's gradebook: Grades, Import, CSV file.

    The columns are mapped by hand: map Email address to Email address, or ID number to ID number, and each chapter to
    its grade item. Such grades can no longer be changed in the assignment. (docs.moodle.org, "Grade import")
    """

    def rows(self, found: Grades) -> list[list[str]]:
        chapters = [chapter.name for chapter in found.chapters]
        rows = [["Full name", "ID number", "Email address", *map(self.title, chapters)]]
        for person in found.people.values():
            known = (person.name or person.id, person.platform_id or person.id, person.email)
            points = [number(found.points(person.id, chapter)) for chapter in chapters]
            rows.append([*map(harmless, known), *points])
        return rows


class MoodleWorksheet(Sheet):
    """Moodle's assignment: Submissions, Upload grading worksheet; of one chapter.

    Moodle needs Identifier, Grade and Last modified (grade), and takes Feedback comments. Identifier is Participant and
    the number in the folder of the download, another one in each assignment; so who has no such upload, or no grade,
    has no line. A line counts as written now: a grade that is changed in Moodle later than that is kept. (moodle,
    mod/assign/feedback/offline/importgradeslib.php and locallib.php)
    """

    def rows(self, found: Grades) -> list[list[str]]:
        if len(found.chapters) != 1:
            raise CourseError("a grading worksheet is one chapter's: add --assignment=ch01_quantization")
        (chapter,) = found.chapters
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
        rows = [
            [
                *("Identifier", "Full name", "Email address", "Grade", "Maximum Grade"),
                *("Last modified (grade)", "Feedback comments"),
            ]
        ]
        for person in found.people.values():
            participant = uploads.moodle_participant(self.course, person.id, chapter.name)
            points = found.points(person.id, chapter.name)
            if participant and points is not None:
                penalty = found.works[person.id, chapter.name].penalty
                late = f"; {number(penalty)} points were taken off because it came late" if penalty else ""
                rows.append(
                    [
                        *(f"Participant {participant}", harmless(person.name or person.id), harmless(person.email)),
                        *(number(points), number(chapter.most), now),
                        f"{number(points)} of {number(chapter.most)} points{late}",
                    ]
                )
        return rows


class Brightspace(Sheet):
    """Brightspace: Grades, Enter Grades, Import.

    OrgDefinedId or Username, a column "<item> Points Grade" for each item, and End-of-Line Indicator, which is #. The #
    before ids is Brightspace's own: it is no part of them, and keeps a spreadsheet from changing them. (D2L, "Importing
    grades", community.d2l.com/brightspace/kb/articles/3538; University of Wisconsin, kb.wisc.edu/page.php?id=4330)
    """

    def rows(self, found: Grades) -> list[list[str]]:
        chapters = [chapter.name for chapter in found.chapters]
        titles = [f"{self.title(chapter)} Points Grade" for chapter in chapters]
        rows = [["OrgDefinedId", "Username", *titles, "End-of-Line Indicator"]]
        for person in found.people.values():
            known = person.platform_id and f"#{_one_line(person.platform_id)}"
            points = [number(found.points(person.id, chapter)) for chapter in chapters]
            rows.append([known, f"#{_one_line(person.id)}", *points, "#"])
        return rows


def harmless(text: str) -> str:
    """Text as a cell that no spreadsheet runs: what would be a formula gets an apostrophe before it (OWASP)."""
    text = _one_line(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")) else text


def _last_first(name: str) -> tuple[str, str]:
    """Of "Lovelace, Ada" or "Ada Lovelace"."""
    last, comma, first = name.partition(", ")
    return (last, first) if comma else (name.rpartition(" ")[2], name.rpartition(" ")[0])


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _csv(rows: list[list[str]]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()
