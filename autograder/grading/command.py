"""`make grade`: nbgrader's own command, with one clear line where something stands in the way."""

import os
import sqlite3

from alembic.script import ScriptDirectory
from nbgrader.dbutil import ALEMBIC_DIR

from autograder import GRADEBOOK, ROOT, CourseError
from autograder.authoring import build, chapters


def grade(only: list[str]) -> None:
    """Autograde every submission to the chapters in `only` that is new, or was graded with other tests."""
    ready(only)
    for chapter in only:
        if not any(ROOT.glob(f"submitted/*/{chapter}")):
            print(f"{chapter}: nobody has submitted")
            continue
        print(f"grading {chapter} ...", flush=True)
        build.run_nbgrader("autograde", chapter)


def ready(only: list[str]) -> None:
    if not os.access(ROOT, os.W_OK):
        raise CourseError(f"cannot write into {ROOT}: nbgrader keeps autograded/, feedback/ and gradebook.db there")
    for chapter in only:
        if not chapters.release_path(chapter).exists():
            raise CourseError(f"{chapter} has no release: run make release first")
    require_current_gradebook()


def require_current_gradebook() -> None:
    """Raise CourseError when gradebook.db is not a gradebook that this nbgrader can use."""
    if not GRADEBOOK.exists():
        return
    try:
        with sqlite3.connect(f"file:{GRADEBOOK}?mode=ro", uri=True) as database:
            found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        found = None
    except sqlite3.DatabaseError as error:
        raise CourseError(
            f"gradebook.db is damaged ({error}): put back a copy, or move it away to begin anew"
        ) from None
    if not found or found[0] != ScriptDirectory(ALEMBIC_DIR).get_current_head():
        raise CourseError("gradebook.db was made by another nbgrader: keep a copy, then run nbgrader db upgrade")
