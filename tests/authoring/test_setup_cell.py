"""The set-up cell of a release: silent where the library is there, plain where it is not, on Colab and elsewhere.

And the badges above it, which lead to Colab, Kaggle, Binder and a JupyterHub.
"""

import contextlib
import io
import re
import subprocess
import sys
import types
from urllib.parse import parse_qs, urlsplit

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10; pytest brings tomli there
    import tomli as tomllib

import nbformat
import pytest
import yaml
from conftest import CHAPTERS
from traitlets.config.loader import PyFileConfigLoader

from autograder import ROOT, CourseError
from autograder.authoring import chapters
from autograder.authoring.build import Badges, SetUpCell
from course import __version__


def released_set_up(package):
    """The cell's code, as released with that address."""
    cell = nbformat.v4.new_code_cell("print('went on')", metadata={"nbgrader": {"grade_id": "setup"}})
    return SetUpCell(package=package).preprocess_cell(cell, {}, 0)[0].source


@pytest.fixture
def set_up(monkeypatch, tmp_path):
    """set_up(package) -> the cell's code, in a folder that is in no clone of the course."""
    monkeypatch.chdir(tmp_path)
    return released_set_up


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


@pytest.mark.parametrize("place", ["google.colab", "KAGGLE_KERNEL_RUN_TYPE", "BINDER_SERVICE_HOST"])
def test_on_a_machine_that_is_lent_it_installs_that_address_alone(set_up, no_library, monkeypatch, place):
    commands = []

    def run(command, **options):
        commands.append(command)
        for name in ("course", "course.live"):
            monkeypatch.delitem(sys.modules, name)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    if place.isupper():
        monkeypatch.setenv(place, "there")
    else:
        monkeypatch.setitem(sys.modules, place, types.ModuleType(place))
    exec(set_up("https://example.org/course.whl"), {})
    (command,) = commands
    assert command[1:4] == ["-m", "pip", "install"]
    assert "--no-deps" in command
    assert command[-1] == "https://example.org/course.whl"


def test_kaggle_without_internet_is_told_where_the_switch_is(set_up, no_library, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: Could not resolve host: github.com")
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    monkeypatch.setattr(subprocess, "run", lambda command, **options: failed)
    with pytest.raises(ImportError, match=r"no network\. Turn Internet on"):
        exec(set_up("git+https://github.com/a/b"), {})


def test_in_a_clone_the_library_beside_the_notebook_is_found(tmp_path):
    """As nbgitpuller leaves it on a JupyterHub: nothing is installed there."""
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "__init__.py").write_text(f"__version__ = {__version__!r}")
    for name in ("live.py", "checks.json"):
        (tmp_path / "course" / name).touch()
    place = tmp_path / "release" / "ch01_quantization"
    place.mkdir(parents=True)
    (place / "cell.py").write_text(released_set_up("") + "\nprint(course.__file__)")
    python = [sys.executable, "-S", "-E", "cell.py"]  # without what is installed
    done = subprocess.run(python, cwd=place, capture_output=True, text=True, check=True)
    assert done.stdout == f"went on\n{tmp_path}/course/__init__.py\n"


@pytest.mark.parametrize(
    ("library", "says"),
    [
        ("0.0.9", "Update the library: %pip install --upgrade course.whl, then restart the kernel."),
        ("0.10.0", "Take the chapter's newer notebook and copy your answers into it."),
    ],
)
def test_a_library_of_another_release_says_which_to_update(set_up, monkeypatch, capsys, library, says):
    monkeypatch.setattr("course.__version__", library)
    exec(set_up("course.whl"), {})
    assert capsys.readouterr().out == (
        f"This notebook is of release {__version__}, the library of {library}. {says}\nwent on\n"
    )


def test_one_number_stands_everywhere():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"] == __version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == __version__
    assert re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0] == __version__


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


def badged(repository, **settings):
    """The first cell of a chapter released with that setting."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Quantization")])
    step = Badges(repository=repository, **settings)
    return step.preprocess(notebook, {"nbgrader": {"assignment": "ch01_quantization"}})[0].cells[0]


def test_the_badges_lead_to_the_release_in_the_repository_of_the_setting():
    colab, kaggle, binder = badged("ada/compression").source.splitlines()
    path = "release/ch01_quantization/ch01_quantization.ipynb"
    assert colab.startswith("[![Open in Colab](https://")
    assert colab.endswith(f"(https://colab.research.google.com/github/ada/compression/blob/main/{path})")
    assert kaggle.startswith("[![Open in Kaggle](https://")
    assert kaggle.endswith(f"src=https://github.com/ada/compression/blob/main/{path})")
    assert binder.startswith("[![Open in Binder](https://")
    (address,) = re.findall(r"\((https://mybinder.org/v2/gh/ada/compression/main\?[^)]*)\)$", binder)
    assert parse_qs(urlsplit(address).query) == {"urlpath": [f"lab/tree/{path}"]}
    assert badged("ada/compression").id == badged("bea/course").id


def test_a_hub_gets_a_link_that_pulls_the_repository_and_opens_the_chapter():
    link = badged("ada/compression", hub="https://hub.example.org/").source.splitlines()[-1]
    (address,) = re.findall(r"^\[Open in JupyterHub\]\((.*)\)$", link)
    assert address.startswith("https://hub.example.org/hub/user-redirect/git-pull?")
    assert parse_qs(urlsplit(address).query) == {
        "repo": ["https://github.com/ada/compression"],
        "branch": ["main"],
        "urlpath": ["lab/tree/compression/release/ch01_quantization/ch01_quantization.ipynb"],
    }
    with pytest.raises(CourseError, match=r"Badges\.hub must be a JupyterHub's address, https://\.\.\., got 'hub'"):
        badged("ada/compression", hub="hub")


def test_without_a_repository_there_is_no_badge():
    assert badged("").source == "# Quantization"


@pytest.mark.parametrize("repository", ["compression", "https://github.com/ada/compression", "ada/com pression"])
def test_a_repository_that_is_no_owner_and_name_is_refused_by_name(repository):
    with pytest.raises(CourseError, match=r"Badges\.repository must be GitHub's owner/name, got"):
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
    assert config.Badges.repository == repository
    assert config.SetUpCell.package == package


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_release_has_the_badges_on_top(chapter):
    first = nbformat.read(chapters.release_path(chapter), as_version=4).cells[0]
    for place in ("Colab", "Kaggle", "Binder"):
        assert f"[Open in {place}]" in first.source
    assert f"/release/{chapter}/{chapter}.ipynb)" in first.source
