"""What is published for a class holds all that learners need and no solution, and nothing of anybody's is lost."""

import os
import re
import shutil

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10; pytest brings tomli there
    import tomli as tomllib

import pytest
import yaml
from conftest import CHAPTERS

from autograder import ROOT, CourseError
from autograder.authoring import publish


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return publish.write(str(tmp_path_factory.mktemp("class") / "public"))


def test_every_chapter_and_the_whole_library_are_there_as_they_are(published):
    assert sorted(path.parent.name for path in published.glob("release/*/*.ipynb")) == CHAPTERS
    for path in [*ROOT.glob("course/**/*.*"), *ROOT.glob("release/*/*.ipynb")]:
        if not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts):
            assert (published / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


def test_the_site_comes_along_with_what_serves_it(tmp_path, monkeypatch):
    root = tmp_path / "root"
    root.mkdir()
    for path in ROOT.iterdir():
        if path.name != "site":
            (root / path.name).symlink_to(path)
    monkeypatch.setattr(publish, "ROOT", root)
    (root / "site").mkdir()
    (root / "site" / "index.html").write_text("pages")
    folder = publish.write(str(tmp_path / "public"))
    assert (folder / "site" / "index.html").read_text() == "pages"
    workflow = yaml.safe_load((folder / ".github" / "workflows" / "pages.yml").read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read", "pages": "write", "id-token": "write"}
    assert "secrets" not in str(workflow)
    shutil.rmtree(root / "site")
    publish.write(str(folder))
    assert not (folder / "site").exists()


def test_binder_installs_what_learners_need(published):
    """conda's names; postBuild then adds the library without what it asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.match(r"[\w-]+", line)[0].lower() for line in project["dependencies"]}
    lines = yaml.safe_load((published / ".binder" / "environment.yml").read_text("utf-8"))["dependencies"]
    named = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}
    given = {named.get(name, name) for name in (re.match(r"[\w-]+", line)[0] for line in lines)}
    assert wanted <= given
    assert os.access(published / ".binder" / "postBuild", os.X_OK)


def test_assistants_are_asked_to_teach(published):
    text = (published / "AGENTS.md").read_text("utf-8")
    assert "teach here, do not solve" in text


def test_badges_that_lead_nowhere_are_told_of(published, capsys):
    publish.write(str(published))
    assert (
        "Colab's badges still lead to your_name/: put your repository into nbgrader_config.py"
        in capsys.readouterr().out
    )


def test_nothing_else_is_there(published):
    """tests/authoring/test_build.py proves that releases and library hold no solution; these are the same bytes."""
    names = {path.name for path in published.iterdir() if path.name != "docs"}
    about = {"README.md", "AGENTS.md", "CITATION.cff", "CHANGELOG.md", "LICENSE", "LICENSE-TEXT"}
    pages = {"site", ".github"} if (ROOT / "site").exists() else set()  # somebody has made it here
    assert names == {"course", "release", "pyproject.toml", ".binder", *about, *pages}
    assert {path.name for path in (published / ".binder").iterdir()} == {"environment.yml", "postBuild"}
    assert {path.suffix for path in published.glob("release/**/*") if path.is_file()} == {".ipynb"}
    assert {path.suffix for path in published.glob("docs/**/*") if path.is_file()} <= {".png"}


def test_its_readme_speaks_to_learners_and_its_pictures_are_there(published):
    text = (published / "README.md").read_text("utf-8")
    assert "## Learners" in text
    assert "## Instructors" not in text
    for name in publish._for_learners(text)[1]:
        assert (published / name).is_file(), name


def test_writing_again_takes_out_what_is_no_more_and_leaves_the_classs_own_files(published):
    stale = published / "release" / "ch99_old"
    stale.mkdir()
    workflow = published / ".github" / "workflows" / "pages.yml"  # of a site that this repository has no more
    workflow.parent.mkdir(parents=True, exist_ok=True)
    workflow.write_text("on: push")
    (published / "SCHEDULE.md").write_text("Week 1")
    (published / ".git").mkdir(exist_ok=True)
    publish.write(str(published))
    assert not stale.exists()
    assert workflow.exists() == (published / "site").exists() == (ROOT / "site").exists()
    assert (published / "SCHEDULE.md").read_text() == "Week 1"
    assert (published / ".git").is_dir()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("", "name the folder to write to: make publish TO="),
        (str(ROOT), "lie in each other"),
        (str(ROOT.parent), "lie in each other"),
        (str(ROOT / "release"), "lie in each other"),
    ],
)
def test_a_folder_that_would_lose_something_is_refused(target, says):
    with pytest.raises(CourseError, match=says):
        publish.write(target)
    assert sorted(path.parent.name for path in ROOT.glob("release/*/*.ipynb")) == CHAPTERS


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path):
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "thesis.txt").write_text("years of work")
    with pytest.raises(CourseError, match="holds something else"):
        publish.write(str(tmp_path))
    assert (tmp_path / "course" / "thesis.txt").exists()
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(CourseError, match="is not a folder"):
        publish.write(str(file))
    shutil.rmtree(tmp_path)
