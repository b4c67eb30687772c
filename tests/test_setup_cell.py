"""The set-up cell of a release: silent where the library is there, plain where it is not, on Colab and elsewhere."""

import contextlib
import io
import subprocess
import sys
import types

import nbformat
import pytest
from conftest import CHAPTERS

from autograder import chapters
from autograder.build import SetUpCell


@pytest.fixture
def set_up(monkeypatch):
    """set_up(package) -> the cell's code, as released with that address, in a process without the library."""

    def cell_for(package):
        cell = nbformat.v4.new_code_cell("print('went on')", metadata={"nbgrader": {"grade_id": "setup"}})
        return SetUpCell(package=package).preprocess_cell(cell, {}, 0)[0].source

    return cell_for


@pytest.fixture
def no_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "course", None)
    monkeypatch.setitem(sys.modules, "course.live", None)


@pytest.fixture
def colab(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))


def test_with_the_library_it_goes_straight_on(set_up):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(set_up(""), {})
    assert out.getvalue() == "went on\n"


def test_without_an_address_it_says_whom_to_ask(set_up, no_library, colab):
    with pytest.raises(ImportError, match="does not know its address"):
        exec(set_up(""), {})


def test_outside_colab_it_installs_nothing_and_says_what_to_type(set_up, no_library, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("installed something"))
    with pytest.raises(ImportError, match=r"Run: %pip install course\.whl"):
        exec(set_up("course.whl"), {})


def test_on_colab_it_installs_that_address_alone(set_up, no_library, colab, monkeypatch):
    commands = []

    def run(command, **options):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    exec(set_up("https://example.org/course.whl"), {})
    (command,) = commands
    assert command[1:4] == ["-m", "pip", "install"]
    assert "--no-deps" in command
    assert command[-1] == "https://example.org/course.whl"


def test_on_colab_it_says_what_pip_said(set_up, no_library, colab):
    with pytest.raises(ImportError, match=r"pip could not install .*nowhere\.whl:\n(.|\n)*nowhere\.whl"):
        exec(set_up("/tmp/nowhere.whl"), {})


def test_another_missing_package_is_not_taken_for_the_library(set_up, monkeypatch):
    monkeypatch.delitem(sys.modules, "course.live", raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ModuleNotFoundError, match="ipywidgets"):
        exec(set_up(""), {})


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_release_starts_with_it(chapter):
    notebook = nbformat.read(chapters.release_path(chapter), as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.source.startswith("# Set-up: run this cell first.")
    assert f"ready({int(chapter[2:4])})" in first.source
