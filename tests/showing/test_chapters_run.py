"""Every chapter's source runs from top to bottom in a kernel of its own; releases run in test_colab.py."""

import nbformat
import pytest
from conftest import CHAPTERS
from nbclient import NotebookClient

from autograder.authoring import chapters


def executed(path, folder):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def trouble(notebook):
    """[(cell's first line, what went wrong)] for every error and every word on stderr."""
    return [
        (cell.source.splitlines()[0], output.get("evalue", output.get("text")))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def without_words(notebook):
    """The first line of every cell that shows a picture without alternative text."""
    return [
        cell.source.splitlines()[0]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt", "").strip()
    ]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_source_runs_without_error_draws_and_passes_its_own_checks(chapter, tmp_path):
    notebook = executed(chapters.source_path(chapter), tmp_path)
    assert trouble(notebook) == []
    assert without_words(notebook) == []
    shown = [set(output.get("data", {})) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in kinds for kinds in shown)
    assert any("application/vnd.jupyter.widget-view+json" in kinds for kinds in shown)
    said = "".join(
        output.data.get("text/plain", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "display_data"
    )
    for exercise in chapters.exercises(notebook):
        right = "right." if exercise.kind in chapters.SHORT else "the visible checks pass."
        assert f"Exercise {exercise.number}: {right}" in said
