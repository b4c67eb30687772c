"""`make grade`: nbgrader's own command, with one clear line where something stands in the way."""

import os

from autograder import ROOT, CourseError
from autograder.authoring import build, chapters
from autograder.grading import gradebook


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
    url = build.nbgraders_api().coursedir.db_url
    if gradebook.exists(url):
        gradebook.require_current(url)
