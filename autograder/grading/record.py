"""record: a graded notebook goes into autograded/ and the gradebook, all of it or nothing.

The files are written aside first; then the gradebook; then the folder is put into its place in one step, with the mark
in it that says it is done. Whatever ends in between, the next run finds no mark of this digest, and grades again.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.utils import rmtree

from autograder.grading import gradebook
from autograder.grading import steps as nbgraders
from autograder.grading.faults import MachineFault
from autograder.grading.submission import MARK, Submission

ASIDE = ".being-graded"  # in autograded/: nbgrader's patterns pass over it


class Recorder:
    """Records submissions to one chapter for nbgrader's converter. steps: its preprocessors after the run."""

    def __init__(self, converter, chapter: str, steps: list):
        self.converter, self.chapter, self.course = converter, chapter, converter.coursedir
        split = next((i for i, step in enumerate(steps) if step in gradebook.WRITERS), len(steps))
        self._before, self._writers = steps[:split], steps[split:]
        self.root = Path(self.course.root, self.course.autograded_directory)

    def place(self, student: str) -> Path:
        return Path(self.course.format_path(self.course.autograded_directory, student, self.chapter))

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else records meanwhile; raises MachineFault where somebody does. The lock ends with its process."""
        try:
            (self.root / ASIDE).mkdir(parents=True, exist_ok=True)
            lock = (self.root / ASIDE / "lock").open("w")
        except OSError as why:
            raise MachineFault(f"nothing can be written into {self.root}: {why.strerror}") from why
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as why:
                raise MachineFault("another nbgrader autograde is at work in this course: wait for its end") from why
            yield

    def record(self, submission: Submission, nb: NotebookNode, mark: dict) -> list[str]:
        """mark: what the mark is to hold. Returns the cells with a person's points that should be looked at again."""
        url, course_id = self.course.db_url, self.course.course_id
        who = url, course_id, self.chapter, submission.student
        nb = self.through(self._before, nb, submission)
        aside = self._written(submission, nb)
        try:
            with gradebook.all_or_nothing(*who):
                gradebook.enter(*who, submission.handed_in, self.converter.create_student)
                self.through(self._writers, nb, submission)
                found = gradebook.doubtful(*who)
                (aside / MARK).write_text(json.dumps(mark), "utf-8")
                self._put_in_place(aside, submission.student)
        finally:
            with contextlib.suppress(OSError):
                rmtree(str(aside))
        return found

    def through(self, steps: list, nb: NotebookNode, submission: Submission) -> NotebookNode:
        """The notebook after nbgrader's steps."""
        resources = {
            "unique_key": self.chapter,
            "metadata": {"name": self.chapter, "path": str(submission.folder)},
            "nbgrader": {
                "student": submission.student,
                "assignment": self.chapter,
                "notebook": self.chapter,
                "db_url": self.course.db_url,
            },
            nbgraders.OPENED: self._opened,
            nbgraders.RELEASED: self.released,
        }
        for step in steps:
            nb, resources = nbgraders.SAME.get(step, step)(parent=self.converter)(nb, resources)
        return nb

    @cached_property
    def released(self) -> nbgraders.Released:
        with self._opened() as book:
            return nbgraders.Released(book, self.chapter)

    def _opened(self):
        return gradebook.opened(self.course.db_url, self.course.course_id)

    @cached_property
    def masters(self) -> dict[str, bytes]:
        """The files beside the chapter's source: they stand in for those of the same name that were handed in."""
        source = Path(self.course.format_path(self.course.source_directory, ".", self.chapter))
        left_out = [*self.course.ignore, "*.ipynb"]
        keep = set(self.converter.exclude_overwriting.get(self.chapter, []))
        found = {str(path.relative_to(source)): path for path in sorted(source.rglob("*")) if path.is_file()}
        return {
            name: path.read_bytes()
            for name, path in found.items()
            if name not in keep and not any(fnmatch(part, one) for part in Path(name).parts for one in left_out)
        }

    def _written(self, submission: Submission, nb: NotebookNode) -> Path:
        """A folder with all that autograded/STUDENT/CHAPTER is to hold, but for the mark."""
        aside = self.root / ASIDE / submission.student / self.chapter
        if aside.exists():
            rmtree(str(aside))
        aside.mkdir(parents=True)
        for name, data in {**submission.files, **self.masters}.items():
            path = aside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        text, _ = self._exporter.from_notebook_node(nb)
        (aside / f"{self.chapter}.ipynb").write_text(text, "utf-8")
        return aside

    @cached_property
    def _exporter(self) -> NotebookExporter:
        config = self.converter.config.copy()
        config.Exporter.default_preprocessors = []
        return NotebookExporter(config=config)

    def _put_in_place(self, aside: Path, student: str) -> None:
        place, old = self.place(student), aside.with_name(f"{self.chapter}.old")
        place.parent.mkdir(parents=True, exist_ok=True)
        if old.exists():
            rmtree(str(old))
        if place.exists():
            os.replace(place, old)
        os.replace(aside, place)
        with contextlib.suppress(OSError):
            if old.exists():
                rmtree(str(old))
            self.converter.set_permissions(self.chapter, student)
