"""One run of `nbgrader autograde`: odd files put right, a progress bar, and a closing summary of who needs a look.

`begin` is nbgrader's hook before each submission. The summary is printed when the command ends; its exit code is then 3
where a submission was unreadable or stopped, though everything was graded.
"""

import atexit
import contextlib
import logging
import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook
from nbgrader.apps import AutogradeApp
from sqlalchemy.exc import SAWarning
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm
from traitlets.config import Application
from traitlets.log import get_logger

from autograder import COURSE_ID, GRADEBOOK, NEEDS_A_LOOK, ROOT
from autograder.authoring import chapters
from autograder.grading.execute import STOPPED
from autograder.grading.mend import MENDED, UNREADABLE, Unreadable, read

_run: "Run | None" = None


def begin(assignment: str, student: str, notebooks: list[str]) -> None:
    """nbgrader's pre_convert_hook: make the submission's folder fit to be read, and move the progress bar on.

    student: an id, or "*". notebooks: the paths of the submission; a renamed one is replaced in the list.
    """
    global _run
    folder = Path(notebooks[0]).parent
    if isinstance(Application.instance(), AutogradeApp):  # not where the formgrader grades one submission
        if _run is None:
            _run = Run(assignment, student)
        _run.next(folder.parent.name)
    _drop_links(folder)
    right, was = _named_right(folder, assignment)
    notebooks[:] = [str(right)]
    if was:
        get_logger().warning("%s: renamed, it was %s", right, was)
        if _run:
            _run.renamed[folder.parent.name] = f"the file was named {was}"


def _drop_links(folder: Path) -> None:
    """Remove what is neither file nor folder: a link would lend the learner's code a file of the instructor's."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            path.unlink()
            get_logger().warning("%s: removed, it was a link or a device", path)


def _named_right(folder: Path, assignment: str) -> tuple[Path, str]:
    """The chapter's notebook in `folder`, and what it was called before if it had another name."""
    path = folder / f"{assignment}.ipynb"
    if path.is_file():
        return path, ""
    others = sorted(folder.glob("*.ipynb"), key=lambda other: _holds(other, assignment))
    if not others:
        path.write_text("", "utf-8")  # it was a link: an empty file gets a note
        return path, ""
    shutil.copy(others[-1], path)
    return path, others[-1].name


def _holds(path: Path, assignment: str) -> int:
    """How many of the chapter's graded cells the notebook holds."""
    try:
        cells = read(path.read_bytes()).cells
    except (OSError, Unreadable):
        return -1
    released = nbformat.read(chapters.release_path(assignment), as_version=4)
    ours = {chapters.grade_id(cell) for cell in released.cells} - {"", "setup"}
    return sum(chapters.grade_id(nbformat.from_dict(cell)) in ours for cell in cells if "metadata" in cell)


class Run:
    """The submissions of one command, in their order."""

    def __init__(self, chapter: str, student: str):
        self.chapter, self.whole_class, self.started = chapter, student == "*", time.monotonic()
        self.begun: list[str] = []
        self.renamed: dict[str, str] = {}
        self.all = sorted({path.parent.parent.name for path in ROOT.glob(f"submitted/{student}/{chapter}/*.ipynb")})
        self._bar = tqdm(total=len(self.all), desc=f"grading {chapter}", unit=" submissions", disable=None)
        self._redirected = contextlib.ExitStack()
        self._redirected.enter_context(logging_redirect_tqdm([get_logger()]))
        if Application.instance().log_level >= logging.INFO:
            for handler in get_logger().handlers:  # what is usual needs no line of its own
                handler.setLevel(logging.WARNING)
                handler.addFilter(lambda record: not str(record.msg).startswith("Attribute '%s' for cell"))
        warnings.filterwarnings("ignore", category=SAWarning, module="nbgrader")
        atexit.register(self.end)

    def next(self, student: str) -> None:
        self.begun.append(student)
        if student in self.all:
            self._bar.update(self.all.index(student) - self._bar.n)

    def end(self) -> None:
        """Print the table, draw the class chart, and make the exit code say whether somebody needs a look."""
        self._bar.update(len(self.all) - self._bar.n)
        self._bar.close()
        self._redirected.close()
        outcomes = self.outcomes()
        seconds = time.monotonic() - self.started
        many = len(self.begun)
        print(f"\n{self.chapter}: {many} submissions in {seconds:.0f} s, {seconds / many:.1f} s each")
        for name, found in outcomes.items():
            print(f"  {name:<11}{len(found):4}")
            for student, why in found.items() if name != "graded" else ():
                print(f"      {student}: {why}")
        if without := self._without_a_notebook():
            print(f"  no notebook{len(without):4}\n      {', '.join(without)}")
        with contextlib.suppress(Exception):  # a picture must not spoil a graded batch
            from autograder.reporting import chart

            print(f"class chart: {chart.draw(self.chapter).relative_to(ROOT)}")
        if (outcomes["unreadable"] or outcomes["stopped"] or without) and not outcomes["failed"]:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(NEEDS_A_LOOK)  # nbgrader, for which all went well, has no say of this kind

    def outcomes(self) -> dict[str, dict[str, str]]:
        """{"graded", "repaired", "unreadable", "stopped" or "failed": {student: why}}; a student may be in several."""
        found: dict[str, dict[str, str]] = {
            "graded": {}, "repaired": dict(self.renamed), "unreadable": {}, "stopped": {}, "failed": {}
        }  # fmt: skip
        for student in self.begun:
            try:
                path = ROOT / "autograded" / student / self.chapter / f"{self.chapter}.ipynb"
                metadata = nbformat.read(path, as_version=4).metadata
            except OSError:
                found["failed"][student] = "see nbgrader's message"
                continue
            if UNREADABLE not in metadata:
                found["graded"][student] = ""
            for name, key in (("repaired", MENDED), ("unreadable", UNREADABLE), ("stopped", STOPPED)):
                if key in metadata:
                    why = [metadata[key]] if isinstance(metadata[key], str) else metadata[key]
                    found[name][student] = "; ".join([*filter(None, [found[name].get(student)]), *why])
        return found

    def _without_a_notebook(self) -> list[str]:
        """Students whose folder is there and holds no notebook: nbgrader passes over them."""
        folders = ROOT.glob(f"submitted/*/{self.chapter}") if self.whole_class else ()
        return sorted(folder.parent.name for folder in folders if not any(folder.glob("*.ipynb")))


def grades(chapter: str) -> Iterator[tuple[str, dict[str, float]]]:
    """(student, {grade_id of a test cell: points}) of everyone graded in the chapter."""
    with Gradebook(f"sqlite:///{GRADEBOOK}", COURSE_ID) as gradebook:
        for submission in gradebook.assignment_submissions(chapter):
            yield (
                submission.student.id,
                {grade.name: grade.score for notebook in submission.notebooks for grade in notebook.grades},
            )
