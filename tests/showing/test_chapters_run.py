"""Every chapter's source runs from top to bottom in a kernel of its own; releases run in test_colab.py."""

import nbformat
import pytest
from conftest import CHAPTERS
from nbclient import NotebookClient
from run_notebooks import trouble, without_words

from autograder.authoring import chapters


def executed(path, folder):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


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
