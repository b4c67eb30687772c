"""record: a graded notebook goes into autograded/ and the gradebook, all of it or nothing.

The files are written aside first; the former folder leaves its place; then the gradebook is written; then the new
folder takes the place, in one step, with the mark in it that says it is done. Whatever ends in between, the next run
finds no mark there, and grades again. So it does where the gradebook holds something else than the mark says.
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
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import rmtree

from autograder.grading import gradebook
from autograder.grading import steps as nbgraders
from autograder.grading.faults import MachineFault
from autograder.grading.submission import MARK, Submission, folders, mark_of

STANDING = "entered"  # in a mark: what the gradebook then held, see gradebook.standing
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
        """mark: what the mark is to hold besides. Returns the cells with a person's points that are to be looked at."""
        url, course_id = self.course.db_url, self.course.course_id
        who = url, course_id, self.chapter, submission.student
        nb = self.through(self._before, nb, submission)
        aside = self._written(submission, nb)
        try:
            with self._all_or_nothing(aside, *who):
                gradebook.enter(*who, submission.handed_in, self.converter.create_student)
                self.through(self._writers, nb, submission)
                found = gradebook.doubtful(*who)
                mark |= {STANDING: gradebook.standing(*who)[submission.student]}
                (aside / MARK).write_text(json.dumps(mark), "utf-8")
                self._put_in_place(aside, submission.student)
        finally:
            with contextlib.suppress(OSError):
                rmtree(str(aside))
        return found

    @contextlib.contextmanager
    def _all_or_nothing(self, aside: Path, *who: str) -> Iterator[None]:
        """Until `aside` is in its place, whatever ends what stands inside: gradebook and folder are what they were."""
        place, old = self.place(who[-1]), _old(aside)
        if old.exists() and place.exists():
            rmtree(str(old))
        elif old.exists():
            os.replace(old, place)  # a command was killed
        before = gradebook.taken(*who)
        try:
            if place.exists():
                os.replace(place, old)
            yield
        except BaseException:
            if aside.exists():
                try:
                    with contextlib.suppress(Exception):  # then its mark is not what the gradebook holds
                        gradebook.put_back(before, *who)
                finally:
                    if old.exists():
                        os.replace(old, place)
            raise

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
        place = self.place(student)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(aside, place)
        with contextlib.suppress(OSError):
            if _old(aside).exists():
                rmtree(str(_old(aside)))
            self.converter.set_permissions(self.chapter, student)


def _old(aside: Path) -> Path:
    """Where the former folder waits meanwhile."""
    return aside.with_name(f"{aside.name}.old")


def graded(course: CourseDirectory) -> tuple[dict[str, Path], list[str]]:
    """({student: folder} of those asked for that were graded to their end, those of whom the gradebook says otherwise).

    As after an older copy of the gradebook was put back. course: names the chapter.
    """
    places = {name: folder for name, _, folder in folders(course, course.autograded_directory)}
    marks = {name: mark for name, folder in places.items() if (mark := mark_of(folder))}
    standing = gradebook.standing(course.db_url, course.course_id, course.assignment_id) if marks else {}
    others = [name for name, mark in marks.items() if STANDING in mark and mark[STANDING] != standing.get(name)]
    return {name: places[name] for name in marks if name not in others}, others
