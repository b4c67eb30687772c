"""What happens to notebooks on their way: every kind of damage that a submission survives, or that makes it unreadable.

Each damages a perfect submission to Chapter 1. `DAMAGE` changes the notebook, `FILES` the file; both keep every answer.
`UNREADABLE` leaves nothing to grade.
"""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path

import nbformat

from autograder.authoring import chapters

CHAPTER = "ch01_quantization"
DAMAGE: dict[str, Callable[[nbformat.NotebookNode], None]] = {}
FILES: dict[str, Callable[[Path], None]] = {}
UNREADABLE: dict[str, Callable[[Path], None]] = {}


def _named(kinds: dict) -> Callable:
    def add(function):
        kinds[function.__name__.replace("_", " ")] = function
        return function

    return add


damage, file, unreadable = _named(DAMAGE), _named(FILES), _named(UNREADABLE)


def apply(kind: str, nb: nbformat.NotebookNode, path: Path) -> None:
    """Write `nb` to `path`, damaged."""
    DAMAGE.get(kind, lambda nb: None)(nb)
    path.write_text(json.dumps(nb), "utf-8")
    {**FILES, **UNREADABLE}.get(kind, lambda path: None)(path)


def at(nb, name):
    return next(index for index, cell in enumerate(nb.cells) if chapters.grade_id(cell) == name)


def stub_of(number):
    released = nbformat.read(chapters.release_path(CHAPTER), as_version=4)
    return next(e.answer.source for e in chapters.exercises_released(released) if e.number == number)


@damage
def an_answer_cell_is_duplicated(nb):
    nb.cells.insert(at(nb, "ex_1_5"), copy.deepcopy(nb.cells[at(nb, "ex_1_5")]))


@damage
def every_cell_is_duplicated(nb):
    nb.cells = [cell for one in nb.cells for cell in (one, copy.deepcopy(one))]


@damage
def a_copy_still_holds_the_stub(nb):
    stub = copy.deepcopy(nb.cells[at(nb, "ex_1_5")])
    stub.source = stub_of("1.5")
    nb.cells.insert(at(nb, "ex_1_5") + 1, stub)


@damage
def a_test_cell_is_deleted(nb):
    del nb.cells[at(nb, "test_1_5")]


@damage
def all_test_cells_are_deleted(nb):
    nb.cells = [cell for cell in nb.cells if not chapters.grade_id(cell).startswith("test_")]


@damage
def an_answer_became_markdown(nb):
    nb.cells[at(nb, "ex_1_6")].cell_type = "markdown"


@damage
def an_answer_became_raw(nb):
    nb.cells[at(nb, "ex_L1_8")].cell_type = "raw"


@damage
def a_test_became_markdown(nb):
    nb.cells[at(nb, "test_1_6")].cell_type = "markdown"


@damage
def all_metadata_is_lost(nb):
    for cell in nb.cells:
        cell.metadata = nbformat.NotebookNode()


@damage
def the_metadata_is_nonsense(nb):
    for cell in nb.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"] = nbformat.NotebookNode(grade_id=cell.metadata.nbgrader.grade_id, points="many")


@damage
def the_metadata_is_of_an_old_schema(nb):
    for cell in nb.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader["schema_version"] = 1


@damage
def an_answer_was_written_anew_below(nb):
    index = at(nb, "ex_1_5")
    nb.cells.append(nbformat.v4.new_code_cell(nb.cells[index].source))
    del nb.cells[index]


@damage
def an_answer_stands_beside_the_untouched_cell(nb):
    index = at(nb, "ex_L1_7")
    nb.cells.insert(index + 1, nbformat.v4.new_code_cell(nb.cells[index].source))
    nb.cells[index].source = stub_of("L1.7")


@damage
def two_answers_are_merged(nb):
    first, second = at(nb, "ex_1_1"), at(nb, "ex_1_2")
    nb.cells[first].source += "\n" + nb.cells[second].source
    del nb.cells[second]


@damage
def cells_are_shuffled(nb):
    random.Random(0).shuffle(nb.cells)


@damage
def the_tests_were_edited(nb):
    for cell in nb.cells:
        if chapters.grade_id(cell).startswith("test_"):
            cell.source = "pass"


@damage
def the_text_is_gone(nb):
    nb.cells = [cell for cell in nb.cells if cell.cell_type == "code"]


@damage
def windows_line_ends(nb):
    for cell in nb.cells:
        cell.source = cell.source.replace("\n", "\r\n")


@damage
def as_colab_writes_it(nb):
    """After Run All there: format 4.0, cells' ids in their metadata, every widget's state, outputs, sources as lists."""
    nb.nbformat_minor = 0
    model = {"model_module": "@jupyter-widgets/controls", "model_module_version": "1.5.0", "model_name": "ImageModel"}
    nb.metadata = nbformat.from_dict(
        {
            "accelerator": "GPU",
            "colab": {"provenance": [], "toc_visible": True, "gpuType": "T4"},
            "kernelspec": {"name": "python3", "display_name": "Python 3"},
            "language_info": {"name": "python"},
            "widgets": {"application/vnd.jupyter.widget-state+json": {"f00d": model | {"state": {"format": "png"}}}},
        }
    )
    for index, cell in enumerate(nb.cells):
        cell.pop("id", None)
        cell.source = cell.source.splitlines(keepends=True)
        cell.metadata["id"] = f"Zx_{index:09}"
        if cell.cell_type == "code":
            cell.metadata |= _colab_ran(index)
            cell.execution_count = index
            cell.outputs = _colab_showed()


def _colab_ran(index):
    user = {"displayName": "A Learner", "userId": "01234567890123456789"}
    return {
        "colab": {"base_uri": "https://localhost:8080/", "height": 455, "referenced_widgets": ["f00d"]},
        "executionInfo": {
            "status": "ok",
            "timestamp": 1730000000000 + index,
            "user_tz": -60,
            "elapsed": 7,
            "user": user,
        },
        "outputId": f"0e1f2a3b-{index:04}",
    }


def _colab_showed():
    view = {"version_major": 2, "version_minor": 0, "model_id": "f00d"}
    return [
        {"output_type": "stream", "name": "stdout", "text": ["Ready: course 0.1.0\n"]},
        {
            "output_type": "display_data",
            "data": {
                "text/plain": ["Three panels."],
                "image/png": "iVBORw0KGgoAAAANSUhEUg==\n",
                "application/vnd.jupyter.widget-view+json": view,
            },
            "metadata": {"image/png": {"alt": "Three panels."}},
        },
        {"output_type": "execute_result", "execution_count": 3, "data": {"text/html": ["<img>"]}, "metadata": {}},
    ]


@damage
def another_kernelspec(nb):
    nb.metadata["kernelspec"] = {"name": "julia-1.10", "display_name": "Julia", "language": "julia"}


@damage
def huge_outputs(nb):
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text="x" * 10**6)]


@damage
def cell_ids_repeat(nb):
    for cell in nb.cells:
        cell["id"] = "same"


@damage
def an_answer_is_split_in_the_middle(nb):
    index = at(nb, "ex_1_5")
    first, second = nb.cells[index].source.rsplit("\n", 1)
    nb.cells[index].source = first
    nb.cells.insert(index + 1, nbformat.v4.new_code_cell(second))


@damage
def an_answer_is_split_and_both_halves_keep_the_mark(nb):
    index = at(nb, "ex_L1_8")
    first, second = nb.cells[index].source.rsplit("\n", 1)
    nb.cells[index].source = first
    nb.cells.insert(index + 1, copy.deepcopy(nb.cells[index]))
    nb.cells[index + 1].source = second


@damage
def an_answer_is_split_between_its_two_parts(nb):
    index = at(nb, "ex_1_6")
    line, function = nb.cells[index].source.split("\n", 1)
    nb.cells[index].source = line
    nb.cells.insert(index + 1, nbformat.v4.new_code_cell(function))


@damage
def a_helper_stands_in_a_cell_between_answer_and_test(nb):
    index = at(nb, "ex_L1_8")
    nb.cells[index].source = nb.cells[index].source.replace("np.log10", "helper")
    nb.cells.insert(
        index + 1, nbformat.v4.new_code_cell("import numpy as np\n\n\ndef helper(x):\n    return np.log10(x)")
    )


@damage
def the_set_up_cell_is_deleted(nb):
    del nb.cells[at(nb, "setup")]


@damage
def half_a_character(nb):
    nb.cells.append(nbformat.v4.new_markdown_cell("\ud83d"))


@damage
def cells_of_no_known_type(nb):
    nb.cells.insert(1, nbformat.NotebookNode(cell_type="heading", source="Notes", level=2, metadata={}))


@file
def renamed(path):
    path.rename(path.with_name("Copy of chapter one (3).ipynb"))


@file
def saved_as_utf_16(path):
    path.write_bytes(path.read_text("utf-8").encode("utf-16"))


@file
def saved_with_a_byte_order_mark(path):
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


@file
def saved_in_format_4_0_with_sources_as_lists_and_no_ids(path):
    data = json.loads(path.read_text("utf-8"))
    for cell in data["cells"]:
        cell.pop("id", None)
        if isinstance(cell["source"], str):
            cell["source"] = cell["source"].splitlines(keepends=True)
    path.write_text(json.dumps(data | {"nbformat": 4, "nbformat_minor": 0}), "utf-8")


@file
def nonsense_among_the_cells(path):
    data = json.loads(path.read_text("utf-8"))
    data["cells"][1:1] = [None, 3, {"cell_type": "code"}, {"cell_type": "code", "source": 7, "metadata": []}]
    data["metadata"] = "none"
    path.write_text(json.dumps(data), "utf-8")


@file
def another_notebook_lies_beside_it(path):
    nbformat.write(nbformat.v4.new_notebook(), path.with_name("scratch.ipynb"))


@unreadable
def an_empty_file(path):
    path.write_bytes(b"")


@unreadable
def not_JSON(path):
    path.write_text("{ not json", "utf-8")


@unreadable
def cut_off_in_the_middle(path):
    path.write_bytes(path.read_bytes()[:5000])


@unreadable
def a_PDF_named_like_a_notebook(path):
    path.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 40)


@unreadable
def JSON_but_no_notebook(path):
    path.write_text("[1, 2, 3]", "utf-8")


@unreadable
def JSON_nested_without_end(path):
    path.write_text("[" * 200_000, "utf-8")


@unreadable
def no_cells(path):
    nbformat.write(nbformat.v4.new_notebook(), path)


@unreadable
def another_courses_notebook(path):
    cells = [nbformat.v4.new_markdown_cell("# Pandas"), nbformat.v4.new_code_cell("import numpy as np")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


@unreadable
def a_link_to_another_file(path):
    path.unlink()
    path.symlink_to("/etc/hosts")
