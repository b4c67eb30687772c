"""A gradebook made in code: whoever is in it, whatever they are called, without a notebook that runs."""

import datetime
import json
from pathlib import Path

import nbformat
from nbgrader.api import (
    Assignment,
    Grade,
    Gradebook,
    GradeCell,
    Notebook,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.preprocessors import AssignLatePenalties

from autograder import COURSE_ID
from autograder.grading.submission import MARK

DUE = datetime.datetime(2026, 11, 20, 12)
CHAPTERS = ("ch00_arithmetic", "ch01_quantization")


class AQuarterOff(LateSubmissionPlugin):
    """Takes a quarter of the points for any lateness."""

    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return score / 4


class CodedClass:
    """Each chapter has two cells, of 8 and 4.5 points."""

    def __init__(self, root: Path, chapters=CHAPTERS, where: str = "gradebook.db"):
        self.root = root
        self.url = f"sqlite:///{root / where}"
        root.mkdir(parents=True, exist_ok=True)
        with Gradebook(self.url, COURSE_ID) as gradebook:
            for name in chapters:
                assignment = Assignment(name=name, duedate=DUE, course_id=COURSE_ID)
                notebook = Notebook(name=name, assignment=assignment)
                for cell, most in (("test_1", 8), ("test_2", 4.5)):
                    GradeCell(name=cell, max_score=most, notebook=notebook, cell_type="code")
                gradebook.db.add(assignment)
            gradebook.db.commit()

    @property
    def course(self) -> CourseDirectory:
        return CourseDirectory(root=str(self.root), db_url=self.url, course_id=COURSE_ID)

    def enter(self, works: dict[tuple[str, str], tuple], late: set = frozenset()) -> None:
        """works: {(student, chapter): the points of the two cells}; late: those of them that come a day late."""
        with Gradebook(self.url, COURSE_ID) as gradebook, gradebook.db.no_autoflush:
            assignments = {assignment.name: assignment for assignment in gradebook.assignments}
            students = {student.id: student for student in gradebook.students}
            for (student, chapter), points in works.items():
                students.setdefault(student, Student(id=student))
                handed_in = DUE + datetime.timedelta(days=1 if (student, chapter) in late else -1)
                submission = SubmittedAssignment(
                    assignment=assignments[chapter], student=students[student], timestamp=handed_in
                )
                (notebook,) = assignments[chapter].notebooks
                submitted = SubmittedNotebook(notebook=notebook, assignment=submission)
                for cell, score in zip(sorted(notebook.grade_cells, key=lambda cell: cell.name), points, strict=True):
                    Grade(cell=cell, notebook=submitted, auto_score=score)
                gradebook.db.add(submission)
            gradebook.db.commit()
        for student, chapter in late:
            about = {"notebook": chapter, "assignment": chapter, "student": student, "db_url": self.url}
            step = AssignLatePenalties(plugin_class=AQuarterOff)
            step.preprocess(nbformat.v4.new_notebook(), {"nbgrader": about})

    def add_student(self, id: str, **about) -> None:
        with Gradebook(self.url, COURSE_ID) as gradebook:
            gradebook.add_student(id, **about)

    def counts(self) -> dict[tuple[str, str], float]:
        """{(student, chapter): points that count}, by nbgrader's own words."""
        with Gradebook(self.url, COURSE_ID) as gradebook:
            return {
                (submission.student.id, assignment.name): max(
                    0.0, submission.score - submission.late_submission_penalty
                )
                for assignment in gradebook.assignments
                for submission in assignment.submissions
            }

    def page(self, student: str, chapter: str, platform: str = "", upload: str = "") -> None:
        """A graded submission with its page. upload: under which name a platform had it."""
        for folder in ("submitted", "autograded", "feedback"):
            (self.root / folder / student / chapter).mkdir(parents=True, exist_ok=True)
        (self.root / "autograded" / student / chapter / MARK).write_text('{"digest": "1"}')
        page = self.root / "feedback" / student / chapter / f"{chapter}.html"
        page.write_text(f"<p>the page of {student}</p>", "utf-8")
        if platform:
            record = {"platform": platform, "name": upload, "time": "2026-11-20T10:15:00+00:00"}
            (self.root / "submitted" / student / chapter / ".uploaded.json").write_text(json.dumps(record), "utf-8")
