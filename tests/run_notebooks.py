"""Runs notebooks one after the other in one kernel: PYTHON run_notebooks.py FOLDER; and what may come of it.

It needs what learners have, and nbclient, so that it runs with Colab's versions and on machines where nobody grades.
"""

import re
import sys
from pathlib import Path

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

#: What an open exercise says, and the cells that wait for its answer.
MISSING = re.compile(r"your code here|set ex_\w+ to|no answer yet|is not defined")


def run(folder: Path) -> None:
    """Execute each FOLDER/*.ipynb in order of their names and write it back.

    Between chapters the kernel forgets all names; test_chapters_run.py runs each in a kernel of its own.
    """
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder))
    try:
        for path in sorted(folder.glob("*.ipynb")):
            notebook = nbformat.read(path, as_version=4)
            notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
            resources = {"metadata": {"path": str(folder)}}
            NotebookClient(notebook, km=manager, timeout=120, allow_errors=True, resources=resources).execute()
            del notebook.cells[0]
            nbformat.write(notebook, path)
    finally:
        manager.shutdown_kernel(now=True)


def trouble(notebook) -> list[tuple[str, str]]:
    """(the cell's first line, what went wrong) for every error and every word on stderr."""
    return [
        (cell.source.splitlines()[0], output.get("evalue", output.get("text")))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def without_words(notebook) -> list[str]:
    """The first line of every cell that shows a picture without alternative text."""
    return [
        cell.source.splitlines()[0]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt", "").strip()
    ]


def unrun(notebook) -> list[str]:
    """The first line of every code cell that did not run."""
    return [
        cell.source.splitlines()[0] for cell in notebook.cells if cell.cell_type == "code" and not cell.execution_count
    ]


if __name__ == "__main__":
    run(Path(sys.argv[1]))
