"""A course that runs is corrected: whatever fails on the way, what was released is there and whole.

What people have handed in is never changed.
"""

import contextlib
import copy
import os
import shutil
import sqlite3
import warnings

import jupytext
import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import ClearHiddenTests, SaveCells
from small_course import CHAPTER, SmallCourse

from autograder import COURSE_ID, CourseError
from autograder.authoring import build, chapters
from autograder.grading import gradebook


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return SmallCourse(tmp_path_factory.mktemp("pristine") / "course")


@pytest.fixture
def course(pristine, tmp_path, monkeypatch):
    """A small course with a text, on which the steps behind the Makefile work in this process."""
    course = copy.copy(pristine)
    course.root, course.more = tmp_path / "course", {}
    shutil.copytree(pristine.root, course.root)
    monkeypatch.chdir(course.root)
    for module in (build, chapters):
        monkeypatch.setattr(module, "ROOT", course.root)
    monkeypatch.setattr(build, "CHECKS", course.root / "checks.json")
    course.write_config()
    notebook = course.source()
    for cell in notebook.cells:
        cell.metadata.pop("tags", None)
    jupytext.write(notebook, chapters.text_path(CHAPTER), fmt="py:percent")
    build.write_sources([CHAPTER])
    build.write_releases([CHAPTER])
    return course


def files(folder):
    """{path: what it is} of all in a folder: links are looked at, not followed."""
    return {
        str(path.relative_to(folder)): (
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None,
            path.lstat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
    }


def correct(course, old: str, new: str) -> None:
    """Change the text, as somebody does who saves it after the notebook was made."""
    text = chapters.text_path(CHAPTER)
    assert old in text.read_text("utf-8")
    text.write_text(text.read_text("utf-8").replace(old, new, 1), "utf-8")
    later = chapters.source_path(CHAPTER).stat().st_mtime_ns + 10**9
    os.utime(text, ns=(later, later))


def somebody_was_graded(course) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SQLAlchemy's, about nbgrader
        gradebook.enter(course.url, COURSE_ID, CHAPTER, "ada", None)


def add_a_cell(course) -> None:
    notebook = course.source()
    more = [cell for cell in notebook.cells if chapters.grade_id(cell).endswith("1_4")]
    heading = nbformat.v4.new_markdown_cell("### Exercise 1.9 · Derive · 1 point\n\nOnce more.")
    for cell in more:
        cell.metadata.nbgrader.grade_id = cell.metadata.nbgrader.grade_id.replace("1_4", "1_9")
        cell.source, cell.id = cell.source.replace("ex_1_4", "ex_1_9"), f"{cell.id}-more"
    heading.id = "more"
    whole = course.source()
    whole.cells += [heading, *more]
    course.write_source(whole)


def refused() -> str:
    """The line with which `make release` ends."""
    with pytest.raises(CourseError) as error:
        build.write_releases([CHAPTER])
    assert "\n" not in str(error.value)
    return str(error.value)


def test_release_makes_the_source_first_where_the_text_is_newer(course, capsys):
    correct(course, "# Chapter 1", "# Chapter 1, corrected")
    build.write_releases([CHAPTER])
    assert course.released().cells[0].source.startswith("[![Open in Colab]")
    assert course.released().cells[1].source == "# Chapter 1, corrected"
    capsys.readouterr()
    build.write_releases([CHAPTER])
    assert "wrote source" not in capsys.readouterr().out, "it is in step now"


def test_a_text_that_breaks_the_form_leaves_source_and_release_as_they_were(course):
    before = files(course.root / "release"), chapters.source_path(CHAPTER).read_bytes()
    correct(course, "### BEGIN SOLUTION\n", "")
    assert "has no BEGIN SOLUTION region" in refused()
    assert (files(course.root / "release"), chapters.source_path(CHAPTER).read_bytes()) == before


@pytest.mark.parametrize("step", [SaveCells, ClearHiddenTests])
@pytest.mark.parametrize("why", [KeyboardInterrupt, SystemExit, OSError(28, "No space left on device")])
def test_cut_off_in_the_middle_the_release_stays(course, monkeypatch, step, why):
    """SystemExit stands for a signal: nbgrader's own handling does not see it."""
    before = files(course.root / "release")

    def fail(*arguments):
        raise why

    correct(course, "# Chapter 1", "# Chapter 1, corrected")
    build.write_sources([CHAPTER])
    with monkeypatch.context() as broken, pytest.raises((NbGraderException, KeyboardInterrupt, SystemExit)):
        broken.setattr(step, "preprocess", fail)
        course.release()
    assert files(course.root / "release") == before
    course.release()
    assert course.released().cells[1].source == "# Chapter 1, corrected"


@pytest.mark.parametrize("name", ["replace", "chmod", "unlink"])
def test_cut_off_while_it_is_put_in_place_every_file_is_old_or_new(course, monkeypatch, name):
    source, release = course.root / "source" / CHAPTER, course.root / "release" / CHAPTER
    (source / "data.csv").write_text("old")
    course.release()
    (release / "left.over").write_text("somebody else's")
    old = course.released()
    correct(course, "# Chapter 1", "# Chapter 1, corrected")
    build.write_sources([CHAPTER])
    for most in range(3):
        (source / "data.csv").write_text("new")
        count = iter(range(most, -9, -1))
        usual = getattr(os, name)

        def once_too_often(*arguments, usual=usual, count=count, **named):
            if next(count) == 0:
                raise SystemExit
            return usual(*arguments, **named)

        with monkeypatch.context() as broken:
            broken.setattr(os, name, once_too_often)
            with contextlib.suppress(SystemExit):
                course.release()
        assert (release / "data.csv").read_text() in ("old", "new")
        assert course.released().cells[1].source in (old.cells[1].source, "# Chapter 1, corrected")
    course.release()
    assert course.released().cells[1].source == "# Chapter 1, corrected"
    assert sorted(path.name for path in release.iterdir()) == [f"{CHAPTER}.ipynb", "data.csv"]
    assert (release / "data.csv").read_text() == "new"


def test_without_force_what_was_released_stays(course):
    before = files(course.root / "release")
    correct(course, "# Chapter 1", "# Chapter 1, corrected")
    build.write_sources([CHAPTER])
    assert build.nbgraders_api().generate_assignment(CHAPTER, force=False)["success"]
    assert files(course.root / "release") == before


def test_a_graded_cell_added_after_people_were_graded_is_refused_with_the_way_out(course):
    before = files(course.root / "release")
    course.autograde("ada")
    add_a_cell(course)
    said = refused()
    assert "neither adds, removes nor retypes a graded cell" in said
    assert f"nbgrader db assignment remove {CHAPTER} --force; make release grade CHAPTER={CHAPTER}" in said
    assert files(course.root / "release") == before
    with Gradebook(course.url, COURSE_ID) as book:
        book.remove_assignment(CHAPTER)
    build.write_releases([CHAPTER])
    assert "test_1_9" in {chapters.grade_id(cell) for cell in course.released().cells}
    course.autograde("ada")
    graded = dict(gradebook.grades(CHAPTER, course.url))["ada"]
    assert graded == {"test_1_1": 1, "test_1_4": 1, "test_1_9": 0}, "what was handed in before lacks the new one"


def test_a_graded_cell_added_before_anybody_was_graded_is_released(course):
    add_a_cell(course)
    build.write_releases([CHAPTER])
    assert "test_1_9" in {chapters.grade_id(cell) for cell in course.released().cells}


def test_a_graded_cell_of_another_type_is_refused_with_the_way_out(course):
    before = files(course.root / "release")
    somebody_was_graded(course)
    notebook = course.source()
    cell = next(cell for cell in notebook.cells if chapters.grade_id(cell) == "test_1_4")
    cell.metadata.nbgrader |= {"solution": True, "locked": False}
    course.write_source(notebook)
    assert "nbgrader db assignment remove" in refused()
    assert files(course.root / "release") == before


def test_other_points_are_released_and_stand_in_the_gradebook(course):
    somebody_was_graded(course)
    notebook = course.source()
    cell = next(cell for cell in notebook.cells if chapters.grade_id(cell) == "test_1_4")
    cell.metadata.nbgrader.points += 4
    course.write_source(notebook)
    build.write_releases([CHAPTER])
    with Gradebook(course.url, COURSE_ID) as book:
        assert book.find_assignment(CHAPTER).max_score == course.most + 4


def test_a_locked_gradebook_is_one_line(course, monkeypatch):
    before = files(course.root / "release")
    with sqlite3.connect(course.root / "gradebook.db", isolation_level=None) as somebody:
        somebody.execute("BEGIN EXCLUSIVE")
        said = refused()
        somebody.execute("ROLLBACK")
    assert "somebody else has locked the gradebook" in said
    assert files(course.root / "release") == before


def test_what_was_handed_in_is_never_changed(course):
    """Links in it are passed over: nothing that they lead to is read or written, and they are not taken away."""
    submitted, elsewhere = course.root / "submitted", course.root / "elsewhere"
    shutil.copytree(submitted / "bob", elsewhere / "bob")
    (elsewhere / "notes.txt").write_text("my own")
    (submitted / "ada" / CHAPTER / "notes.txt").symlink_to(elsewhere / "notes.txt")
    (submitted / "ada" / CHAPTER / "data").symlink_to(elsewhere)
    (submitted / "ada" / CHAPTER / "nowhere").symlink_to(elsewhere / "nothing")
    shutil.rmtree(submitted / "bob")
    (submitted / "bob").symlink_to(elsewhere / "bob")
    before = files(submitted), files(elsewhere)
    course.autograde()
    correct(course, "# Chapter 1", "# Chapter 1, corrected")
    build.write_releases([CHAPTER])
    course.autograde()
    course.feedback()
    assert (files(submitted), files(elsewhere)) == before
    assert course.scores()["ada"] == course.scores()["cy"] == course.most
    assert not (course.root / "autograded" / "ada" / CHAPTER / "notes.txt").exists()
