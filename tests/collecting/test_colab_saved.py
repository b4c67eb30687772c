"""What Colab saves comes back: collected from files, folders and zips by any of its names, and graded the same."""

import json
import zipfile

import nbformat
import pytest
from conftest import scores

from autograder.authoring import sample_class
from autograder.authoring.bank import damage

CHAPTER = "ch01_quantization"
STUDENT = "fay"  # right answers and a wrong one
COPIES = {
    "plain": "plain_ch01_quantization.ipynb",
    "file": "file_ch01_quantization.ipynb",
    "copied": "Copy of copied_ch01_quantization.ipynb",
    "folder": "folder_homework/Copy of ch01_quantization.ipynb",
    "zipped": "zipped_homework.zip",
}


@pytest.fixture(scope="module")
def collected(course_copy, nbgrader):
    """The course with one learner's work handed in five ways, collected."""
    archive = course_copy / "downloaded" / CHAPTER / "archive"
    for student, name in COPIES.items():
        path = archive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        work = sample_class.submission(STUDENT, CHAPTER)
        if student == "plain":
            nbformat.write(work, path)
            continue
        saved = path.with_suffix(".ipynb")
        damage.apply("as colab writes it", work, saved)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as zipped:
                zipped.write(saved, "Colab Notebooks/Copy of ch01_quantization.ipynb")
            saved.unlink()
    nbgrader("generate_assignment", CHAPTER, "--force")
    nbgrader("zip_collect", CHAPTER, "--force")
    return course_copy


def test_it_looks_as_colab_writes_it(collected):
    saved = json.loads((collected / "submitted" / "zipped" / CHAPTER / f"{CHAPTER}.ipynb").read_text("utf-8"))
    assert (saved["nbformat"], saved["nbformat_minor"]) == (4, 0)
    assert "widgets" in saved["metadata"]
    assert not any("id" in cell for cell in saved["cells"])
    assert all("id" in cell["metadata"] and isinstance(cell["source"], list) for cell in saved["cells"])
    assert any("image/png" in output.get("data", {}) for cell in saved["cells"] for output in cell.get("outputs", []))


def test_every_copy_is_collected_for_its_student(collected):
    found = collected.glob(f"submitted/*/{CHAPTER}/{CHAPTER}.ipynb")
    assert sorted(path.parent.parent.name for path in found) == sorted(COPIES)


def test_every_copy_is_graded_as_the_plain_one(collected, nbgrader):
    nbgrader("autograde", CHAPTER)
    graded = scores(collected, CHAPTER)
    assert sum(graded["plain"].values()) > 0
    assert 0 in graded["plain"].values()
    for student in COPIES:
        assert graded[student] == graded["plain"], student
