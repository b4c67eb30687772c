"""One run of each chapter's reference solution, kept for the demo pages and for the site.

A chapter is played again when its text or the course's library has changed. Chapters are played one after the other:
they measure this machine, and two at a time would measure each other.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from subprocess import DEVNULL

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from autograder import ROOT, CourseError
from autograder.authoring import build
from autograder.showing import moving, recorder
from course import GRADING

CELL_TIMEOUT = 900  # seconds; a chapter's longest cell takes 20 on two idle cores


def folder(chapter: str) -> Path:
    """Where the run of `chapter` is kept: played.ipynb with its outputs; for each live figure N.live, and N.frames once
    a page has shown it.
    """
    return ROOT / ".make" / "played" / chapter


def play(only: list[str]) -> None:
    """Play those chapters of `only` whose kept run is missing or out of date. Raises CourseError when a cell fails."""
    notebooks = {chapter: nbformat.reads(build.source_notebook(chapter), as_version=4) for chapter in only}
    stale = {chapter: notebook for chapter, notebook in notebooks.items() if not _is_kept(chapter)}
    code = [cell for notebook in stale.values() for cell in notebook.cells if cell.cell_type == "code"]
    with tqdm(total=len(code) + len(stale), unit="cell", disable=not stale) as bar:  # recording starts in a cell, too
        for chapter, notebook in stale.items():
            bar.set_description(f"playing {chapter}")
            _play(chapter, notebook, bar)


def read(chapter: str) -> NotebookNode:
    """The chapter's source notebook with the outputs of its run."""
    return nbformat.read(folder(chapter) / "played.ipynb", as_version=4)


def _play(chapter: str, notebook: NotebookNode, bar: tqdm) -> None:
    kept = folder(chapter)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    start = nbformat.v4.new_code_cell(f"from autograder.showing import recorder\n\nrecorder.start({str(kept)!r})")
    notebook.cells.insert(0, start)
    for cell in notebook.cells:
        cell.metadata.pop("tags", None)  # a learner's run goes on after an error; the reference solution has none
    with tempfile.TemporaryDirectory() as elsewhere:  # a chapter writes files: progress, the capstone's model
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            resources={"metadata": {"path": elsewhere}},
            on_cell_complete=lambda cell, cell_index: bar.update(),
        )
        try:
            client.execute(env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=DEVNULL)  # its errors are in its outputs
        except CellExecutionError as error:
            raise CourseError(
                f"{chapter} raised {error.ename}: {error.evalue}; make source/{chapter} run, then try again"
            ) from None
        except CellTimeoutError:
            raise CourseError(
                f"{chapter}: a cell took more than {CELL_TIMEOUT} seconds: end what else runs here and try again"
            ) from None
        except DeadKernelError:
            raise CourseError(
                f"{chapter}: its kernel ended, as it does when memory runs out: free some and try again"
            ) from None
    del notebook.cells[0]
    nbformat.write(notebook, kept / "played.ipynb")
    (kept / "digest").write_text(_digest(chapter))


def _is_kept(chapter: str) -> bool:
    path = folder(chapter) / "digest"
    return path.exists() and path.read_text() == _digest(chapter)


def _digest(chapter: str) -> str:
    """Names what a run depends on: the chapter's notebook and size, the library, and how runs are kept."""
    files = [*sorted((ROOT / "course").rglob("*.py")), *sorted((ROOT / "course").glob("*.safetensors"))]
    digest = hashlib.sha256(f"{GRADING} {build.source_notebook(chapter)}".encode())
    for path in [*files, *map(Path, (recorder.__file__, moving.__file__, __file__))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
