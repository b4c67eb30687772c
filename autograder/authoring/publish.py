"""What learners of a class get, as a folder of its own: the chapters' releases and the library, and no solution.

The folder becomes a repository of its own, without this one's history, which holds every solution.
"""

import re
import shutil
from pathlib import Path

from autograder import ROOT, CourseError

FOLDERS = ("course", "release")  # written anew each time
FILES = ("pyproject.toml", "LICENSE", "LICENSE-TEXT", "CITATION.cff", "CHANGELOG.md")
FOR_LEARNERS = {"agents.md": "AGENTS.md", "binder.yml": ".binder/environment.yml", "binder.sh": ".binder/postBuild"}
WITH_SITE = {"pages.yml": ".github/workflows/pages.yml"}
WRITTEN = {*FOLDERS, "pyproject.toml"}  # by which a folder that was written before is known
NOBODY = "your_name/"  # stands in nbgrader_config.py for the class's own repository
LEARNERS_SECTIONS = ("Learners", "Licence")


def write(target: str) -> Path:
    """Write the learners' folder to `target`, which is empty, new, or was written before; other files in it stay."""
    if not target:
        raise CourseError("name the folder to write to: make publish TO=../my-class")
    folder = Path(target).resolve()
    if folder == ROOT or ROOT.is_relative_to(folder) or folder.is_relative_to(ROOT):
        raise CourseError(f"{folder} and this repository lie in each other: choose a folder outside, TO=../my-class")
    if folder.exists() and not folder.is_dir():
        raise CourseError(f"{folder} is not a folder: choose another with TO=")
    there = {path.name for path in folder.iterdir()} - {".git"} if folder.exists() else set()
    if there and not there >= WRITTEN:
        raise CourseError(f"{folder} holds something else: choose a new or empty folder with TO=")
    try:
        pages = ["site"] if (ROOT / "site").is_dir() else []
        for name in [*FOLDERS, "site"]:
            shutil.rmtree(folder / name, ignore_errors=True)
        for published in WITH_SITE.values():
            (folder / published).unlink(missing_ok=True)
        for name in [*FOLDERS, *pages]:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        for name in FILES:
            shutil.copy(ROOT / name, folder)
        for name, published in (FOR_LEARNERS | (WITH_SITE if pages else {})).items():
            (folder / published).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(__file__).with_name("published") / name, folder / published)
        text, pictures = _for_learners((ROOT / "README.md").read_text("utf-8"))
        (folder / "README.md").write_text(text, "utf-8")
        for name in pictures:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    except OSError as error:
        raise CourseError(f"cannot write {folder}: {error.strerror}; check the folder's permissions") from error
    if any(NOBODY in path.read_text("utf-8") for path in folder.glob("release/*/*.ipynb")):
        print(f"Colab's badges still lead to {NOBODY}: put your repository into nbgrader_config.py, type make release")
    if not pages:
        print("without pages for reading: make site writes them, and the next make publish takes them along")
    print(f"wrote {folder}: {len(list(folder.glob('release/*/*.ipynb')))} chapters and the library, no solutions")
    return folder


def _for_learners(readme: str) -> tuple[str, list[str]]:
    """(the README's head and the sections for learners, the pictures that these show)."""
    head, *sections = re.split(r"^## ", readme, flags=re.MULTILINE)
    kept = [section for section in sections if section.splitlines()[0] in LEARNERS_SECTIONS]
    text = "## ".join([head, *kept])
    return text, re.findall(r"!\[[^\]]*\]\(([^):]+)\)", text)
