"""What happens to notebooks on their way: every kind of damage that a submission survives, or that makes it unreadable.

Each damages a perfect submission to Chapter 1. `DAMAGE` changes the notebook, `FILES` the file; both keep every answer.
`UNREADABLE` leaves nothing to grade.
"""

import copy
import gzip
import io
import json
import random
import re
import zipfile
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


def code(source):
    return nbformat.v4.new_code_cell(source)


def cell(nb, name):
    return nb.cells[at(nb, name)]


def saved(path):
    return json.loads(path.read_text("utf-8"))


def save(path, data):
    path.write_text(json.dumps(data), "utf-8")


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
    nb.cells.append(code(nb.cells[index].source))
    del nb.cells[index]


@damage
def an_answer_stands_beside_the_untouched_cell(nb):
    index = at(nb, "ex_L1_7")
    nb.cells.insert(index + 1, code(nb.cells[index].source))
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
    nb.cells.insert(index + 1, code(second))


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
    nb.cells.insert(index + 1, code(function))


@damage
def a_helper_stands_in_a_cell_between_answer_and_test(nb):
    index = at(nb, "ex_L1_8")
    nb.cells[index].source = nb.cells[index].source.replace("np.log10", "helper")
    nb.cells.insert(index + 1, code("import numpy as np\n\n\ndef helper(x):\n    return np.log10(x)"))


@damage
def the_set_up_cell_is_deleted(nb):
    del nb.cells[at(nb, "setup")]


@damage
def half_a_character(nb):
    nb.cells.append(nbformat.v4.new_markdown_cell("\ud83d"))


@damage
def cells_of_no_known_type(nb):
    nb.cells.insert(1, nbformat.NotebookNode(cell_type="heading", source="Notes", level=2, metadata={}))


@damage
def a_magic_stands_behind_an_answer(nb):
    nb.cells.insert(at(nb, "ex_1_5") + 1, code("%whos"))
    nb.cells.insert(at(nb, "ex_1_1") + 1, code("%debug"))


@damage
def an_answer_holds_magics_and_help(nb):
    cell(nb, "ex_1_5").source += "\n\n%timeit -n1 -r1 quantize_dequantize(0.3, 4, 0, 1)\nquantize_dequantize?"
    cell(nb, "ex_1_1").source = "%matplotlib inline\nfiles = !ls\n!echo ready\n" + cell(nb, "ex_1_1").source


@damage
def an_answer_is_timed(nb):
    cell(nb, "ex_1_6").source = "%%time\n" + cell(nb, "ex_1_6").source


@damage
def a_timed_answer_has_lost_its_mark(nb):
    cell(nb, "ex_L1_8").source = "%%capture\n" + cell(nb, "ex_L1_8").source
    cell(nb, "ex_L1_8").metadata = nbformat.NotebookNode()


@damage
def a_better_version_with_a_magic_stands_below(nb):
    better = copy.deepcopy(cell(nb, "ex_1_5"))
    better.source += "\n\n%timeit -n1 -r1 quantize_dequantize(0.3, 4, 0, 1)"
    cell(nb, "ex_1_5").source = "def quantize_dequantize(x, bits, lo, hi):\n    return x"
    nb.cells.insert(at(nb, "ex_1_5") + 1, better)


@damage
def a_timed_version_stands_below_an_old_one(nb):
    better = copy.deepcopy(cell(nb, "ex_L1_7"))
    better.source = "%%time\n" + better.source
    cell(nb, "ex_L1_7").source = "def affine_params(lo, hi, bits):\n    return lo, hi"
    nb.cells.insert(at(nb, "ex_L1_7") + 1, better)


@damage
def a_version_that_is_no_Python_stands_above(nb):
    broken = copy.deepcopy(cell(nb, "ex_1_5"))
    broken.source = "def quantize_dequantize(x, bits, lo, hi):\nsteps = 2**bits - 1\nreturn steps"
    nb.cells.insert(at(nb, "ex_1_5"), broken)


@damage
def the_better_version_needs_a_cell_above_it(nb):
    better = copy.deepcopy(cell(nb, "ex_L1_8"))
    better.source = better.source.replace("np.log10", "helper")
    cell(nb, "ex_L1_8").source = "def sqnr_db(x, x_hat):\n    return 0"
    nb.cells += [code("import numpy as np\n\nhelper = np.log10"), better]


@damage
def every_answer_stands_in_one_cell_below(nb):
    names = [chapters.grade_id(one) for one in nb.cells if chapters.grade_id(one).startswith("ex_")]
    nb.cells.append(code("\n\n\n".join(cell(nb, name).source for name in names)))
    for name in names:
        cell(nb, name).source = stub_of(name.removeprefix("ex_").replace("_", "."))


@damage
def an_answer_stands_in_a_later_exercises_cell(nb):
    cell(nb, "ex_L1_9").source += "\n\n\n" + cell(nb, "ex_1_5").source
    cell(nb, "ex_1_5").source = stub_of("1.5")


@damage
def an_answer_stands_in_the_test_cell(nb):
    cell(nb, "test_1_5").source = cell(nb, "ex_1_5").source + "\n\n" + cell(nb, "test_1_5").source
    cell(nb, "ex_1_5").source = stub_of("1.5")


@damage
def marks_of_another_course(nb):
    for one in nb.cells:
        if name := chapters.grade_id(one):
            one.metadata.nbgrader.grade_id = f"cell-{name}-copy"


@damage
def answers_are_assigned_in_every_way(nb):
    cell(nb, "ex_1_1").source = "ex_1_1: float = 0.00196"
    cell(nb, "ex_1_2").source = "mine = ex_1_2 = 0.00394"
    cell(nb, "ex_1_3").source = 'ex_1_3, why = "A", "seen"'
    cell(nb, "ex_1_4").source = "if (ex_1_4 := 0.003937) > 1:\n    print(ex_1_4)"
    cell(nb, "ex_L1_7").source = f"try:\n    import numpy as np\nfinally:\n    {_indented(cell(nb, 'ex_L1_7').source)}"
    for one in nb.cells:
        one.metadata = nbformat.NotebookNode()


def _indented(source):
    return source.replace("\n", "\n    ")


@damage
def a_decorated_answer_without_its_mark(nb):
    lines = "import functools\n\n\n@functools.lru_cache(maxsize=None)\n"
    nb.cells.append(code(lines + cell(nb, "ex_L1_7").source))
    del nb.cells[at(nb, "ex_L1_7")]


@damage
def an_answer_is_split_into_three_parts(nb):
    index = at(nb, "ex_1_5")
    lines = nb.cells[index].source.split("\n")
    nb.cells[index].source = "\n".join(lines[:3])
    nb.cells[index + 1 : index + 1] = [code("\n".join(lines[3:6])), code("\n".join(lines[6:]))]


@damage
def an_answer_is_split_within_a_line(nb):
    index = at(nb, "ex_1_5")
    first, second = nb.cells[index].source.split("np.asarray(x)", 1)
    nb.cells[index].source = first
    nb.cells.insert(index + 1, code("np.asarray(x)" + second))


@damage
def an_answer_is_indented(nb):
    cell(nb, "ex_L1_7").source = "    " + _indented(cell(nb, "ex_L1_7").source)


@damage
def an_answer_was_pasted_with_prompts(nb):
    first, *others = cell(nb, "ex_L1_7").source.split("\n")
    cell(nb, "ex_L1_7").source = "\n".join([">>> " + first, *("... " + line for line in others)])


@damage
def odd_escapes_in_a_text(nb):
    cell(nb, "ex_1_5").source = "where = 'C:\\course\\data'\n" + cell(nb, "ex_1_5").source
    cell(nb, "ex_1_5").metadata = nbformat.NotebookNode()


@damage
def thousands_of_cells(nb):
    foreign = [nbformat.v4.new_raw_cell("x"), nbformat.v4.new_markdown_cell("y")]
    nb.cells = [*foreign * 3000, *nb.cells, *foreign * 3000]


@damage
def thousands_of_copies_of_an_answer(nb):
    nb.cells += [cell(nb, "ex_1_5")] * 3000


@damage
def a_cell_of_megabytes(nb):
    nb.cells += [nbformat.v4.new_raw_cell("x" * 2_000_000), code("data = " + "9" * 2_000_000)]


@damage
def a_cell_that_no_parser_likes(nb):
    mark = copy.deepcopy(cell(nb, "ex_1_5"))
    for source in ("(" * 90_000, "-" * 90_000 + "1", "x = 1" + "+1" * 40_000, "x = '\x00'", "def f(:"):
        nb.cells.append(nbformat.from_dict(mark | {"source": source}))


@damage
def the_notebooks_metadata_pretend_to_be_the_graders(nb):
    nb.metadata |= {"course_unreadable": 5, "course_repairs": {"a": 1}, "course_stopped": [None], "widgets": []}
    for one in nb.cells:
        one.metadata["course_unreadable"] = "yes"


@damage
def marks_of_odd_types(nb):
    odd = [[], {}, None, 7, "ex", ["ex_1_1"], {"grade_id": []}, {"grade_id": {"a": 1}}, {"grade_id": "x" * 100_000}]
    for index, one in enumerate(nb.cells):
        one.metadata = nbformat.NotebookNode(nbgrader=odd[index % len(odd)])


@damage
def control_characters_in_the_text(nb):
    cell(nb, "ex_1_1").source += "  # so\x00 says\x08 the book"
    nb.cells.insert(0, nbformat.v4.new_markdown_cell("a\x00b\x1fc"))


@damage
def half_a_character_in_an_answer(nb):
    cell(nb, "ex_1_1").source += "  # \ud83d"
    cell(nb, "ex_1_2").source += "  # \ude00\ud83d"


@damage
def attachments_and_fields_of_odd_types(nb):
    for one in nb.cells:
        one |= {"attachments": 7, "id": {"a": []}, "execution_count": "many", "outputs": {"a": 1}, "extra": None}


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


@file
def an_answered_copy_lies_beside_the_untouched_release(path):
    path.rename(path.with_name(f"{CHAPTER}-Copy1.ipynb"))
    nbformat.write(nbformat.read(chapters.release_path(CHAPTER), as_version=4), path)


@file
def saved_in_format_3_with_two_worksheets(path):
    cells = saved(path)["cells"]
    for one in cells:
        if one["cell_type"] == "code":
            one |= {"input": one.pop("source"), "language": "python", "prompt_number": 3}
    halves = [{"cells": cells[:20], "metadata": {}}, {"cells": cells[20:], "metadata": {}}]
    save(path, {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": halves})


@file
def of_a_format_to_come(path):
    save(path, saved(path) | {"nbformat": "5", "nbformat_minor": None})


@file
def compressed(path):
    path.write_bytes(gzip.compress(path.read_bytes()))


@file
def zipped(path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.write(path, f"homework/{path.name}")
        zipped.writestr(f"__MACOSX/homework/._{path.name}", b"\0\5")
    path.write_bytes(archive.getvalue())


@file
def saved_as_utf_16_without_a_mark(path):
    path.write_bytes(path.read_text("utf-8").encode("utf-16-le"))


@file
def an_old_alphabet_in_a_comment(path):
    marked = path.read_bytes().replace(b"ex_1_1 = 0.00196", b"ex_1_1 = 0.00196  # gem\xe4\xdf Tabelle")
    path.write_bytes(marked)


@file
def rubbish_behind_the_end(path):
    path.write_bytes(path.read_bytes() + b"\n}\n" + bytes(4096))


@file
def in_an_answer_of_Jupyters_contents_API(path):
    save(path, {"name": path.name, "type": "notebook", "format": "json", "content": saved(path)})


@file
def in_a_list(path):
    save(path, [None, [saved(path)]])


@file
def only_the_list_of_its_cells(path):
    save(path, saved(path)["cells"])


@file
def a_text_that_holds_the_notebook(path):
    save(path, json.dumps(saved(path)))


@file
def the_cells_are_numbered(path):
    data = saved(path)
    save(path, data | {"cells": {str(index): one for index, one in enumerate(data["cells"])}})


@file
def lines_without_their_ends(path):
    data = saved(path)
    for one in data["cells"]:
        one["source"] = one["source"].split("\n")
    save(path, data)


@file
def cells_of_no_type(path):
    data = saved(path)
    for index, one in enumerate(data["cells"]):
        one["cell_type"] = [None, 7, ["code"], {}][index % 4]
    save(path, data)


@file
def numbers_that_are_none(path):
    data = saved(path) | {"metadata": {"a": float("nan"), "b": float("-inf"), "c": 10**4000}}
    path.write_text(json.dumps(data).replace("0" * 4000, "0" * 6000), "utf-8")


@file
def keys_stand_twice(path):
    path.write_text(re.sub(r'"cell_type":', '"source": "old", "metadata": [], "cell_type":', path.read_text("utf-8")))


@file
def metadata_nested_without_end(path):
    deep = '{"a":' * 50_000 + "1" + "}" * 50_000
    path.write_text(json.dumps(saved(path) | {"metadata": 0}).replace('"metadata": 0', f'"metadata": {deep}'))


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
    cells = [nbformat.v4.new_markdown_cell("# Pandas"), code("import numpy as np")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


@unreadable
def a_link_to_another_file(path):
    path.unlink()
    path.symlink_to("/etc/hosts")


@unreadable
def conflict_markers_of_a_merge(path):
    lines = json.dumps(saved(path), indent=1).split("\n")
    lines[20:20] = ["<<<<<<< HEAD", "=======", '"source": ""', ">>>>>>> theirs"]
    path.write_text("\n".join(lines), "utf-8")


@unreadable
def a_saved_web_page(path):
    path.write_text("<!DOCTYPE html>\n<html><body>Sign in to Colab</body></html>", "utf-8")


@unreadable
def an_address_of_a_notebook(path):
    path.write_text("https://colab.research.google.com/drive/1a2b3c", "utf-8")


@unreadable
def the_notebook_as_a_script(path):
    path.write_text("# %%\nex_1_1 = 0.00196\n", "utf-8")


@unreadable
def zeros_only(path):
    path.write_bytes(bytes(10_000))


@unreadable
def a_damaged_archive(path):
    path.write_bytes(gzip.compress(path.read_bytes())[:10] + b"\xff" * 1000)


@unreadable
def cells_without_text(path):
    data = saved(path)
    for one in data["cells"]:
        one["source"] = {"text": None}
    save(path, data)


@unreadable
def cells_that_are_no_list(path):
    save(path, {"cells": None, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
