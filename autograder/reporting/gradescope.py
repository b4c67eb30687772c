"""`make gradescope`: a zip that makes Gradescope grade a chapter as it is graded here.

The zip is a small course: the grader, the library, the chapter's release, and a gradebook that holds its tests, hidden
ones included. No solution is in it, no answer of the bank, and nothing of anybody's. In Gradescope's container
`gradescope_zip/grade_one.py` runs `nbgrader autograde` there for one submission.
Form: https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat

from autograder import ROOT, CourseError
from autograder.authoring import chapters

TEMPLATES = Path(__file__).parent / "gradescope_zip"
FILES = ("nbgrader_config.py", "pyproject.toml", "constraints.txt", "README.md", "LICENSE", "LICENSE-TEXT")
LEFT_OUT = ("__pycache__", ".*", "showing", "measuring", "gradescope_zip")
GO_ON = "go on"


def write(chapter: str, without_walls: str = "refuse") -> Path:
    """Write build/gradescope/CHAPTER.zip. without_walls: "refuse", or "go on" and grade where there are none."""
    if not chapters.source_path(chapter).exists() or not chapters.release_path(chapter).exists():
        raise CourseError(f"{chapter} has no release: run make release first")
    path = ROOT / "build" / "gradescope" / f"{chapter}.zip"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="gradescope-") as folder:
            _fill(Path(folder), chapter, without_walls)
            partial = path.with_suffix(".partial")
            _pack(Path(folder), partial)
            os.replace(partial, path)
    except OSError as error:
        raise CourseError(f"cannot write {path}: {error.strerror or error}") from error
    print(f"wrote {path.relative_to(ROOT)}: it holds hidden tests, so give it to Gradescope and to nobody else")
    return path


def _fill(folder: Path, chapter: str, without_walls: str) -> None:
    """Make the small course."""
    for name in ("course", "autograder"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for path in (folder / "autograder" / "authoring" / "bank").iterdir():
        if path.name != "__init__.py":
            path.unlink()
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "source" / chapter, folder / "source" / chapter, ignore=shutil.ignore_patterns("*.py", ".*"))
    _enter_tests(folder, chapter)
    for path in (folder / "source").rglob("*.ipynb"):
        path.unlink()  # the gradebook has the tests; solutions are needed nowhere
    for path in sorted(TEMPLATES.iterdir()):
        if path.is_file():
            shutil.copy(path, folder)
    settings = {"chapter": chapter, "without_walls": without_walls, "visibility": "visible"}
    (folder / "settings.json").write_text(json.dumps(settings, indent=1) + "\n", "utf-8")


def _enter_tests(folder: Path, chapter: str) -> None:
    """Make the small course's gradebook, and check that what learners have is in step with it."""
    command = "import autograder; from nbgrader.apps.nbgraderapp import main; main()"
    arguments = ["generate_assignment", chapter, "--force", f"--db={database(folder)}"]
    done = subprocess.run([sys.executable, "-c", command, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise CourseError(f"nbgrader generate_assignment {chapter} failed; its log stands above")
    made = folder / "release" / chapter
    if _tests(made / f"{chapter}.ipynb") != _tests(chapters.release_path(chapter)):
        raise CourseError(f"{chapter}: the release and its source hold different tests: run make release first")
    shutil.rmtree(made)
    shutil.copytree(chapters.release_path(chapter).parent, made, ignore=shutil.ignore_patterns(".*"))


def _tests(path: Path) -> set[str]:
    return {chapters.grade_id(cell) for cell in nbformat.read(path, as_version=4).cells} - {""}


def database(folder: Path) -> str:
    """The address of the small course's own gradebook, whatever nbgrader_config.py says."""
    return f"sqlite:///{folder}/gradebook.db"


def _pack(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.rglob("*")):
            if each.is_file() and "__pycache__" not in each.parts:
                archive.write(each, each.relative_to(folder))
