"""What is committed is what the texts make, releases give nothing away, and bad input gets one clear line."""

import ast
import re
import shutil
import subprocess
import symtable
import sys
import zipfile

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10; pytest brings tomli there
    import tomli as tomllib

import nbformat
import pytest
import yaml
from conftest import CHAPTERS, secret_lines
from packaging.requirements import Requirement

from autograder import ROOT, CourseError
from autograder.authoring import build, chapters


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_committed_source_notebook_is_in_step(chapter):
    assert chapters.source_path(chapter).read_text("utf-8") == build.source_notebook(chapter), "run make source"


def test_the_committed_checks_are_in_step():
    assert build.CHECKS.read_text("utf-8") == build.checks(), "run make source"


@pytest.fixture(scope="module")
def released_anew(course_copy):
    """A copy of the course in which all chapters were released again, together, where there was no release."""
    for chapter in CHAPTERS:
        shutil.rmtree(course_copy / "release" / chapter)
    run(course_copy, "-m", "autograder", "release")
    return course_copy


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_committed_release_is_in_step_and_building_it_again_changes_no_byte(chapter, released_anew):
    made = released_anew / "release" / chapter / f"{chapter}.ipynb"
    assert made.read_bytes() == chapters.release_path(chapter).read_bytes(), "run make release"


def test_plain_nbgrader_releases_the_same(released_anew):
    path = released_anew / "release" / CHAPTERS[1] / f"{CHAPTERS[1]}.ipynb"
    path.unlink()
    run(released_anew, "-m", "nbgrader", "generate_assignment", CHAPTERS[1], "--force")
    assert path.read_bytes() == chapters.release_path(CHAPTERS[1]).read_bytes()


def global_names(source):
    """(names that a cell sets, imports aside; names that it reads from the notebook), functions' own names left out."""
    top = symtable.symtable(source, "cell", "exec")
    tables, read = [top], set()
    for table in tables:
        tables += table.get_children()
        read |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and (table is top or s.is_global())}
    return {s.get_name() for s in top.get_symbols() if s.is_assigned() and not s.is_imported()}, read


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_experiment_reads_what_a_test_cell_has_overwritten(chapter):
    """A notebook's cells share their names; a test cell may not change what a later experiment reads."""
    set_by_tests = set()
    for cell in chapters.read(chapter).cells:
        if cell.cell_type != "code":
            continue
        stored, read = global_names(cell.source)
        if chapters.grade_id(cell).startswith("test_"):
            set_by_tests |= stored
        elif not chapters.grade_id(cell):
            assert not (read - stored) & set_by_tests, cell.source
            set_by_tests -= stored


def test_every_chapter_is_released_and_nothing_else():
    assert sorted(path.parent.name for path in ROOT.glob("release/*/*.ipynb")) == CHAPTERS


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_release_holds_nothing_but_its_notebook(chapter):
    files = [path.name for path in chapters.release_path(chapter).parent.iterdir() if not path.name.startswith(".")]
    assert files == [f"{chapter}.ipynb"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_nothing_secret_reaches_the_release_or_the_library(chapter):
    secrets = secret_lines(chapter)
    assert len(secrets) > 20
    notebook = nbformat.read(chapters.release_path(chapter), as_version=4)
    released = {line.strip() for cell in notebook.cells for line in cell.source.splitlines()}
    assert not secrets & released
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert "jupytext" not in notebook.metadata, "JupyterLab would write a percent text beside the learner's notebook"
    text = chapters.release_path(chapter).read_text("utf-8")
    assert "BEGIN SOLUTION" not in text
    assert "HIDDEN TESTS" not in text
    library = {line.strip() for path in ROOT.glob("course/**/*.py") for line in path.read_text("utf-8").splitlines()}
    # Figures may compute what an exercise computes, for another quantity; whole answers they may not hold.
    assert len(secrets & library) < 3, secrets & library


def test_the_wheel_holds_the_library_and_nothing_else(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "submitted", "autograded"))
    run(copy, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "-w", str(tmp_path), ".")
    (wheel,) = tmp_path.glob("model_compression_course-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert "course/live.py" in names
    assert "course/checks.json" in names
    assert all(name.startswith("course/") for name in names)


def test_the_library_imports_only_what_learners_have():
    allowed = set(sys.stdlib_module_names) | {
        "course", "numpy", "matplotlib", "cycler", "PIL", "ipywidgets", "traitlets", "IPython", "torch", "sklearn",
        "safetensors", "tqdm",
    }  # fmt: skip
    for path in ROOT.glob("course/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module]
            assert {name.split(".")[0] for name in names} <= allowed, path


def requirements(lines):
    parsed = map(Requirement, lines)
    return {
        (r.name.lower().replace("_", "-"), str(r.specifier)) for r in parsed if r.name != "model-compression-course"
    }


def test_conda_and_pip_ask_for_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = requirements(project["dependencies"])
    for extra in ("instructor", "cluster", "dev"):
        wanted |= requirements(project["optional-dependencies"][extra])
    conda = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    names = {"pytorch": "torch"}
    lines = [line for line in conda if isinstance(line, str)]
    lines = [re.sub(r"^[\w-]+", lambda name: names.get(name[0], name[0]), line) for line in lines]
    given = requirements(line for line in lines if not line.startswith(("python>", "pip")))
    assert given == wanted
    assert f"python{project['requires-python']}" in lines


def test_everything_pinned_satisfies_what_is_asked_for():
    pinned = [
        Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for line in [*project["dependencies"], *project["optional-dependencies"]["instructor"]]:
        asked = Requirement(line)
        versions = [str(pin.specifier).removeprefix("==") for pin in pinned if pin.name == asked.name.lower()]
        assert versions, f"{asked.name} is not pinned"
        assert all(asked.specifier.contains(version) for version in versions), asked


def test_an_unknown_chapter_is_named_with_the_choice():
    with pytest.raises(CourseError, match=r"unknown chapter 'ch99_magic': choose from .*ch01_quantization"):
        chapters.require("ch99_magic")


def run(root, *arguments, code=0):
    done = subprocess.run([sys.executable, *arguments], cwd=root, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def broken(tmp_path):
    """A small course of one chapter, to be broken."""
    root = tmp_path / "course_root"
    for name in ("autograder", "course", "source", "release"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "nbgrader_config.py", root)
    for path in root.glob("source/ch*"):
        if path.name != "ch01_quantization":
            shutil.rmtree(path)
    return root


def one_line(root, *arguments):
    """The error that `python -m autograder ...` ends with: one line, exit code 2."""
    said = run(root, "-m", "autograder", *arguments, code=2)
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1, said
    return said


def test_a_missing_source_is_one_line(broken):
    (broken / "source/ch01_quantization/ch01_quantization.py").unlink()
    assert "restore source/ch01_quantization/ch01_quantization.py" in one_line(broken, "source", "ch01_quantization")


def test_a_missing_notebook_is_one_line(broken):
    (broken / "source/ch01_quantization/ch01_quantization.ipynb").unlink()
    assert "run make source first" in one_line(broken, "release")


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"cells": 3}', "\x00\x01"])
def test_a_broken_notebook_is_one_line_and_the_release_stays(broken, damage):
    released = broken / "release/ch01_quantization/ch01_quantization.ipynb"
    before = released.read_bytes()
    (broken / "source/ch01_quantization/ch01_quantization.ipynb").write_text(damage)
    assert "run make source to write it again" in one_line(broken, "release")
    assert released.read_bytes() == before


def test_where_nbgrader_fails_its_log_stands_above_one_line(broken):
    path = broken / "source/ch01_quantization/ch01_quantization.ipynb"
    path.write_text(path.read_text("utf-8").replace('"grade_id": "test_1_2"', '"grade_id": "test_1_1"'), "utf-8")
    said = run(broken, "-m", "autograder", "release", code=2)
    assert "Duplicate grade id: test_1_1" in said
    assert said.splitlines()[-1].endswith("nbgrader generate_assignment ch01_quantization failed; its log stands above")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"grade_id": "ex_1_2"', '"grade_id": "ex_1_1"', "ex_1_1 stands twice"),
        ("· 1 point\n", "· 2 points\n", "heading says 2 points, its tests 1"),
        ("### BEGIN SOLUTION\n# hint", "# hint", "exercise 1.1: its answer cell has no BEGIN SOLUTION"),
        ("# hint: ", "# ", "exercise 1.1: its solution should hold one line '# hint: ...'"),
        ('"grade_id": "test_1_1"', '"grade_id": "test_1_2"', "cell test_1_2 follows 1.1"),
        ("\nex_1_1 = None\n", "\nex_1_1 = ex_1_1_more = None\n", "exercise 1.1: its answer cell should set ex_1_1 and"),
        (
            "### BEGIN HIDDEN TESTS\n",
            "### BEGIN HIDDEN TESTS\n@probe\ndef made(answer):\n    return answer()\n",
            "exercise 1.1: a probe stands among its hidden tests, and its source is sent to the learner's process",
        ),
        (
            "### BEGIN HIDDEN TESTS\n",
            "### BEGIN HIDDEN TESTS\nmade = probe(max, fresh=True)\n",
            "exercise 1.1: a probe stands among its hidden tests",
        ),
    ],
)
def test_a_chapter_that_breaks_the_form_is_refused_and_nothing_is_written(broken, old, new, says):
    text = broken / "source/ch01_quantization/ch01_quantization.py"
    notebook = text.with_suffix(".ipynb")
    before = notebook.read_bytes()
    text.write_text(text.read_text("utf-8").replace(old, new, 1), "utf-8")
    assert says in one_line(broken, "source")
    assert notebook.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_one_line(broken, monkeypatch):
    """Root may write everywhere, so the refusal is stood in for."""
    import os

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(CourseError, match=r"cannot write .*: Permission denied; check the folder's permissions"):
        build._write(broken / "new.txt", "text")


def test_a_port_in_use_is_one_line(broken):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"choose another with PORT={port + 1}" in one_line(broken, "lab", str(port))


def test_a_persons_own_copy_is_never_written_over(broken, monkeypatch):
    from autograder.showing import lab

    monkeypatch.setattr(lab, "WORK", broken / "work")
    monkeypatch.setattr(lab, "command", lambda folder, port: [sys.executable, "-c", ""])
    lab.work(lab.ports.find_free())
    mine = broken / "work" / CHAPTERS[1] / f"{CHAPTERS[1]}.ipynb"
    assert mine.read_bytes() == chapters.release_path(CHAPTERS[1]).read_bytes()
    mine.write_text("answers")
    lab.work(lab.ports.find_free())
    assert mine.read_text() == "answers"


@pytest.mark.parametrize("step", ["grade", "feedback", "report"])
def test_an_old_or_damaged_gradebook_is_one_line_and_stays_as_it_is(broken, step):
    import sqlite3

    gradebook = broken / "gradebook.db"
    with sqlite3.connect(gradebook) as database:
        database.execute("CREATE TABLE student (id VARCHAR(128))")
    before = gradebook.read_bytes()
    assert "run nbgrader db upgrade" in one_line(broken, step)
    assert gradebook.read_bytes() == before
    gradebook.write_text("this is not a database, but it is long enough to be taken for one" * 20)
    assert "gradebook.db is damaged" in one_line(broken, step)


@pytest.mark.parametrize("step", ["grade", "feedback", "report", "unsample"])
def test_the_gradebook_is_the_configured_one(broken, step):
    config = broken / "nbgrader_config.py"
    config.write_text(f"{config.read_text()}\nc.CourseDirectory.db_url = 'sqlite:///{broken}/elsewhere.db'\n")
    (broken / "elsewhere.db").write_text("this is not a database, but it is long enough to be taken for one" * 20)
    assert "elsewhere.db is damaged" in one_line(broken, step)
