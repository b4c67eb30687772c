"""The static pages: the release's cells, the reference run's outputs, nothing secret, readable on a phone."""

import html
import os
import re
import subprocess
import sys

import nbformat
import pytest
from conftest import CHAPTERS, secret_lines

from autograder import CourseError
from autograder.authoring import chapters
from autograder.showing import played, site_pages
from autograder.showing.browser import chromium

CHAPTER = "ch01_quantization"


def text_of(page):
    """The text that a page shows, line by line, without tags."""
    return html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))


def lines_of(page):
    return {line.strip() for line in text_of(page).splitlines()}


@pytest.fixture(scope="module")
def all_pages(tmp_path_factory):
    """{chapter: HTML} of every chapter, without running any: the sources' notebooks stand in for their runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(played, "play", lambda only: None)
        patch.setattr(played, "read", lambda chapter: nbformat.read(chapters.source_path(chapter), as_version=4))
        patch.setattr(site_pages, "SITE", tmp_path_factory.mktemp("pages") / "site")
        folder = site_pages.write(CHAPTERS)
    return {chapter: (folder / f"{chapter}.html").read_text("utf-8") for chapter in ["index", *CHAPTERS]}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_page_holds_the_release_and_nothing_secret(chapter, all_pages):
    page = all_pages[chapter]
    assert not secret_lines(chapter) & lines_of(page)
    assert "BEGIN SOLUTION" not in page
    assert "HIDDEN TESTS" not in page
    release = nbformat.read(chapters.release_path(chapter), as_version=4)
    for exercise in chapters.exercises_released(release):
        assert chapters.HEADING.search(exercise.text)[0].removeprefix("### ") in text_of(page)
        assert exercise.answer.source.splitlines()[-1].strip() in lines_of(page)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_formulas_are_mathml_and_nothing_comes_from_another_host(chapter, all_pages):
    page = all_pages[chapter]
    source = "".join(cell.source for cell in chapters.read(chapter).cells if cell.cell_type == "markdown")
    assert page.count("<math") >= source.count("$$") // 2 > 0 or "$$" not in source
    prose = re.sub(r"<(pre|code)>.*?</\1>", "", page, flags=re.DOTALL)
    assert not re.findall(r"\\(?:frac|text|left|hat|sum|cdot)\b|\$", text_of(prose))
    assert "<script" not in page
    assert not re.findall(r"""(?:src|<link[^>]* href)=["']?(?:https?:)?//""", page)


def test_pages_lead_to_their_neighbours_and_the_index_to_all(all_pages):
    for before, chapter, after in zip([None, *CHAPTERS], CHAPTERS, [*CHAPTERS[1:], None], strict=False):
        links = re.findall(r'<a rel="(prev|next)" href="([^"]+)"', all_pages[chapter])
        wanted = [("prev", f"{before}.html")] * bool(before) + [("next", f"{after}.html")] * bool(after)
        assert links == wanted * 2  # above and below
        assert f'<a href="{chapter}.html">' in all_pages["index"]
        for target in re.findall(r'href="#([^"]+)"', all_pages[chapter]):
            assert f'id="{target}"' in all_pages[chapter]


@pytest.fixture(scope="module")
def site(course_copy):
    """site/ of one chapter, whose source was run; what trains is cut short."""
    command = [sys.executable, "-m", "autograder", "site", CHAPTER]
    environment = os.environ | {"NBGRADER_EXECUTION": "autograde", "COURSE_DRAWS": "1"}
    done = subprocess.run(command, cwd=course_copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {course_copy}/site/index.html\n"
    return course_copy / "site"


def test_experiments_show_their_outputs_and_unanswered_cells_none(site):
    page = (site / f"{CHAPTER}.html").read_text("utf-8")
    assert not secret_lines(CHAPTER) & lines_of(page)
    assert "range [-1, 1]: 0.0237 comes back as" in text_of(page)
    assert "put out by the reference solution" in text_of(page)
    assert not re.search(r"</pre>\s+</div>\s*<div class=\"output\">\s*<pre>", page)  # printed in pieces, shown in one
    assert not re.search(r"Exercise \d+\.\d+: (right|not yet|the visible checks)|Traceback|Error:", text_of(page))
    for part in re.findall(
        r'<(?:div class="cell answer"|details class="cell").*?</(?:div>\n*</div|details)>', page, re.DOTALL
    ):
        assert 'class="output"' not in part


def test_pictures_are_there_with_words_for_those_who_cannot_see_them(site):
    page = (site / f"{CHAPTER}.html").read_text("utf-8")
    pictures = re.findall(r'<img src="([^"]+)" alt="([^"]+)"', page)
    assert len(pictures) == page.count("<img") == 7
    assert page.count("A live figure:") == 3
    for path, alt in pictures:
        assert (site / path).read_bytes().startswith(b"\x89PNG")
        assert len(alt) > 10


def test_what_was_run_is_kept_until_the_chapter_changes(site, course_copy):
    kept = course_copy / ".make" / "played" / CHAPTER / "played.ipynb"
    first = kept.stat().st_mtime_ns
    command = [sys.executable, "-m", "autograder", "site", CHAPTER]
    environment = os.environ | {"NBGRADER_EXECUTION": "autograde", "COURSE_DRAWS": "1"}
    subprocess.run(command, cwd=course_copy, env=environment, capture_output=True, check=True)
    assert kept.stat().st_mtime_ns == first
    assert sorted(path.name for path in site.iterdir()) == [CHAPTER, f"{CHAPTER}.html", "index.html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_page_without_scrolling_sideways(scheme, site, all_pages, tmp_path):
    for chapter, page in all_pages.items():
        (tmp_path / f"{chapter}.html").write_text(page, "utf-8")
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, color_scheme=scheme)
        page = context.new_page()
        for path in [*sorted(tmp_path.glob("*.html")), *sorted(site.glob("*.html"))]:
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == 390, path.name
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 29)"}[scheme]


def test_a_missing_or_old_release_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(chapters, "release_path", lambda chapter: chapters.ROOT / "release" / "nowhere.ipynb")
    with pytest.raises(CourseError, match=r"^release/nowhere.ipynb is missing: run make release$"):
        site_pages.write([CHAPTER])
    monkeypatch.undo()
    monkeypatch.setattr(chapters, "source_path", lambda chapter: chapters.release_path("ch02_ptq"))
    with pytest.raises(CourseError, match=r"is older than its source: run make source release$"):
        site_pages.write([CHAPTER])


def test_a_chapter_whose_solution_fails_is_named_with_its_cell(course_copy):
    text = course_copy / "source" / "ch02_ptq" / "ch02_ptq.py"
    text.write_text(
        re.sub(r"^from course import ready$", "import nothing_there", text.read_text("utf-8"), flags=re.M), "utf-8"
    )
    command = [sys.executable, "-m", "autograder", "site", "ch02_ptq"]
    done = subprocess.run(command, cwd=course_copy, capture_output=True, text=True)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "site: ch02_ptq raised ModuleNotFoundError: No module named 'nothing_there'; make source/ch02_ptq run"
    )
    assert not (course_copy / ".make" / "played" / "ch02_ptq" / "digest").exists()
