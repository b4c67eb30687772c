"""Runs notebooks one after the other in one kernel, with Colab's versions: PYTHON colab_kernel.py FOLDER.

Executes each FOLDER/*.ipynb in order of their names and writes it back. Between chapters the kernel forgets all names;
each chapter by itself in a kernel of its own is what test_chapters_run.py runs.
"""

import sys
from pathlib import Path

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient


def run(folder: Path) -> None:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder))
    try:
        for path in sorted(folder.glob("*.ipynb")):
            notebook = nbformat.read(path, as_version=4)
            resources = {"metadata": {"path": str(folder)}}
            NotebookClient(notebook, km=manager, timeout=120, allow_errors=True, resources=resources).execute()
            nbformat.write(notebook, path)
    finally:
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
