"""The static pages: the release's cells, the reference run's outputs, nothing secret, readable on a phone."""

import html
import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from conftest import CHAPTERS, secret_lines
from PIL import Image
from playwright.sync_api import expect

from autograder import CourseError
from autograder.authoring import chapters
from autograder.showing import played, site_pages
from autograder.showing.browser import chromium

CHAPTER = "ch01_quantization"


def text_of(page):
    """The text that a page shows, line by line, without tags."""
    return html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)))


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
    scripts = re.findall(r"<script([^>]*)>", page)
    assert set(scripts) <= {"", ' type="application/json"'}
    assert scripts.count("") == 1  # the one that moves figures, which stands in the page
    assert not re.findall(r"""(?:<[^>]* src|<link[^>]* href)=["']?(?:https?:)?//""", page)


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
    assert len(pictures) == page.count("<img") == 8
    assert page.count('<figure class="moving">') == 4
    for path, alt in pictures:
        assert (site / path).read_bytes().startswith(b"\x89PNG")
        assert len(alt) > 10


def moved(page):
    """What each moving figure of the page's HTML holds."""
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]


def test_live_figures_come_with_all_their_frames_in_few_bytes(site):
    page = (site / f"{CHAPTER}.html").read_text("utf-8")
    assert "drawn by the reference solution" in page
    for figure in moved(page):
        count = np.prod([len(control["texts"]) for control in figure["controls"]])
        assert len(figure["captions"]) == count >= 7
        along = len(figure["controls"][-1]["texts"])
        assert len(figure["strips"]) * along == count
        assert sum((site / path).stat().st_size for path in figure["strips"]) <= 400_000
        for path in figure["strips"]:
            width, height = figure["size"]
            assert Image.open(site / path).size == (along * width, height)
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) <= 1_500_000  # ten chapters: 15 MB


def test_frames_are_drawn_once_for_each_run(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(site_pages.recorder, "replay", lambda path, width: path)
    monkeypatch.setattr(site_pages.moving, "frames", lambda live: drawn.append(live))
    for name in ("0.live", "1.live", "0.live"):
        assert site_pages._frames(tmp_path / name) is None
    assert drawn == [str(tmp_path / "0.live"), str(tmp_path / "1.live")]


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
DESK = {"viewport": {"width": 1300, "height": 900}}


@pytest.mark.parametrize("device", [PHONE, DESK], ids=["phone", "desk"])
def test_keys_mouse_and_touch_move_the_pictures_at_once(device, site, browser):
    page = browser.new_context(**device).new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto((site / f"{CHAPTER}.html").as_uri())
    figure = page.locator("figure.moving").first
    figure.scroll_into_view_if_needed()
    canvas, still = figure.locator("canvas"), figure.locator("img")
    canvas.wait_for(state="visible")
    assert not still.is_visible()
    first = canvas.screenshot()
    bits, clip = figure.locator("input").all()
    bits.press("ArrowLeft")
    page.wait_for_timeout(200)  # its strip comes from the disk
    fewer = canvas.screenshot()
    assert fewer != first
    assert figure.locator("output").first.text_content() == "3"
    assert "8 levels" in figure.locator("p").text_content()
    bits.press("ArrowRight")
    assert canvas.screenshot() == first  # loaded before: shown within the event
    place = clip.bounding_box()
    at = place["x"] + 0.3 * place["width"], place["y"] + place["height"] / 2
    (page.touchscreen.tap if device is PHONE else page.mouse.click)(*at)
    assert 0.2 <= float(figure.locator("output").last.text_content()) <= 0.5  # of a few positions from 0.10 to 1.00
    assert canvas.screenshot() != first
    assert bits.get_attribute("aria-valuetext") == "4"
    assert canvas.get_attribute("aria-label").startswith("Three panels")
    assert errors == []
    page.context.close()


@pytest.fixture
def question(site, browser):
    """question(**device) -> the place of Chapter 1's question, on a page of its own."""
    opened = []

    def open_one(**device):
        opened.append(browser.new_context(**device))
        page = opened[-1].new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto((site / f"{CHAPTER}.html").as_uri())
        place = page.locator(".predict")
        assert place.count() == 1
        place.scroll_into_view_if_needed()
        return place

    yield open_one
    for context in opened:
        context.close()


@pytest.mark.parametrize("device", [PHONE, DESK], ids=["phone", "desk"])
def test_a_question_stands_before_its_figure_which_opens_with_the_prediction(device, question):
    place = question(**device)
    page, canvas, slider = place.page, place.locator("canvas"), place.get_by_role("slider")
    expect(place.locator("figure")).to_be_hidden()
    assert slider.get_attribute("aria-valuetext") == "6 dB"
    slider.press("ArrowLeft")
    assert place.locator("output").first.text_content() == "5 dB"
    page.keyboard.press("Tab")
    expect(place.get_by_role("button", name="That is my prediction")).to_be_focused()
    page.keyboard.press("Enter")
    canvas.wait_for(state="visible")
    status = place.locator("p.asked[role=status]")
    happened = r".+\?\nYou predicted 5 dB\. What happens: [\d.]+ dB; with 2 bits it is [\d.]+ dB"
    assert re.fullmatch(happened, status.inner_text())
    expect(place.locator("figure input").first).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.reload()  # it is kept in this browser
    expect(place.locator("p.asked[role=status]")).to_contain_text("You predicted 5 dB.")
    expect(place.locator("figure")).to_be_visible()


def test_skipping_is_one_press(question):
    place = question(**PHONE)
    place.get_by_role("button", name="Skip").tap()
    expect(place.locator("canvas")).to_be_visible()
    assert "?\nWhat happens: " in place.locator("p.asked[role=status]").inner_text()


def test_a_choice_is_asked_for_before_it_is_taken(site, question):
    place = question(**DESK)
    asked = {"question": "Which?", "texts": ["one", "two", "<b>"], "slider": False, "happened": "two & more"}
    page = place.page
    html_of = (site / f"{CHAPTER}.html").read_text("utf-8")
    other = re.sub(r'data-asked="[^"]+"', lambda _: f'data-asked="{html.escape(json.dumps(asked))}"', html_of)
    page.set_content(other)
    place.get_by_role("button", name="That is my prediction").click()
    expect(place.get_by_role("alert")).to_have_text("Choose an answer first, or press Skip.")
    place.get_by_role("radio", name="one").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(place.get_by_role("radio", name="<b>")).to_be_checked()
    page.keyboard.press("Enter")
    expect(place.locator("p.asked[role=status]")).to_have_text("Which?You predicted <b>. What happens: two & more")


def test_without_scripts_the_figure_is_open(question):
    place = question(java_script_enabled=False)
    assert place.locator("img").is_visible()
    assert place.locator("button").count() == 0


def test_without_scripts_the_picture_stands_still(site, browser):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((site / f"{CHAPTER}.html").as_uri())
    figure = page.locator("figure.moving").first
    assert figure.locator("img").is_visible()
    assert figure.locator("input").count() == 0
    assert "A live figure, drawn by the reference solution." in figure.locator("figcaption").text_content()
    page.context.close()


def test_without_its_frames_a_figure_says_so_and_keeps_its_picture(site, browser, tmp_path):
    shutil.copytree(site, tmp_path / "site", ignore=shutil.ignore_patterns("*.webp"))
    page = browser.new_page()
    page.goto((tmp_path / "site" / f"{CHAPTER}.html").as_uri())
    figure = page.locator("figure.moving").first
    figure.scroll_into_view_if_needed()
    expect(figure.locator("figcaption")).to_contain_text("did not load: reload the page")
    assert figure.locator("img").is_visible()
    page.close()


def test_what_was_run_is_kept_until_the_chapter_changes(site, course_copy):
    kept = course_copy / ".make" / "played" / CHAPTER / "played.ipynb"
    first = kept.stat().st_mtime_ns
    command = [sys.executable, "-m", "autograder", "site", CHAPTER]
    environment = os.environ | {"NBGRADER_EXECUTION": "autograde", "COURSE_DRAWS": "1"}
    subprocess.run(command, cwd=course_copy, env=environment, capture_output=True, check=True)
    assert kept.stat().st_mtime_ns == first
    assert sorted(path.name for path in site.iterdir()) == [CHAPTER, f"{CHAPTER}.html", "index.html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_page_without_scrolling_sideways(scheme, site, all_pages, browser, tmp_path):
    for chapter, page in all_pages.items():
        (tmp_path / f"{chapter}.html").write_text(page, "utf-8")
    page = browser.new_context(**PHONE, color_scheme=scheme).new_page()
    for path in [*sorted(tmp_path.glob("*.html")), *sorted(site.glob("*.html"))]:
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 390, path.name
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 29)"}[scheme]
    page.context.close()


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
