"""Every chapter runs from top to bottom in a kernel: the source without any error, the release without a stop."""

import re

import nbformat
import pytest
from conftest import CHAPTERS
from nbclient import NotebookClient

from autograder import chapters


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


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_source_runs_without_error_draws_and_passes_its_own_checks(chapter, tmp_path):
    notebook = executed(chapters.source_path(chapter), tmp_path)
    assert trouble(notebook) == []
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


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_an_unanswered_release_runs_to_its_end_and_says_only_what_is_missing(chapter, tmp_path):
    notebook = executed(chapters.release_path(chapter), tmp_path)
    assert notebook.cells[-1].cell_type == "markdown"
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in ran)
    for _, message in trouble(notebook):
        assert re.search(r"your code here|set ex_\w+ to|no answer yet|is not defined", message), message
