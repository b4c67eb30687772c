"""One `nbgrader autograde`: every submission is mended, run and recorded, whatever becomes of the others.

nbgrader's own loop (0.9.6) stops the class at a locked gradebook, and enters a submission as 0 before it is known
whether it can be graded. So `BatchExporter`, which nbgrader makes once a command when it has listed the submissions,
puts this loop in its place. What a submission goes through stays nbgrader's: its steps, its options, its gradebook.
"""

import contextlib
import itertools
import logging
import pickle
import resource
import signal
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import MissingEntry
from nbgrader.apps import AutogradeApp
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import Execute
from sqlalchemy.exc import SAWarning
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm
from traitlets.config import Application

from autograder import NEEDS_A_LOOK
from autograder.authoring import chapters
from autograder.collecting.account import say, shown
from autograder.grading import gradebook, mend, submission
from autograder.grading.account import Account
from autograder.grading.execute import STOPPED, TwoKernels
from autograder.grading.faults import MachineFault
from autograder.grading.files import is_notebook
from autograder.grading.forks import PREFIX, warmth
from autograder.grading.outputs import error
from autograder.grading.record import STANDING, Recorder
from autograder.grading.room import sweep
from autograder.grading.run import Outcome, run
from autograder.grading.workers import Grading, Pool

#: Called with (chapter, the gradebook's address) when a command ends; each returns a line to print.
afterwards: list[Callable[[str, str], str]] = []
DESCRIPTORS = 100  # open files that one submission may take


class BatchExporter(NotebookExporter):
    """autograde's exporter_class: its converter grades with `Batch`."""

    def __init__(self, parent=None, **options):
        super().__init__(parent=parent, **options)
        if parent is not None:
            parent.convert_notebooks = Batch(parent).grade


class Batch:
    """The submissions that one converter was asked for."""

    def __init__(self, converter):
        self.converter, self.course, self.log = converter, converter.coursedir, converter.log
        self.chapter = self.course.assignment_id
        self.account = Account(self.chapter)
        released = self.course.format_path(self.course.release_directory, ".", self.chapter)
        self.release = Path(released, f"{self.chapter}.ipynb")
        self.step, self.grading = TwoKernels(parent=converter), Grading(parent=converter)
        steps = [step for step in converter.autograde_preprocessors if step not in (TwoKernels, Execute)]
        self.recorder = Recorder(converter, self.chapter, steps)
        self.execute = Execute(parent=converter).enabled and self.step.enabled
        self.wait = gradebook.Patience()
        self.by_hand = isinstance(Application.instance(), AutogradeApp)  # not the formgrader's server

    def grade(self) -> None:
        """Grade them, and account for everybody. Ends with NbGraderException where somebody could not be graded."""
        todo = self._todo()
        with self._ready_to_be_ended():
            try:
                with self.recorder.alone():
                    self._prepare()
                    with contextlib.closing(self.grading.pool(self.limits.walls)) as pool:
                        self._grade_all(todo, pool)
            except MachineFault as fault:
                self._nobody(todo, fault)
            finally:
                self._close()
        if self.account.not_graded:
            raise NbGraderException(f"{len(self.account.not_graded)} submissions could not be graded")
        if self.account.needs_a_look and self.by_hand:
            sys.exit(NEEDS_A_LOOK)  # nbgrader, for which all went well, has no say of this kind

    def _todo(self) -> dict[str, Path]:
        """{student: folder} of those that hold a notebook; the others are accounted for at once."""
        found = {}
        for name, path, folder in submission.folders(self.course, self.course.submitted_directory):
            if name.startswith(".") or not path.is_dir() or not _can_be_an_id(name):
                self.account.is_("not a student's", name)
            elif not folder.is_dir():
                self.account.is_("nothing handed in", name)
            elif not _holds_notebook(folder):
                self.account.is_("no notebook", name)
            else:
                found[name] = folder
                self.account.is_("not graded", name, "the command ended before")
                if set(name) & set("[]*?"):
                    self.account.remark("noticed", name, "nbgrader's other commands cannot see a name with [ ] * or ?")
        return found

    def _prepare(self) -> None:
        """What all submissions need; raises MachineFault, with what to do, where it is not there."""
        sweep()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        try:
            self.released = nbformat.read(self.release, as_version=4)
            url, course_id = self.course.db_url, self.course.course_id
            ids, tests = self.wait(lambda: gradebook.tests(self.chapter, url, course_id))
            self.standing = self.wait(lambda: gradebook.standing(url, course_id, self.chapter))
        except (OSError, MissingEntry) as why:
            raise MachineFault(
                f"{self.chapter} was not released here ({why}): make release CHAPTER={self.chapter}"
            ) from why
        except Exception as why:
            raise _as_fault(why) from why
        if sorted(ids) != _tests_in(self.released):
            raise MachineFault(f"release and gradebook hold different tests: make release CHAPTER={self.chapter}")
        self.limits = self.step.limits(self.execute and self.step.walls(), submission.hidden(self.course))
        settings = (self.execute, self.limits._replace(hidden=()), sorted(self.recorder.masters.items()))
        self.graded_by = submission.graded_by(self.release, tests, settings)

    def _grade_all(self, todo: dict[str, Path], pool: Pool) -> None:
        """Read and mend in order, run side by side, record in order: what is recorded is the same for any pool.

        An outcome whose turn has not come waits on the disk, so that memory is bounded by the pool, not by the class.
        """
        left, jobs = deque(todo.items()), deque()
        with self._progress(len(todo), pool) as progress, tempfile.TemporaryDirectory(prefix=PREFIX) as aside:
            while left or jobs:
                running = [job.future for job in jobs if not job.future.done()]
                progress(done=0, running=min(len(running), pool.workers))
                ahead = pool.workers + max(1, pool.workers // 4)  # so that none waits while an outcome is recorded
                if left and len(running) < ahead:
                    if job := self._safely(self._prepared, *left.popleft()):
                        self._safely(self._begin, job.student, job, pool)
                        jobs.append(job)
                    else:
                        progress(done=1)
                elif jobs[0].future.done():
                    job = jobs.popleft()
                    self._safely(self._finish, job.student, job)
                    progress(done=1)
                else:
                    wait(running, return_when=FIRST_COMPLETED)
                for job in itertools.islice(jobs, 1, None):
                    job.lay_aside(Path(aside))

    def _safely(self, action: Callable, student: str, *values):
        """What `action` returns; where it fails, the student is not graded, and it is None."""
        try:
            return action(student, *values)
        except Exception as why:  # whatever it is, it is this submission's, and no grade follows from it
            fault = _as_fault(why)
            self.log.error("%s: not graded, %s", shown(student), fault, exc_info=not isinstance(why, MachineFault))
            stands = self.recorder.place(student).is_dir() and submission.mark_of(self.recorder.place(student))
            self.account.is_(
                "not graded", student, f"{fault}" + "; the grade of an earlier hand-in stands" * bool(stands)
            )

    def _prepared(self, student: str, folder: Path) -> "Job | None":
        """The submission in the release's form; None where it was graded before."""
        handed_in = submission.read(student, folder, self.step.disk)
        digest = handed_in.digest(self.graded_by)
        mark = submission.mark_of(self.recorder.place(student))
        graded = (mark.get("digest"), mark.get(STANDING)) == (digest, self.standing.get(student, ""))
        if graded and not self.converter.force:
            self.account.is_("graded before", student)
            return None
        name, said = mend.choose(handed_in.notebooks, self.chapter, self.released)
        notes = {"noticed": [*handed_in.notes, *filter(None, [said])]}
        try:
            nb, notes["repaired"] = mend.mend(handed_in.notebooks[name], self.released, keep_outputs=not self.execute)
        except mend.Unreadable as why:
            nb, notes["unreadable"] = mend.nothing(self.released, str(why)), [str(why)]
        return Job(student, handed_in._replace(notebooks={}), digest, notes, self._sanitized(nb, handed_in))

    def _begin(self, student: str, job: "Job", pool: Pool) -> None:
        """Have it run, where there is something to run."""
        job.future, unreadable = Future(), job.notes.get("unreadable")
        try:
            if unreadable or not self.execute:
                job.future.set_result(Outcome(_not_run(job.notebook, unreadable), []))
                return
            if _descriptors_left() < DESCRIPTORS * pool.workers:
                raise MachineFault("too few open files are allowed: raise the limit with ulimit -n 4096")
            files = {**job.handed_in.files, **self.recorder.masters}
            job.future = pool.submit(run, job.notebook, files, self.limits)
        except Exception as why:
            job.future.set_exception(why)

    def _finish(self, student: str, job: "Job") -> None:
        """Record what became of it."""
        handed_in, outcome = job.take()
        nb, notes = outcome.notebook, {**job.notes, "stopped": outcome.stopped}
        nb.metadata = _with_notes(self.released.metadata, notes)
        by_hand = self.wait(lambda: self.recorder.record(handed_in, nb, {"digest": job.digest}))
        why = "; ".join(notes.get("unreadable", ()))
        self.account.is_("unreadable" if why else "graded", student, why)
        for kind in ("repaired", "stopped", "noticed"):
            if notes.get(kind):
                self.account.remark(kind, student, "; ".join(notes[kind][:20]))
        if by_hand:
            self.account.remark("points by hand", student, ", ".join(by_hand))

    def _sanitized(self, nb: NotebookNode, handed_in: submission.Submission) -> NotebookNode:
        """The notebook with the tests as the gradebook has them, hidden ones included; each graded cell once."""
        steps = self.converter.sanitize_preprocessors
        nb = self.wait(lambda: self.recorder.through(steps, nb, handed_in))
        if _tests_in(nb) != _tests_in(self.released):
            raise MachineFault("the mended notebook does not hold each test once: this is a fault of the grader")
        return nb

    def _nobody(self, todo: dict[str, Path], fault: MachineFault) -> None:
        """Those who are not graded yet cannot be, for one reason."""
        self.log.error("%s: %s", self.chapter, fault)
        for student in todo:
            if student in self.account.not_graded:
                self.account.is_("not graded", student, str(fault).splitlines()[0])

    def _close(self) -> None:
        warmth.rest()
        self.account.close(self.recorder.root)
        for after in afterwards if self.account.rows["graded"] or self.account.rows["unreadable"] else ():
            with contextlib.suppress(Exception):  # a picture must not spoil a graded batch
                say(after(self.chapter, self.course.db_url))

    @contextlib.contextmanager
    def _ready_to_be_ended(self) -> Iterator[None]:
        """SIGTERM and SIGHUP end the command as Ctrl-C does: kernels are closed, and the account is given."""
        replaced = {}
        if self.by_hand and threading.current_thread() is threading.main_thread():
            for name in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(name) is signal.SIG_DFL:  # nohup's wish is heeded
                    replaced[name] = signal.signal(name, _leave)
        try:
            yield
        finally:
            for name, before in replaced.items():
                signal.signal(name, before)

    @contextlib.contextmanager
    def _progress(self, total: int, pool: Pool) -> Iterator[Callable[..., None]]:
        """A bar where somebody looks on, with what is done, what runs and the time left; nbgrader's lines left out."""
        with contextlib.ExitStack() as stack:
            warnings.filterwarnings("ignore", category=SAWarning, module="nbgrader")
            if pool.dashboard:
                say(f"{self.chapter}: {pool.workers} workers; what they do: {pool.dashboard}")
            bar = tqdm(total=total, desc=f"grading {self.chapter}", unit=" submissions", disable=None)
            stack.callback(_unless_nobody_looks(bar.close))
            if self.by_hand:
                stack.enter_context(logging_redirect_tqdm([self.log]))
                for handler in self.log.handlers if Application.instance().log_level >= logging.INFO else ():
                    handler.setLevel(logging.WARNING)
                    handler.addFilter(lambda record: not str(record.msg).startswith("Attribute '%s' for cell"))

            def progress(done: int, running: int | None = None) -> None:
                if running is not None:
                    bar.set_postfix_str(f"{running} running", refresh=False)
                bar.update(done)

            yield _unless_nobody_looks(progress)


class Job:
    """A submission on its way: mended, and then with a future of its outcome."""

    future: Future

    def __init__(self, student: str, handed_in, digest: str, notes: dict[str, list[str]], notebook: NotebookNode):
        self.student, self.handed_in, self.digest, self.notes = student, handed_in, digest, notes
        self.notebook, self._path = notebook, None

    def lay_aside(self, folder: Path) -> None:
        """Keep what is large on the disk until its turn comes; where the disk is full, in memory."""
        if self._path or not self.future.done() or self.future.exception():
            return
        path = folder / str(id(self))
        with contextlib.suppress(OSError):
            path.write_bytes(pickle.dumps((self.handed_in, self.future.result())))
            self._path, self.future = path, Future()
            self.future.set_result(None)
            self.handed_in = self.notebook = None

    def take(self) -> tuple[submission.Submission, Outcome]:
        """What was handed in and the outcome; raises what became of it instead."""
        if self._path:
            data = self._path.read_bytes()
            self._path.unlink()
            return pickle.loads(data)
        return self.handed_in, self.future.result()


def _not_run(nb: NotebookNode, unreadable: list[str] | None) -> NotebookNode:
    """The notebook where nothing is run: nothing passes by silence."""
    for cell in filter(utils.is_grade, nb.cells):
        if unreadable:
            cell.outputs = [error("NothingToGrade", f"nothing could be graded: {unreadable[0]}")]
        elif cell.execution_count is None:
            cell.outputs = [error("NotRun", "this cell was not run before it was handed in")]
    return nb


def _tests_in(nb: NotebookNode) -> list[str]:
    """The ids of a notebook's graded cells, sorted, each as often as it is there."""
    return sorted(chapters.grade_id(cell) for cell in nb.cells if utils.is_grade(cell))


def _unless_nobody_looks(action: Callable[..., object]) -> Callable[..., None]:
    """`action`, or nothing where the terminal that it writes to is gone."""

    def done(*args, **named) -> None:
        with contextlib.suppress(OSError, ValueError):
            action(*args, **named)

    return done


def _leave(number: int, frame) -> None:
    raise SystemExit(128 + number)


def _as_fault(why: Exception) -> MachineFault:
    if isinstance(why, MachineFault):
        return why
    return MachineFault(f"{type(why).__name__}: {str(why).strip() or 'no more is known'}"[:500])


def _holds_notebook(folder: Path) -> bool:
    """Also true where it cannot be looked into: then grading it says why."""
    try:
        return any(is_notebook(inside.name) for inside in folder.iterdir())
    except OSError:
        return True


def _can_be_an_id(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name.isprintable()


def _descriptors_left() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError):
        return soft - len(list(Path("/proc/self/fd").iterdir()))
    return soft


def _with_notes(metadata, notes: dict[str, list[str]]) -> NotebookNode:
    """The release's metadata, and what the feedback page says of the notebook; nothing of what was submitted."""
    metadata = nbformat.from_dict(dict(metadata))
    if notes.get("unreadable"):
        metadata[mend.UNREADABLE] = notes["unreadable"][0]
    if notes.get("repaired"):
        metadata[mend.MENDED] = notes["repaired"]
    if notes.get("stopped"):
        metadata[STOPPED] = "; ".join(notes["stopped"])
    return metadata
