"""From the percent text to what is committed: source notebooks, the instant checks' digests, and releases.

Both steps are pure functions of the text, cell ids included: building twice changes no byte.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.apps import NbGrader, NbGraderAPI
from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from autograder import NEEDS_A_LOOK, ROOT, CourseError
from autograder.authoring import chapters
from course import __version__, check

CHECKS = ROOT / "course" / "checks.json"
COLAB = "https://colab.research.google.com"
BADGES = "open-in-colab"  # the id of the badges' cell, as in releases that had one badge
#: What nbgrader refuses, by its own words, and the way out.
REFUSALS = {
    "Cannot (?:add or remove cells|modify existing assignment)": (
        "people were graded, and nbgrader neither adds, removes nor retypes a graded cell then. Undo that, or give up "
        "the chapter's grades, those given by hand too, and grade again: nbgrader db assignment remove {0} --force; "
        "make release grade CHAPTER={0}"
    ),
    "database is locked": "somebody else has locked the gradebook: wait, then make release CHAPTER={0} again",
    "no such (?:column|table)": "gradebook.db was made by another nbgrader: keep a copy, then run nbgrader db upgrade",
}


def source_notebook(chapter: str) -> str:
    """The text of source/CHAPTER/CHAPTER.ipynb."""
    notebook = chapters.read(chapter)
    chapters.exercises(notebook)
    _name_cells(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code" and chapters.grade_id(cell) != "setup":
            # An unanswered exercise must not keep Run All from reaching the next one.
            cell.metadata.setdefault("tags", []).append("raises-exception")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise CourseError(f"{chapter} does not make a valid notebook: {str(error).splitlines()[0]}") from error
    return nbformat.writes(notebook) + "\n"


def _name_cells(notebook: NotebookNode) -> None:
    """Give each cell an id that depends on nothing but the text: its grade_id, or a digest of its source."""
    taken: set[str] = set()
    for cell in notebook.cells:
        name = chapters.grade_id(cell) or hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        repeats = 0
        while (unique := f"{name}-{repeats}" if repeats else name) in taken:
            repeats += 1
        taken.add(unique)
        cell.id = unique


def checks() -> str:
    """The text of course/checks.json: for each exercise the digests of its accepted answers, and its hints.

    Of a Debug exercise it knows the line. Build exercises are listed too, with nothing.
    """
    known = {}
    for chapter in chapters.names():
        for exercise in chapters.exercises(chapters.read(chapter)):
            known[exercise.number] = {}
            if exercise.kind in chapters.SHORT:
                known[exercise.number] = _known(exercise)
            elif exercise.kind == "Debug":
                known[exercise.number] = _known_line(exercise)
    return json.dumps(known, indent=1) + "\n"


def _known(exercise: chapters.Exercise) -> dict:
    namespace: dict = {}
    exec(exercise.answer.source, namespace)  # the answer cell of a short exercise stands alone, by the chapter's form
    answers = {name: value for name, value in namespace.items() if re.fullmatch(rf"ex_{exercise.id}(_[a-z]+)?", name)}
    if not answers or (f"ex_{exercise.id}" in answers and len(answers) > 1):
        raise CourseError(
            f"exercise {exercise.number}: its answer cell should set ex_{exercise.id} and nothing else, "
            f"or several names such as ex_{exercise.id}_part"
        )
    hints = chapters.hints(exercise.answer.source)
    if set(hints) not in ({""}, set(answers)):
        raise CourseError(
            f"exercise {exercise.number}: its solution should hold one line '# hint: ...', or one '# hint NAME: ...' "
            f"for each of {', '.join(answers)}"
        )
    within = re.search(r"^# within: ([\d.]+) %$", exercise.answer.source, re.MULTILINE)
    share = float(within[1]) / 100 if within else 0.01
    salt = f"ex {exercise.number}"
    parts = [{"name": name, **_part(exercise, salt, answer, share)} for name, answer in answers.items()]
    return {"salt": salt, "parts": parts, "hints": hints}


def _part(exercise: chapters.Exercise, salt: str, answer, within: float) -> dict:
    """What is wanted, of which keys or letters, and the digests of what is accepted."""
    if isinstance(answer, str):
        letters = re.findall(r"^- \*\*([A-Z])\*\* ", exercise.text, re.MULTILINE)
        return {"wants": "letter", "of": letters, "digests": [check.digest(salt, check.canonical(answer))]}
    if isinstance(answer, list):
        return {"wants": "keys", "of": sorted(answer), "digests": [check.digest(salt, check.canonical(answer))]}
    texts = check.accepted(answer, within)
    digits = check.digits_for(within)
    return {"wants": "number", "digits": digits, "digests": sorted(check.digest(salt, text) for text in texts)}


def _known_line(exercise: chapters.Exercise) -> dict:
    lines = re.findall(rf"^ex_{exercise.id}_line = (\d+)$", exercise.answer.source, re.MULTILINE)
    if len(lines) != 1:
        raise CourseError(f"exercise {exercise.number}: its solution should set ex_{exercise.id}_line to one number")
    salt = f"ex {exercise.number}"
    return {"salt": salt, "line": {"wants": "number", "digests": [check.digest(salt, check.canonical(int(lines[0])))]}}


def write_sources(only: list[str]) -> None:
    """Write the source notebooks of the chapters in `only`, and checks.json for all."""
    texts = {chapters.source_path(chapter): source_notebook(chapter) for chapter in only}
    texts[CHECKS] = checks()
    for path, text in texts.items():  # everything was built before anything is written
        if _write(path, text):
            print(f"wrote {path.relative_to(ROOT)}")


def write_releases(only: list[str]) -> None:
    """Run nbgrader's generate_assignment for the chapters in `only`, with sources that are in step with their texts."""
    _bring_in_step(only)
    nbgrader = nbgraders_api()
    for chapter in only:
        path = chapters.source_path(chapter)
        if not path.exists():
            raise CourseError(f"{path.relative_to(ROOT)} is missing: run make source first")
        try:
            nbformat.validate(nbformat.read(path, as_version=4))
        except Exception as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise CourseError(
                f"{path.relative_to(ROOT)} is broken ({first}): run make source to write it again"
            ) from error
        result = nbgrader.generate_assignment(chapter)
        if way_out := _refusal(result):
            raise CourseError(f"{chapter} is not released, what was released stays: {way_out.format(chapter)}")
        require_success(result, f"generate_assignment {chapter}")
        print(f"released {chapters.release_path(chapter).relative_to(ROOT)}")


def _bring_in_step(only: list[str]) -> None:
    """Write the source notebooks that are older than their texts."""
    made = {chapters.text_path(chapter): chapters.source_path(chapter) for chapter in only}
    older = [
        notebook
        for text, notebook in made.items()
        if notebook.exists() and text.exists() and notebook.stat().st_mtime_ns < text.stat().st_mtime_ns
    ]
    if older:
        write_sources([notebook.stem for notebook in older])
    for notebook in older:
        os.utime(notebook)


def _refusal(result: dict) -> str:
    """The way out of what nbgrader refused, or ""."""
    said = "" if result["success"] else result.get("log", "") + result.get("error", "")
    return next((way_out for words, way_out in REFUSALS.items() if re.search(words, said)), "")


def nbgraders_api() -> NbGraderAPI:
    """nbgrader's commands as functions, with the settings that they find in the course's root."""
    os.chdir(ROOT)
    settings = NbGrader()
    settings.load_config_file()
    return NbGraderAPI(config=settings.config)


def require_success(result: dict, command: str) -> None:
    """Raise CourseError, below nbgrader's log, where one of its commands says that it failed."""
    if not result["success"]:
        sys.stderr.write(result.get("log", "") + result.get("error", ""))
        raise CourseError(f"nbgrader {command} failed; its log stands above")


def run_nbgrader(command: str, *arguments: str) -> int:
    """Run `nbgrader command arguments` in the course's root and return its exit code; raises CourseError on failure."""
    nbgrader = "import autograder; from nbgrader.apps.nbgraderapp import main; main()"
    done = subprocess.run([sys.executable, "-c", nbgrader, command, *arguments], cwd=ROOT, check=False)
    if done.returncode not in (0, NEEDS_A_LOOK):
        raise CourseError(f"nbgrader {command} {' '.join(arguments)} failed; its log stands above")
    return done.returncode


def _write(path: Path, text: str) -> bool:
    """Write `text` in one step, unless it is there already."""
    try:
        if path.exists() and path.read_text("utf-8") == text:
            return False
        partial = path.with_suffix(".partial")
        partial.write_text(text, "utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise CourseError(f"cannot write {path}: {error.strerror}; check the folder's permissions") from error
    return True


class WholeRelease(NotebookExporter):
    """Has a release made aside and put in its place when all of it is there; generate_assignment's exporter.

    nbgrader 0.9.6 removes the old release before it begins, and the new one where something fails.
    """

    def __init__(self, parent=None, **options):
        super().__init__(parent=parent, **options)
        if isinstance(parent, GenerateAssignment) and parent.coursedir.notebook_id == "*":
            make = parent.convert_notebooks
            parent.convert_notebooks = lambda: _released_whole(parent, make)


def _released_whole(converter: GenerateAssignment, make: Callable[[], None]) -> None:
    """`make` it in another folder, then write it over the old release, file by file."""
    course, release = converter.coursedir, converter.coursedir.release_directory
    places = {name: Path(course.format_path(release, ".", name)) for name in map(_last_part, converter.assignments)}
    for folder in list(converter.assignments):
        if places[_last_part(folder)].exists() and not converter.force:
            converter.log.info("Skipping existing assignment, --force makes it again: %s", places[_last_part(folder)])
            del converter.assignments[folder]
    with tempfile.TemporaryDirectory(prefix="release-") as aside:
        course.release_directory = aside
        try:
            make()
            made = {name: Path(course.format_path(aside, ".", name)) for name in map(_last_part, converter.assignments)}
        finally:
            course.release_directory = release
        for name, folder in made.items():
            _put_in_place(folder, places[name])
            converter.set_permissions(name, ".")


def _last_part(folder: str) -> str:
    return Path(folder).name


def _put_in_place(made: Path, place: Path) -> None:
    """Write the files in `made` to `place`, each in one step and the notebook last; then remove what else is there."""
    files = sorted((path.suffix == ".ipynb", path.relative_to(made)) for path in made.rglob("*") if path.is_file())
    for _, name in files:
        partial = (place / name).with_suffix(".partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made / name, partial)
        os.replace(partial, place / name)
    kept = {place / name for _, name in files}
    for path in sorted(place.rglob("*"), reverse=True):
        if path.is_symlink() or path.is_file():
            if path not in kept:
                path.unlink()
        elif not any(path.iterdir()):
            path.rmdir()


class Badges(NbGraderPreprocessor):
    """Puts badges above a release's title that open it in Colab, Kaggle, Binder and a JupyterHub.

    A step of generate_assignment.
    """

    repository = Unicode(
        "", help="Where the course is public: GitHub's owner/name. Without one there are no badges."
    ).tag(config=True)
    branch = Unicode("main", help="The branch whose release/ they open.").tag(config=True)
    hub = Unicode("", help="The address of a JupyterHub with nbgitpuller: https://hub.example.org").tag(config=True)

    def preprocess(self, nb, resources):
        if self.repository:
            if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repository):
                raise CourseError(f"Badges.repository must be GitHub's owner/name, got {self.repository!r}")
            if self.hub and not re.fullmatch(r"https?://[^\s()]+", self.hub):
                raise CourseError(f"Badges.hub must be a JupyterHub's address, https://..., got {self.hub!r}")
            chapter = resources["nbgrader"]["assignment"]
            links = badges(self.repository, self.branch, f"release/{chapter}/{chapter}.ipynb", self.hub)
            nb.cells.insert(0, nbformat.v4.new_markdown_cell("\n".join(links), id=BADGES))
        return nb, resources


def badges(repository: str, branch: str, notebook: str, hub: str) -> list[str]:
    """In Markdown, a badge for each place that opens the file `notebook` of GitHub's `repository`."""
    on_github = f"github.com/{repository}"
    lab = quote(f"lab/tree/{notebook}", safe="")
    pulled = {
        "repo": f"https://{on_github}",
        "branch": branch,
        "urlpath": f"lab/tree/{repository.partition('/')[2]}/{notebook}",
    }
    places = {
        "Colab": (
            f"{COLAB}/assets/colab-badge.svg",
            f"{COLAB}/github/{repository}/blob/{branch}/{notebook}",
        ),
        "Kaggle": (
            "https://kaggle.com/static/images/open-in-kaggle.svg",
            f"https://kaggle.com/kernels/welcome?src=https://{on_github}/blob/{branch}/{notebook}",
        ),
        "Binder": (
            "https://mybinder.org/badge_logo.svg",
            f"https://mybinder.org/v2/gh/{repository}/{quote(branch, safe='')}?urlpath={lab}",
        ),
    }
    links = [f"[![Open in {place}]({picture})]({page})" for place, (picture, page) in places.items()]
    if hub:
        links.append(f"[Open in JupyterHub]({hub.rstrip('/')}/hub/user-redirect/git-pull?{urlencode(pulled)})")
    return links


class Unpair(NbGraderPreprocessor):
    """Takes the pairing with a percent text out of a release, where JupyterLab would write one with every save."""

    def preprocess(self, nb, resources):
        nb.metadata.pop("jupytext", None)
        return nb, resources


class SetUpCell(NbGraderPreprocessor):
    """Makes a release's set-up cell find the course's library, and install it where machines are lent.

    A step of generate_assignment.
    """

    package = Unicode(
        "", help="What pip installs on Colab: the address of the course's library, or a wheel's name."
    ).tag(config=True)

    def preprocess_cell(self, cell, resources, cell_index):
        if chapters.grade_id(cell) == "setup":
            install = Path(__file__).with_name("setup_cell.txt").read_text("utf-8")
            cell.metadata["cellView"] = "form"  # Colab shows the title and folds the code away
            for name, value in {"PACKAGE": self.package, "RELEASE": __version__}.items():
                install = install.replace(f"{name} = None", f"{name} = {json.dumps(value)}")
            cell.source = install + cell.source
        return cell, resources


class RunnableStubs(NbGraderPreprocessor):
    """Makes a stub at the left margin of an answer cell a comment: only a function's body is there to raise."""

    def preprocess_cell(self, cell, resources, cell_index):
        if chapters.grade_id(cell).startswith("ex_"):
            cell.source = re.sub(r"^raise NotImplementedError\(.*$", "# your code here", cell.source, flags=re.M)
        return cell, resources
