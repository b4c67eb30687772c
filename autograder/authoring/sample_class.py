"""Six students made from the answer bank, so that a fresh clone has something to grade.

Their profiles hold for every chapter. What each deserves follows from the bank, which is how the tests know the grades.
"""

import contextlib
import datetime
import functools
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from sqlalchemy import make_url
from sqlalchemy.exc import DatabaseError

from autograder import COURSE_ID, ROOT, CourseError
from autograder.authoring import bank, build, chapters

SUBMITTED = ROOT / "submitted"

Picker = Callable[[int, int, list[bank.Answer], list[bank.Answer]], bank.Answer | None]


def _raises(index: int, count: int, right: list[bank.Answer], wrong: list[bank.Answer]) -> bank.Answer:
    """Right where the answer is a value; code that raises where it is code."""
    answer = right[0]
    raising = re.sub(r"^((?:def|class) [^\n]*:\n).*", r"\1    undefined_name", answer.source, flags=re.M | re.S)
    return answer if raising == answer.source else answer._replace(right=False, name="raises", source=raising)


#: Each picks an answer from (the exercise's index, how many there are, right answers, wrong answers); None: untouched.
STUDENTS: dict[str, Picker] = {
    "ada": lambda index, count, right, wrong: right[0],
    "bruno": lambda index, count, right, wrong: None,
    "chen": lambda index, count, right, wrong: wrong[0] if index % 2 else right[-1],
    "dara": _raises,
    "emil": lambda index, count, right, wrong: right[0] if index < count / 2 else None,
    "fay": lambda index, count, right, wrong: right[-1] if index else wrong[-1],
}


def answers(student: str, chapter: str) -> dict[str, bank.Answer]:
    """{exercise: answer} of one sample student; exercises left untouched are missing."""
    everything = _bank(chapter)
    numbers = list(dict.fromkeys(answer.exercise for answer in everything))
    picked = {}
    for index, number in enumerate(numbers):
        right = [a for a in everything if a.exercise == number and a.right]
        wrong = [a for a in everything if a.exercise == number and not a.right]
        if answer := STUDENTS[student](index, len(numbers), right, wrong):
            picked[number] = answer
    return picked


@functools.cache
def _bank(chapter: str) -> tuple[bank.Answer, ...]:
    return tuple(bank.answers(chapter))


def submission(student: str, chapter: str) -> nbformat.NotebookNode:
    """The release with the student's answers in its answer cells."""
    notebook = nbformat.read(chapters.release_path(chapter), as_version=4)
    cells = {exercise.number: exercise.answer for exercise in chapters.exercises_released(notebook)}
    for number, answer in answers(student, chapter).items():
        cells[number].source = answer.source
    return notebook


def write(only: list[str]) -> None:
    """Write the class into submitted/; does nothing when others are there, whose work is nobody's sample."""
    others = sorted({path.name for path in SUBMITTED.glob("*") if path.is_dir()} - set(STUDENTS))
    if others:
        print(
            f"submitted/ holds a class ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''}): no sample added"
        )
        return
    for student in STUDENTS:
        for chapter in only:
            text = nbformat.writes(submission(student, chapter)) + "\n"
            path = SUBMITTED / student / chapter / f"{chapter}.ipynb"
            if path.exists() and path.read_text("utf-8") == text:
                continue
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, "utf-8")
                now = datetime.datetime.now(datetime.timezone.utc)
                (path.parent / "timestamp.txt").write_text(f"{now:%Y-%m-%d %H:%M:%S} UTC\n", "utf-8")
            except OSError as error:
                raise CourseError(f"cannot write {path}: {error.strerror}; check the folder's permissions") from error


def remove(only: list[str]) -> None:
    """Take the sample students out of every folder and the gradebook; others stay."""
    for student in STUDENTS:
        for folder in ("submitted", "autograded", "feedback"):
            shutil.rmtree(ROOT / folder / student, ignore_errors=True)
    course = build.nbgraders_api().coursedir
    address = make_url(course.db_url)
    if address.get_backend_name() != "sqlite" or Path(address.database).exists():
        try:
            with Gradebook(course.db_url, course.course_id or COURSE_ID) as gradebook:
                for student in STUDENTS:
                    with contextlib.suppress(MissingEntry):
                        gradebook.remove_student(student)
        except DatabaseError as error:
            raise CourseError(f"{address.database} is damaged, or another nbgrader's ({error.orig})") from None
