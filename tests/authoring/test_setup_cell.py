"""The set-up cell of a release: silent where the library is there, plain where it is not, on Colab and elsewhere.

And the badge above it, which leads to Colab.
"""

import contextlib
import io
import subprocess
import sys
import types

import nbformat
import pytest
from conftest import CHAPTERS
from traitlets.config.loader import PyFileConfigLoader

from autograder import ROOT, CourseError
from autograder.authoring import chapters
from autograder.authoring.build import ColabBadge, SetUpCell


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


def test_on_colab_it_says_in_one_line_what_pip_said_and_whom_to_ask(set_up, no_library, colab):
    with pytest.raises(
        ImportError, match=r"from /tmp/nowhere\.whl: ERROR: .*nowhere\.whl.* Ask your instructor"
    ) as raised:
        exec(set_up("/tmp/nowhere.whl"), {})
    assert len(str(raised.value).splitlines()) == 1


PROXY = "http://127.0.0.1:9"  # where nothing answers


@pytest.mark.parametrize("address", ["git+https://github.com/a/b", "https://example.org/course-0.1-py3-none-any.whl"])
def test_without_network_it_says_so_in_one_line_with_the_way_out(set_up, no_library, colab, monkeypatch, address):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, PROXY)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ImportError, match=r"no network\. Reconnect .*, then run this cell again") as raised:
        exec(set_up(address), {})
    assert len(str(raised.value).splitlines()) == 1
    assert address in str(raised.value)


def test_another_missing_package_is_not_taken_for_the_library(set_up, monkeypatch):
    monkeypatch.delitem(sys.modules, "course.live", raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ModuleNotFoundError, match="ipywidgets"):
        exec(set_up(""), {})


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_release_starts_with_it(chapter):
    notebook = nbformat.read(chapters.release_path(chapter), as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.source.startswith("# @title Set-up: run this cell first")
    assert f"ready({int(chapter[2:4])})" in first.source


def badged(repository):
    """The first cell of a chapter released with that setting."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Quantization")])
    step = ColabBadge(repository=repository)
    return step.preprocess(notebook, {"nbgrader": {"assignment": "ch01_quantization"}})[0].cells[0]


def test_the_badge_leads_to_the_release_in_the_repository_of_the_setting():
    cell = badged("ada/compression")
    assert cell.source.startswith("[![Open in Colab](https://")
    page = "https://colab.research.google.com/github/ada/compression/blob/main/release"
    assert cell.source.endswith(f"({page}/ch01_quantization/ch01_quantization.ipynb)")
    assert cell.id == badged("bea/course").id


def test_without_a_repository_there_is_no_badge():
    assert badged("").source == "# Quantization"


@pytest.mark.parametrize("repository", ["compression", "https://github.com/ada/compression", "ada/com pression"])
def test_a_repository_that_is_no_owner_and_name_is_refused_by_name(repository):
    with pytest.raises(CourseError, match=r"ColabBadge\.repository must be GitHub's owner/name, got"):
        badged(repository)


@pytest.mark.parametrize(
    ("environment", "repository", "package"),
    [
        ({"COURSE_REPOSITORY": "ada/compression"}, "ada/compression", "git+https://github.com/ada/compression"),
        ({"COURSE_REPOSITORY": "ada/compression", "COURSE_PACKAGE": "course.whl"}, "ada/compression", "course.whl"),
        ({"COURSE_REPOSITORY": ""}, "", ""),
    ],
)
def test_one_setting_makes_badge_and_address(monkeypatch, environment, repository, package):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
    assert config.ColabBadge.repository == repository
    assert config.SetUpCell.package == package


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_release_has_the_badge_on_top(chapter):
    first = nbformat.read(chapters.release_path(chapter), as_version=4).cells[0]
    assert "[Open in Colab]" in first.source
    assert f"/release/{chapter}/{chapter}.ipynb)" in first.source
