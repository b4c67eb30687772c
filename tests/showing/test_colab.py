"""The course on Colab: every chapter with Colab's versions, and the library through the set-up cell.

One kernel runs everything, in Colab's order: a fresh machine, the release as the badge opens it, then its answers.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import colab
import nbformat
import pytest
from conftest import CHAPTERS
from run_notebooks import MISSING, trouble, unrun, without_words

from autograder import ROOT
from autograder.authoring import chapters
from autograder.authoring.build import SetUpCell

SHOWN = {
    "IPython": "ipython", "ipykernel": "ipykernel", "ipywidgets": "ipywidgets", "matplotlib": "matplotlib",
    "nbclient": "nbclient", "numpy": "numpy", "sklearn": "scikit-learn", "traitlets": "traitlets",
}  # fmt: skip
ON_COLAB = 'import sys, types\nsys.modules["google.colab"] = types.ModuleType("google.colab")'
VERSIONS = textwrap.dedent(f"""\
    import importlib, json, sys
    import course
    modules = {{name: importlib.import_module(name) for name in {list(SHOWN)}}}
    versions = {{name: module.__version__ for name, module in modules.items()}}
    print(json.dumps({{"versions": versions, "executable": sys.executable, "course": course.__file__}}))
""")


@pytest.fixture(scope="module")
def environment():
    """What a process in Colab's environment gets; the course is not installed there, before and after."""
    if not colab.PYTHON.exists():
        pytest.fail("Colab's environment is missing: run make colab")
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "JUPYTER_PATH")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    uninstall = ["-m", "pip", "uninstall", "-q", "-y", "model-compression-course"]
    python(*uninstall, env=environment)
    yield environment | {"NBGRADER_EXECUTION": "autograde", "COURSE_DRAWS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    python(*uninstall, env=environment)


def python(*arguments, **options):
    """Run Colab's Python and return what it printed."""
    done = subprocess.run([colab.PYTHON, *arguments], capture_output=True, text=True, **options)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def packages(environment):
    """What pip finds installed, with versions."""
    return set(python("-m", "pip", "freeze", env=environment).splitlines())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "course", folder / "course", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, folder]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def ran(environment, wheel, tmp_path_factory):
    """{name: executed notebook}: CHAPTER release, CHAPTER source, versions; and pip's lists before and after."""
    folder = tmp_path_factory.mktemp("colab")
    for chapter in CHAPTERS:
        answers = nbformat.read(chapters.source_path(chapter), as_version=4)
        given = nbformat.read(chapters.release_path(chapter), as_version=4)
        set_up = next(cell for cell in answers.cells if chapters.grade_id(cell) == "setup")
        released = next(cell for cell in given.cells if chapters.grade_id(cell) == "setup")
        released.source = SetUpCell(package=str(wheel)).preprocess_cell(set_up.copy(), {}, 0)[0].source
        given.cells.insert(0, nbformat.v4.new_code_cell(ON_COLAB))
        nbformat.write(given, folder / f"{chapter} release.ipynb")
        nbformat.write(answers, folder / f"{chapter} source.ipynb")
    versions = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(VERSIONS)])
    nbformat.write(versions, folder / "versions.ipynb")
    before = packages(environment)
    python(ROOT / "tests" / "run_notebooks.py", folder, env=environment, cwd=folder)
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in folder.glob("*.ipynb")}
    return notebooks, before, packages(environment)


def test_the_kernel_has_colabs_versions_and_the_installed_library(ran):
    said = json.loads(ran[0]["versions"].cells[0].outputs[0].text)
    assert said["versions"] == {module: colab.pinned()[name] for module, name in SHOWN.items()}
    assert said["executable"] == str(colab.PYTHON)
    assert str(colab.FOLDER) in said["course"]


def test_the_set_up_cell_installs_one_package_and_changes_no_other(ran):
    _, before, after = ran
    assert before - after == set()
    (added,) = after - before
    assert added.startswith("model-compression-course @ file:")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_an_unanswered_release_runs_to_its_end_and_says_only_what_is_missing(ran, chapter):
    notebook = ran[0][f"{chapter} release"]
    assert unrun(notebook) == []
    for _, message in trouble(notebook):
        assert MISSING.search(message), message


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_source_runs_without_error_and_every_figure_has_words(ran, chapter):
    notebook = ran[0][f"{chapter} source"]
    assert unrun(notebook) == []
    assert trouble(notebook) == []
    assert without_words(notebook) == []


def test_live_figures_pass_their_tests_there(environment):
    environment = {name: value for name, value in environment.items() if name != "NBGRADER_EXECUTION"}
    options = ["--noconftest", "-p", "no:cacheprovider", "-W", "default"]
    assert "passed" in python(
        "-m", "pytest", *options, "tests/library/test_live.py", "tests/library/test_alt.py", env=environment, cwd=ROOT
    )
