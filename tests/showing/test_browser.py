"""The chapters in JupyterLab, in a real Chromium: run all of them, move every control, answer, validate.

One server and one browser serve the whole file. While one chapter's controls are moved, the next one runs.
"""

import itertools
import re
import subprocess
import sys

import nbformat
import pytest
from conftest import CHAPTERS
from live_figures import SEEN, WATCH, areas, at_ends, drag, picture, wait_for_picture
from playwright.sync_api import expect

from autograder import ROOT
from autograder.authoring import chapters, sample_class
from autograder.showing.browser import chromium, close, open_notebook, run_all, wait_until_run
from autograder.showing.lab import served

FIRST = "ch01_quantization"
SHORT = "%env NBGRADER_EXECUTION=autograde\n%env COURSE_DRAWS=1"


def released(chapter):
    return nbformat.read(chapters.release_path(chapter), as_version=4)


def answered(chapter):
    """The release with right answers; what trains is cut short, as while grading, and figures are drawn."""
    notebook = sample_class.submission("ada", chapter)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SHORT))
    return notebook


def up_to(notebook, grade_id):
    """The notebook as far as the cell of that id."""
    last = [chapters.grade_id(cell) for cell in notebook.cells].index(grade_id)
    notebook.cells = notebook.cells[: last + 1]
    return notebook


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """lab(notebook, chapter, folder) opens a notebook as that chapter's, in a folder and a page of its own."""
    root = tmp_path_factory.mktemp("lab")
    with served(root) as address, chromium() as browser:
        context = browser.new_context(viewport={"width": 1500, "height": 1000})

        def open_page(notebook, chapter, folder):
            path = root / folder / chapter / f"{chapter}.ipynb"
            path.parent.mkdir(parents=True)
            nbformat.write(notebook, path)
            return open_notebook(context, address, path.relative_to(root))

        yield open_page


@pytest.fixture(scope="module")
def pages():
    return {}


@pytest.fixture(scope="module", params=CHAPTERS)
def page(request, lab, pages):
    """Each chapter in turn, answered and run; its kernel ends when the tests have seen it."""
    for chapter in CHAPTERS[CHAPTERS.index(request.param) :][:2]:
        if chapter not in pages:
            pages[chapter] = lab(answered(chapter), chapter, "answered")
            run_all(pages[chapter])
    page = pages[request.param]
    page.bring_to_front()
    wait_until_run(page)
    questions = page.get_by_role("button", name="Skip", exact=True)
    while left := questions.count():  # every figure is looked at
        questions.first.press("Enter")
        expect(questions).to_have_count(left - 1)
    yield page
    close(page)


def test_all_cells_run_without_an_error(page):
    assert page.locator('[data-mime-type*="jupyter.error"], [data-mime-type*="jupyter.stderr"]').all_inner_texts() == []
    assert areas(page)


def test_every_picture_has_words(page):
    pictures = page.locator(".jp-OutputArea-output img:not([hidden])")
    words = pictures.evaluate_all("images => images.map(image => image.alt || image.title || image.ariaLabel || '')")
    assert len(words) >= len(areas(page))
    assert all(words)


def test_every_control_is_named_as_it_is_labelled(page):
    for area in areas(page):
        for control in area.locator(".widget-inline-hbox", has=page.locator("[role=slider], select")).all():
            label = control.locator(".widget-label").inner_text()
            named = [control.get_by_role(role, name=label, exact=True) for role in ("slider", "combobox")]
            assert sum(each.count() for each in named) == 1, control.aria_snapshot()


def test_the_tab_key_goes_from_slider_to_slider(page):
    for area in areas(page):
        sliders = area.get_by_role("slider").all()
        for slider, following in itertools.pairwise(sliders):
            slider.focus()
            for _ in range(2):  # a slider's number can be typed, too: it is the stop between them
                if not following.evaluate("slider => slider === document.activeElement"):
                    page.keyboard.press("Tab")
            expect(following).to_be_focused()


def test_every_slider_follows_the_keys_and_the_mouse_without_flicker(page):
    for area in areas(page):
        area.scroll_into_view_if_needed()
        area.evaluate(WATCH)
        for slider in area.get_by_role("slider").all():
            low, high = at_ends(area, slider)
            for end, wanted in ((1, high), (0, low)):
                drag(slider, end)
                wait_for_picture(area, f"picture === '{wanted}'")
        seen = area.evaluate(SEEN)
        assert seen["flicker"] == seen["messages"] == []


def test_every_choice_changes_the_picture(page):
    for area in areas(page):
        for choice in area.get_by_role("combobox").all():
            for option in choice.locator("option").all_inner_texts()[::-1]:
                before = picture(area)
                choice.select_option(option)
                wait_for_picture(area, f"picture !== '{before}'")
        for switch in area.locator("input[type=checkbox], button.widget-toggle-button:visible").all():
            before = picture(area)
            switch.press("Space")
            wait_for_picture(area, f"picture !== '{before}'")
        assert area.get_by_role("alert").filter(has_text="Error").all_inner_texts() == []


ASKED = """
import numpy as np

from course.figures import Predict, quantization


def rounded(x, bits, lo, hi):
    scale = (hi - lo) / (2**bits - 1)
    return np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo


Predict(
    quantization.quantizer(rounded, np.linspace(-1, 1, 99)),
    "What happens to the error when a bit is taken away?",
    happened=lambda: " instead of ".join(f"{abs(rounded(0.4, bits, -1, 1) - 0.4):.3f}" for bits in (3, 4)),
    choices=["it stays", "it doubles", "it is four times as large"],
)
"""


def test_a_prediction_is_made_with_the_keys_and_stays_when_the_cell_runs_again(lab):
    notebook = released(FIRST)
    notebook.cells = [nbformat.v4.new_code_cell(ASKED)]
    page = lab(notebook, FIRST, "asked")
    run_all(page)
    wait_until_run(page)
    assert areas(page) == []
    first = page.get_by_role("radiogroup", name="What happens to the error").get_by_role("radio").first
    first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="it doubles")).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="That is my prediction")).to_be_focused()
    page.keyboard.press("Enter")
    said = page.locator(".course-predict").get_by_role("status")
    expect(said).to_have_text(re.compile(r"\?You predicted it doubles\. What happens: 0\.\d+ instead of 0\.\d+"))
    (area,) = areas(page)
    before = picture(area)
    expect(said).to_be_focused()
    page.keyboard.press("Tab")
    expect(area.get_by_role("slider", name="bits")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    wait_for_picture(area, f"picture !== '{before}'")

    page.locator(".jp-CodeCell .cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".jp-InputPrompt")).to_have_text("[2]:")
    expect(said).to_have_text(re.compile("You predicted it doubles"))
    assert len(areas(page)) == 1
    close(page)


@pytest.fixture(scope="module")
def unanswered(lab):
    """Chapter 1 as released, as far as its first Build, run from top to bottom."""
    page = lab(up_to(released(FIRST), "test_1_5"), FIRST, "unanswered")
    run_all(page)
    wait_until_run(page)
    yield page
    close(page)


def below(page, heading):
    """(answer cell, check cell): the two code cells below an exercise's heading."""
    cells = page.locator(f".jp-MarkdownCell:has(:text('{heading}')) ~ .jp-CodeCell")
    return cells.nth(0), cells.nth(1)


def answer(page, exercise, text):
    """Write `text` into the exercise's answer cell, run that and its check; what the check says then."""
    page.bring_to_front()
    written, check = below(page, f"Exercise {exercise} ·")
    written.locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)
    for cell in (written, check):
        cell.locator(".cm-content").click()
        before = cell.locator(".jp-InputPrompt").inner_text()
        page.keyboard.press("Control+Enter")
        expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"))
        expect(cell.locator(".jp-InputPrompt")).not_to_have_text(before)
    return check.get_by_role("status").inner_text()


def test_an_unanswered_chapter_says_what_is_missing(unanswered):
    _, check = below(unanswered, "Exercise 1.1 ·")
    assert "Exercise 1.1: no answer yet." in check.get_by_role("status").inner_text()
    _, check = below(unanswered, "Exercise 1.5 ·")
    assert "NotImplementedError: your code here" in check.locator(".jp-OutputArea").inner_text()


def test_a_wrong_answer_meets_the_hint_and_the_right_one_counts(unanswered, exercises_of):
    solution = exercises_of(FIRST)["1.1"].answer.source
    hint = re.search(r"# hint: (.*)", solution)[1]
    first = answer(unanswered, "1.1", "ex_1_1 = 4096")
    assert "not yet" in first
    assert hint not in first
    assert hint in answer(unanswered, "1.1", "ex_1_1 = 4097")
    said = answer(unanswered, "1.1", sample_class.answers("ada", FIRST)["1.1"].source)
    assert "Exercise 1.1: right." in said
    assert "Chapter 1: 1 of 6" in said


def validated(page):
    """What nbgrader's Validate button says."""
    page.bring_to_front()
    page.get_by_text("Validate", exact=True).click()
    said = page.locator("#validation-message")
    said.wait_for(timeout=120_000)
    return said.inner_text()


def test_validate_names_what_is_missing(lab):
    page = lab(up_to(released(FIRST), "test_1_2"), FIRST, "missing")
    said = validated(page)
    assert "Exercise 1.1: no answer yet." in said
    assert "Exercise 1.2: no answer yet." in said


def test_validate_passes_right_answers(lab):
    page = lab(up_to(sample_class.submission("ada", FIRST), "test_1_2"), FIRST, "right")
    assert validated(page) == "Success! Your notebook passes all the tests."


def test_a_missing_browser_is_one_line_with_the_way_out(tmp_path):
    start = "from autograder.showing.browser import chromium\nwith chromium(): pass"
    nowhere = {"PATH": str(tmp_path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", start], cwd=ROOT, env=nowhere, capture_output=True, text=True)
    *_, last = done.stderr.splitlines()
    assert last.startswith("autograder.CourseError: Chromium is missing: type sudo apt-get install chromium")
