"""`make insight`: for each exercise how many solved it, and which misconception the wrong answers behave like.

The answer bank knows misconceptions by name. Each wrong answer of the class (class_answers) is run with its tests,
behind walls, as the bank's are (behaviour), and is counted under the name of those that it behaves like; others are
grouped by what they return (likeness). The page (insight_html) shows of hidden tests what a feedback page shows: the
message, never the source.
"""

import contextlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import as_completed
from functools import partial
from pathlib import Path

import nbformat
from nbgrader.coursedir import CourseDirectory
from tqdm import tqdm

from autograder import ROOT, CourseError
from autograder.authoring import bank, build, chapters
from autograder.grading import submission
from autograder.grading.command import ready
from autograder.grading.execute import TwoKernels
from autograder.grading.faults import MachineFault
from autograder.grading.files import gather
from autograder.grading.forks import warmth
from autograder.grading.limits import Limits
from autograder.grading.workers import Grading
from autograder.reporting import insight_html
from autograder.reporting.behaviour import Behaviour, Heard, Kept, alone, text_of, within
from autograder.reporting.class_answers import Answered, Group, Seen, graded, imported
from autograder.reporting.likeness import fail_alike, name_of

KEPT = ROOT / ".make" / "insight"
WIDE = 100  # characters of a line for the terminal


def write(only: list[str], asked: bool) -> None:
    """Write the page of each chapter in `only` that was graded. asked: name those that were not."""
    ready(only)
    api = build.nbgraders_api()
    course, step = api.coursedir, TwoKernels(config=api.config)
    try:
        limits = step.limits(step.walls(), submission.hidden(course))
    except MachineFault as fault:
        raise CourseError(str(fault)) from fault
    workers = Grading(config=api.config, scheduler="")
    written = 0
    for chapter in only:
        course.assignment_id = chapter
        seen = look(course, limits, KEPT / chapter, workers)
        if not seen:
            if asked:
                raise CourseError(f"nobody was graded in {chapter} yet: run nbgrader autograde {chapter}")
            continue
        print(f"{chapter}\n{told(seen)}")
        print(f"wrote {os.path.relpath(insight_html.write(course, seen), ROOT)}")
        written += 1
    if not written:
        raise CourseError("nobody was graded yet: run nbgrader autograde and the name of a chapter")


def look(course: CourseDirectory, limits: Limits, kept: Path, workers: Grading) -> list[Seen]:
    """The exercises of the chapter that `course` names, with the class's answers; none where nobody was graded.

    kept: the folder of what was found out before.
    """
    chapter = course.assignment_id
    source, released = (
        nbformat.read(Path(course.format_path(folder, ".", chapter), f"{chapter}.ipynb"), as_version=4)
        for folder in (course.source_directory, course.release_directory)
    )
    exercises = chapters.exercises(source)
    seen = graded(course, exercises, released)
    answers = [answer for answer in bank.answers(chapter) if not answer.right or answer.earns is not None]
    context = imported(released)
    run = _Runs(limits, Kept(kept, limits), context, workers)
    for each in seen:
        if each.wrong:
            for answer in answers:
                if answer.exercise == each.exercise.number:
                    run.want(each.exercise, answer.source)
            for answer in each.wrong:
                run.want(each.exercise, answer.source, answer.imports)
    run.all(f"insight {chapter}")
    for each in seen:
        for answer in each.wrong:
            run.want_within(each.exercise, answer, f"{chapter}.ipynb")
    run.all(f"insight {chapter}, whole notebooks")
    for each in seen:
        known = {a.name: run.of(each.exercise, a.source) for a in answers if a.exercise == each.exercise.number}
        each.groups = _groups(each, {name: found for name, found in known.items() if found}, run)
    if seen:
        run.kept.remove_the_rest()
    return seen


# ---- How the answers behave ----


class _Runs:
    """Behaviours that are wanted, those that are known, and what it takes to find the others out."""

    def __init__(self, limits: Limits, kept: Kept, context: list[str], workers: Grading):
        self.limits, self.kept, self.context, self.workers = limits, kept, context, workers
        self.known: dict[Path, Behaviour] = {}
        self.wanted: dict[Path, Callable[[], Behaviour]] = {}

    def _place(self, exercise: chapters.Exercise, source: str, imported: Iterable[str] = ()) -> Path:
        tests = [test.source for test in exercise.tests]
        return self.kept.place(exercise.number, text_of(source), tests, self.context, tuple(imported))

    def of(self, exercise: chapters.Exercise, source: str, imported: Iterable[str] = ()) -> Behaviour | None:
        return self.known.get(self._place(exercise, source, imported))

    def want(self, exercise: chapters.Exercise, source: str, imported: Iterable[str] = ()) -> None:
        context = [*self.context, *imported]
        self._want(self._place(exercise, source, imported), partial(alone, source, exercise, context, self.limits))

    def _want(self, place: Path, job: Callable[[], Behaviour]) -> None:
        if place not in self.known:
            if behaviour := self.kept.get(place):
                self.known[place] = behaviour
            else:
                self.wanted[place] = job

    def _place_within(self, exercise: chapters.Exercise, answer: Answered) -> Path:
        return self.kept.place(exercise.number, answer, [test.source for test in exercise.tests])

    def want_within(self, exercise: chapters.Exercise, answer: Answered, name: str) -> None:
        """Where an answer alone does not end as it was graded, it leans on other cells: it is run behind those."""
        if not _ends_as(self.of(exercise, answer.source, answer.imports), answer):

            def job() -> Behaviour:
                notebook = nbformat.read(answer.folder / name, as_version=4)
                return within(notebook, gather(answer.folder, self.limits.disk)[0], exercise, self.limits)

            self._want(self._place_within(exercise, answer), job)

    def as_graded(self, exercise: chapters.Exercise, answer: Answered) -> Behaviour:
        """How the answer behaves, alone or in its notebook; as little as its grading tells where it does so no more."""
        for behaviour in (
            self.of(exercise, answer.source, answer.imports),
            self.known.get(self._place_within(exercise, answer)),
        ):
            if _ends_as(behaviour, answer):
                return behaviour
        return Behaviour("", [Heard([], stop) for stop in answer.stops])

    def all(self, what: str) -> None:
        """Find out what is wanted, side by side; what the machine cannot run stays unknown."""
        if not self.wanted:
            return
        with contextlib.closing(self.workers.pool(self.limits.walls)) as pool:
            futures = {pool.submit(job): place for place, job in self.wanted.items()}
            for future in tqdm(as_completed(futures), what, len(futures), unit=" answers", disable=None):
                try:
                    self.known[futures[future]] = future.result()
                except Exception as why:  # whatever it is, it is this answer's
                    tqdm.write(f"an answer could not be run: {why}")
                else:
                    self.kept.put(futures[future], future.result())
        self.wanted.clear()
        warmth.rest()


def _ends_as(behaviour: Behaviour | None, answer: Answered) -> bool:
    """Whether the same tests stop at the same lines as when the answer was graded."""
    if behaviour is None or len(behaviour.heard) != len(answer.stops):
        return False
    lines = ([stop and stop.line for stop in stops] for stops in ([h.stop for h in behaviour.heard], answer.stops))
    return next(lines) == next(lines)


def _groups(seen: Seen, known: dict[str, Behaviour], run: _Runs) -> list[Group]:
    """The wrong answers by misconception and by what they do, the largest group first."""
    groups: dict[str, Group] = {}
    others: list[tuple[Behaviour, Group]] = []
    for answer in seen.wrong:
        behaviour = run.as_graded(seen.exercise, answer)
        title, named = name_of(behaviour, known, seen.short)
        if named:
            group = groups.setdefault(title, Group(title, True))
        else:
            group = next((g for other, g in others if fail_alike(behaviour, other, seen.short)), None)
            if group is None:
                group = Group(title, False)
                others.append((behaviour, group))
        group.answers.append(answer)
    found = [*groups.values(), *(group for _, group in others)]
    return sorted(found, key=lambda group: (-len(group.answers), not group.named, group.title))


# ---- The page ----


def told(seen: list[Seen]) -> str:
    """The page in a line for each exercise, for the terminal."""
    lines = []
    for each in seen:
        number = f"{each.exercise.number} {each.exercise.kind}"
        groups = "; ".join(f"{len(group.answers)} {group.title}" for group in each.groups[:2])
        lines.append(f"  {number:<14} {each.solved:>4} of {len(each.answers)} solved" + f"   {groups}" * bool(groups))
    return "\n".join(line if len(line) <= WIDE else f"{line[: WIDE - 3]}..." for line in lines)
