"""A course of one small chapter in a folder of its own, graded in this process by nbgrader's converter.

It has two short exercises, needs no torch, and its kernels start in a second, so that many faults can be tried.
"""

from pathlib import Path

import nbformat
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from traitlets.config import PyFileConfigLoader

from autograder import COURSE_ID, ROOT
from autograder.authoring import chapters
from autograder.grading import gradebook

CHAPTER = "ch01_quantization"
CONFIG = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()


class SmallCourse:
    """ada, bob and cy have each answered both exercises right."""

    students = ("ada", "bob", "cy")

    def __init__(self, root: Path):
        self.more: dict[str, dict] = {}  # {class: {trait: value}} of nbgrader's configuration
        self.root = root
        (root / "source" / CHAPTER).mkdir(parents=True)
        source = nbformat.read(chapters.source_path(CHAPTER), as_version=4)
        exercises = {exercise.number: exercise for exercise in chapters.exercises(source)}
        kept = [exercises["1.1"], exercises["1.4"]]
        self.answers = {f"ex_{exercise.id}": exercise.answer.source for exercise in kept}
        self.most = sum(exercise.points for exercise in kept)
        cells = [nbformat.v4.new_markdown_cell("# Chapter 1")]
        for exercise in kept:
            cells += [nbformat.v4.new_markdown_cell(exercise.text), exercise.answer, *exercise.tests]
        for index, cell in enumerate(cells):
            cell.id = f"cell-{index}"
        self.write_source(nbformat.v4.new_notebook(cells=cells, metadata=source.metadata))
        self.release()
        for student in self.students:
            self.submit(student)

    def write_source(self, notebook) -> None:
        nbformat.write(notebook, self.root / "source" / CHAPTER / f"{CHAPTER}.ipynb")

    def source(self):
        return nbformat.read(self.root / "source" / CHAPTER / f"{CHAPTER}.ipynb", as_version=4)

    def released(self):
        return nbformat.read(self.root / "release" / CHAPTER / f"{CHAPTER}.ipynb", as_version=4)

    def submission(self):
        """A right one."""
        notebook = self.released()
        for cell in notebook.cells:
            cell.source = self.answers.get(chapters.grade_id(cell), cell.source)
        return notebook

    def submit(self, student: str, change=None) -> Path:
        """change: what to do with a right notebook before it is handed in."""
        notebook = self.submission()
        if change:
            change(notebook)
        path = self.root / "submitted" / student / CHAPTER / f"{CHAPTER}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path

    def _run(self, converter, student: str, **traits):
        config = CONFIG.copy()
        config.CourseDirectory.update(root=str(self.root), course_id=COURSE_ID, db_url=self.url)
        for name, traits_of in self.more.items():
            config[name].update(traits_of)
        config.TwoKernels.update({"preload": "json", "cell_timeout": 20, "total_timeout": 60} | traits)
        course = CourseDirectory(config=config)
        course.assignment_id, course.student_id = CHAPTER, student
        made = converter(coursedir=course, config=config)
        made.force = made.force or converter is GenerateAssignment
        made.start()

    @property
    def url(self) -> str:
        return f"sqlite:///{self.root}/gradebook.db"

    def release(self) -> None:
        self._run(GenerateAssignment, ".")

    def autograde(self, student: str = "*", **traits) -> str:
        """Grade, and return the account."""
        account = self.root / "autograded" / f"{CHAPTER}_account.txt"
        account.unlink(missing_ok=True)
        try:
            self._run(Autograde, student, **traits)
        except NbGraderException as error:
            assert "could not be graded" in str(error)
        return account.read_text("utf-8") if account.exists() else ""

    def feedback(self) -> None:
        self._run(GenerateFeedback, "*")

    def write_config(self, more: str = "") -> None:
        """Let plain nbgrader commands work in the course's folder. more: lines of the configuration."""
        (self.root / "nbgrader_config.py").write_text(
            f"""__file__ = {str(ROOT / "nbgrader_config.py")!r}
exec(compile(open(__file__).read(), __file__, "exec"), globals())
c.CourseDirectory.root = {str(self.root)!r}
c.TwoKernels.preload = "json"
{more}
"""
        )

    def scores(self) -> dict[str, float]:
        """{student: points} of everybody who stands in the gradebook."""
        return {student: sum(filter(None, points.values())) for student, points in gradebook.grades(CHAPTER, self.url)}

    def page(self, student: str) -> str:
        return (self.root / "feedback" / student / CHAPTER / f"{CHAPTER}.html").read_text("utf-8")


def listed(account: str, state: str) -> set[str]:
    """The names that stand under a heading of the account."""
    names, inside = set(), False
    for line in account.splitlines():
        if line.startswith("  ") and not line.startswith("   "):
            inside = line[2:20].strip() == state
        elif inside and line.startswith("      "):
            names |= {name.strip(" ,") for name in line.split(": ")[0].split(", ")}
    return {name for name in names if name}
