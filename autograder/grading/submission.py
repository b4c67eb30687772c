"""What somebody handed in, as values, and the digest by which a later run knows whether it was graded already."""

import fnmatch
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from nbgrader.utils import parse_utc

import course
from autograder.grading.files import gather, is_notebook
from autograder.grading.mend import LIMIT

MARK = ".graded.json"  # in autograded/STUDENT/CHAPTER, the last that is written


class Submission(NamedTuple):
    """One folder of submitted/. notebooks: {name: bytes}; a link has none. notes: what was left out of it, and why."""

    student: str
    folder: Path
    notebooks: dict[str, bytes]
    files: dict[str, bytes]
    notes: list[str]

    @property
    def handed_in(self) -> datetime | None:
        """When, by timestamp.txt; None where there is none that can be read."""
        try:
            return parse_utc(self.files["timestamp.txt"].decode().strip())
        except (KeyError, ValueError, OverflowError, AttributeError):
            return None

    def digest(self, graded_by: str) -> str:
        """graded_by: a digest of everything else that a grade follows from."""
        digest = hashlib.sha256(graded_by.encode())
        for kind in (self.notebooks, self.files):
            for name in sorted(kind):
                digest.update(repr((os.fsencode(name), len(kind[name]))).encode())
                digest.update(kind[name])
        return digest.hexdigest()


def hidden(course) -> tuple[str, ...]:
    """What no learner's code may see of nbgrader's course, wherever the instructor has put it."""
    names = ("submitted", "autograded", "feedback", "source", "release")
    places = [course.root, *(str(Path(course.root, getattr(course, f"{name}_directory"))) for name in names)]
    if course.db_url.startswith("sqlite:///"):
        places.append(course.db_url.removeprefix("sqlite:///"))
    return tuple(sorted(set(places)))


def read(student: str, folder: Path, most: int) -> Submission:
    """most: bytes of files beside the notebooks. Raises OSError."""
    files, notes = gather(folder, most)
    notebooks = {}
    for path in sorted(folder.iterdir()):
        if is_notebook(path.name) and not path.name.startswith(".") and not path.is_dir():
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    notebooks[path.name] = file.read(LIMIT + 1)
            else:
                notebooks[path.name] = b""
    if "timestamp.txt" in files and Submission(student, folder, {}, files, []).handed_in is None:
        del files["timestamp.txt"]
        notes.append("timestamp.txt: holds no time")
    return Submission(student, folder, notebooks, files, notes)


def folders(course, directory: str) -> Iterator[tuple[str, Path, Path]]:
    """(name, path, the folder for the chapter) of whoever lies in one of the course's directories and was asked for.

    course: nbgrader's CourseDirectory. nbgrader's own patterns pass over names with [ ] * or ?.
    """
    root, wanted, exclude = Path(course.root, directory), course.student_id, course.student_id_exclude.split(",")
    for path in sorted(root.iterdir() if root.is_dir() else ()):
        if path.name not in exclude and (path.name == wanted or fnmatch.fnmatchcase(path.name, wanted)):
            yield path.name, path, Path(course.format_path(directory, path.name, course.assignment_id))


def graded_by(release: Path, tests: str, settings: Iterable) -> str:
    """A digest of the release, the tests, the grader's own code with the course's, and its settings."""
    digest = hashlib.sha256(repr((tests, *settings)).encode())
    for path in (release, *sources(Path(__file__).parent), *sources(Path(course.__path__[0]))):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def sources(folder: Path) -> list[Path]:
    """What a grade follows from, of a folder with code."""
    return sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".json", ".safetensors"))


def mark_of(folder: Path) -> dict:
    """What stands in the mark of a graded folder; {} where there is none: then it was not graded to its end."""
    try:
        mark = json.loads((folder / MARK).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}
