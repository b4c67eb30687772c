"""What was handed in becomes values: bounded, without links, and with a digest of all that is graded."""

import os

import nbformat
import pytest
from small_course import CHAPTER, listed

from autograder.authoring import chapters
from autograder.grading import files, submission
from autograder.grading.kernels import remove

MOST = 2**20


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "helpers.py").write_text("size = 1")
    (tmp_path / "data" / "x.csv").write_bytes(b"\xff\x00")
    (tmp_path / f"{CHAPTER}.ipynb").write_text("{}")
    return tmp_path


def test_files_beside_the_notebook_travel_with_it(folder):
    assert files.gather(folder, MOST) == ({"helpers.py": b"size = 1", "data/x.csv": b"\xff\x00"}, [])


def test_links_and_devices_stay_behind_and_that_is_said(folder):
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "data" / "root").symlink_to("/")
    os.mkfifo(folder / "pipe")
    found, left_out = files.gather(folder, MOST)
    assert sorted(found) == ["data/x.csv", "helpers.py"]
    assert sorted(left_out) == [f"{name}: a link or a device" for name in ("data/root", "link", "pipe")]


def test_what_is_hidden_is_nobodys_business(folder):
    for name in (".git", "__pycache__", ".ipynb_checkpoints"):
        (folder / name).mkdir()
        (folder / name / "x").write_text("x")
    (folder / submission.MARK).write_text("{}")
    assert len(files.gather(folder, MOST)[0]) == 2


def test_more_than_anybody_puts_beside_a_notebook_is_left_out(folder, monkeypatch):
    (folder / "big").write_bytes(bytes(MOST + 1))
    assert sorted(files.gather(folder, MOST)[0]) == ["data/x.csv", "helpers.py"]
    monkeypatch.setattr(files, "FEW", 1)
    found, left_out = files.gather(folder, MOST)
    assert len(found) == 1
    assert "more than 1 files" in left_out[0]


def test_a_folder_nested_thousands_deep_ends_nothing(folder):
    here = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    found, left_out = files.gather(folder, MOST)
    remove(folder / "d")  # pytest's own way would end here
    assert sorted(found) == ["data/x.csv", "helpers.py"]
    assert "folders deep" in left_out[0]


def test_the_digest_follows_all_that_is_graded(folder):
    def digest(graded_by="grader"):
        return submission.read("ada", folder, MOST).digest(graded_by)

    seen = [digest()]
    assert digest() == seen[0]
    seen.append(digest("another grader"))
    (folder / "helpers.py").write_text("size = 2")
    seen.append(digest())
    (folder / "helpers.py").rename(folder / "helper.py")
    seen.append(digest())
    (folder / f"{CHAPTER}.ipynb").write_text("[]")
    seen.append(digest())
    (folder / f"{CHAPTER}-Copy1.ipynb").write_text("[]")
    seen.append(digest())
    assert len(set(seen)) == len(seen)


def test_a_linked_notebook_is_an_empty_one(folder):
    (folder / f"{CHAPTER}.ipynb").unlink()
    (folder / f"{CHAPTER}.ipynb").symlink_to("/etc/hosts")
    assert submission.read("ada", folder, MOST).notebooks == {f"{CHAPTER}.ipynb": b""}


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-45", "\x00", "9" * 5000, "2026-11-25 10:00:00 Nowhere/Land!"]
)
def test_a_timestamp_that_says_no_time_stops_nobody(folder, text):
    (folder / "timestamp.txt").write_text(text)
    handed_in = submission.read("ada", folder, MOST)
    assert handed_in.handed_in is None or handed_in.handed_in.year == 2026


def test_a_timestamp_is_read(folder):
    (folder / "timestamp.txt").write_text("2026-11-25 10:00:00 UTC\n")
    assert submission.read("ada", folder, MOST).handed_in.hour == 10


def test_a_learners_own_module_arrives(small_course):
    def with_module(notebook):
        for cell in notebook.cells:
            if chapters.grade_id(cell) == "ex_1_4":
                cell.source = "from helpers import step\n\nex_1_4 = step(8)"

    path = small_course.submit("bob", with_module)
    (path.parent / "helpers.py").write_text("def step(bits):\n    return 1 / (2**bits - 2)\n")
    small_course.autograde()
    assert small_course.scores()["bob"] == small_course.most
    assert (small_course.root / "autograded" / "bob" / CHAPTER / "helpers.py").exists()


def test_of_several_notebooks_the_answered_one_is_taken_and_it_is_said(small_course):
    path = small_course.submit("bob")
    path.rename(path.with_name(f"{CHAPTER}-Copy1.ipynb"))
    nbformat.write(small_course.released(), path)
    account = small_course.autograde()
    assert small_course.scores()["bob"] == small_course.most
    assert f"{CHAPTER}-Copy1.ipynb was taken" in account
    assert "bob" in listed(account, "noticed")
