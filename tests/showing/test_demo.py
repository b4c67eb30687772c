"""The demo pages: made from the chapters' own cells, served to several viewers, driven from the keyboard."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
from conftest import CHAPTERS
from matplotlib.figure import Figure
from playwright.sync_api import expect

from autograder import CourseError
from autograder.authoring import chapters
from autograder.reporting import page_text
from autograder.showing import ballots, demo_pages, ports
from autograder.showing import demo as server
from autograder.showing.browser import chromium
from autograder.showing.recorder import KEPT
from course.live import Live
from course.predict import Question

CHAPTER = "ch01_quantization"
MARKED = "section.figure.here .noUi-handle >> nth=0"
PICTURE = "document.querySelector('section.figure.here img.course-live').src"


def live_calls(source):
    """Cells of a source that show a live figure: they call a function that returns Live, within Predict or alone."""
    (module,) = re.findall(r"from course.figures import (\w+) as draw", "\n".join(c.source for c in source.cells))
    text = (chapters.ROOT / "course" / "figures" / f"{module}.py").read_text("utf-8")
    names = re.findall(r"^def (\w+)\((?:[^()]|\([^()]*\))*\) -> Live:", text, re.MULTILINE)
    pattern = re.compile(rf"^(?:Predict\(\s+)?draw\.({'|'.join(names)})\(", re.MULTILINE)
    return [cell for cell in source.cells if cell.cell_type == "code" and pattern.search(cell.source)]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_live_figure_of_a_chapter_gets_a_heading_and_something_to_look_at(chapter, tmp_path):
    source = chapters.read(chapter)
    shown = live_calls(source)
    for cell in shown:
        cell.outputs = [nbformat.v4.new_output("display_data", {KEPT: {"file": "0.live"}})]
    page = demo_pages.notebook(source, tmp_path)
    assert len(page.cells) == len(shown) > 0
    headings = [cell.metadata.course["heading"] for cell in page.cells]
    assert len(set(headings)) == len(headings)
    assert not [heading for heading in headings if re.match(r"See it|Exercise|Lab|#|\d|<", heading)]
    for cell in page.cells:
        assert 30 < len(re.sub(r"<[^>]+>", "", cell.metadata.course["look"])) < 700


def test_a_formula_becomes_mathml_and_a_name_with_an_underscore_stays_one():
    html = page_text.to_html(r"From $x_1$ to $\text{zero\_point}$." + "\n\n$$\\frac{a}{b}$$")
    assert html.count("<math") == 3
    assert "zero_point" in html
    assert "\\" not in html


@pytest.fixture(scope="module")
def demo(course_copy):
    """The served demo of one chapter: (address, process, what it printed first)."""
    port = ports.find_free()
    command = [sys.executable, "-m", "autograder", "demo", CHAPTER, "--port", str(port)]
    environment = os.environ | {"NBGRADER_EXECUTION": "autograde", "COURSE_DRAWS": "1"}  # what trains is cut short
    with subprocess.Popen(command, cwd=course_copy, env=environment, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.readline()
        yield f"http://127.0.0.1:{port}", process, said
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(demo, browser):
    """open_page(scheme) -> the chapter's page in a window of its own, with its figures there."""
    opened = []

    def open_one(scheme="light"):
        context = browser.new_context(viewport={"width": 1366, "height": 768}, color_scheme=scheme)
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(f"{demo[0]}/voila/render/{CHAPTER}.ipynb")
        page.locator("body.ready section.figure.here img.course-live").wait_for()
        page.locator(MARKED).wait_for()
        return page

    yield open_one
    for context in opened:
        for page in context.pages:
            page.close(run_before_unload=True)
        context.close()


def wait_for_viewers(process, count):
    """Return when the server runs `count` kernels; they end a moment after their pages."""
    for _ in range(150):
        kernels = [child for child in psutil.Process(process.pid).children() if child.status() != psutil.STATUS_ZOMBIE]
        if len(kernels) == count:
            return
        time.sleep(0.2)
    raise AssertionError(f"{len(kernels)} kernels instead of {count}")


def test_the_server_says_where_to_look_and_lists_the_chapters_with_their_figures(demo, browser):
    address, _, said = demo
    assert f":{address.split(':')[-1]}/" in said
    page = browser.new_page()
    page.goto(address)
    assert page.locator("li").count() == 1
    line = page.locator("li a")
    assert line.inner_text().split("\n") == ["Chapter 1 · Quantization", "4 live figures"]
    assert line.get_attribute("href") == f"voila/render/{CHAPTER}.ipynb"
    page.close()


def test_arrow_keys_move_the_slider_at_once_and_the_picture_follows(open_page):
    page = open_page()
    before = page.evaluate(PICTURE)
    bits = int(page.locator(MARKED).get_attribute("aria-valuetext").split(".")[0])
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{PICTURE} !== {before!r}")
    page.locator("section.figure.here", has_text=f"{2 ** (bits + 1)} levels").wait_for()

    page.keyboard.press("ArrowDown")  # the second control
    before = page.evaluate(PICTURE)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"{PICTURE} !== {before!r}")
    page.locator("section.figure.here", has_text="0.95").wait_for()


def test_one_figure_fills_the_screen_and_page_down_shows_the_next(open_page):
    page = open_page()
    headings = []
    for number in (1, 2, 3, 4):
        # A key changes the address, and the page follows that a moment later.
        expect(page.locator("nav.figures a[aria-current]")).to_have_text(str(number))
        assert page.locator("section.figure:visible").count() == 1
        assert page.evaluate(
            "document.documentElement.scrollWidth <= innerWidth && document.body.scrollHeight <= 1.1 * innerHeight"
        )
        headings.append(page.locator("section.figure.here h2").inner_text())
        page.keyboard.press("PageDown")
    assert len(set(headings)) == 4
    assert headings[0] == "Your quantizer on real weights"
    assert page.locator("section.figure.here h2").inner_text() == headings[-1]  # the last one stays
    page.keyboard.press("ArrowLeft")
    page.locator("section.figure.here", has_text="in blocks of 16").wait_for()


def test_no_code_is_shown_and_no_other_host_is_asked(demo, open_page):
    page = open_page()
    text = page.inner_text("body")
    assert "replay" not in text
    assert "import " not in text
    assert page.locator(".jp-InputArea:visible, .highlight:visible").count() == 0
    assert {url.split("/")[2] for url in page.asked if url.startswith("http")} == {demo[0].split("/")[2]}


def test_light_and_dark_follow_the_system_until_the_key_or_the_button_says_otherwise(open_page):
    page = open_page("dark")
    color = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(color)
    page.keyboard.press("d")
    light = page.evaluate(color)
    assert (dark, light) == ("rgb(20, 20, 20)", "rgb(255, 255, 255)")
    page.get_by_role("button", name="light or dark").click()
    assert page.evaluate(color) == dark
    page.emulate_media(color_scheme="light")
    assert page.evaluate(color) == dark
    page.keyboard.press("ArrowRight")  # the keys work after a click beside the figure, too
    page.locator("section.figure.here", has_text="32 levels").wait_for()


def test_viewers_have_kernels_of_their_own_which_end_when_they_leave(demo, open_page):
    wait_for_viewers(demo[1], 0)
    first, second = open_page(), open_page()
    wait_for_viewers(demo[1], 2)
    unmoved = second.evaluate(PICTURE)
    first.keyboard.press("ArrowRight")
    first.locator("section.figure.here", has_text="32 levels").wait_for()
    assert second.evaluate(PICTURE) == unmoved
    second.locator("section.figure.here", has_text="16 levels").wait_for()
    first.close(run_before_unload=True)
    wait_for_viewers(demo[1], 1)
    second.keyboard.press("ArrowRight")
    second.locator("section.figure.here", has_text="32 levels").wait_for()


# --- The class predicts: Chapter 1's second figure stands behind a question

HERE = "section.figure.here"
COUNTS = f"{HERE} .course-counts"


def at_the_question(page):
    """The page, at its second figure, with the question's first control marked."""
    page.keyboard.press("PageDown")
    page.locator(f"{HERE} .course-predict .noUi-handle").wait_for()
    expect(page.locator(f"{HERE} .course-predict .noUi-handle")).to_be_focused()
    return page


def test_predictions_of_several_viewers_are_counted_while_the_projector_waits(demo, open_page, course_copy):
    (course_copy / ".make" / "demo" / ballots.FILE.name).unlink(missing_ok=True)
    projector, first, second = (at_the_question(open_page()) for _ in range(3))
    expect(projector.locator(COUNTS)).to_have_text("0 predictions so far")
    assert projector.locator(f"{HERE} img.course-live").count() == 0

    first.keyboard.press("ArrowLeft")  # 6 dB to 5 dB
    expect(first.locator(f"{HERE} .widget-readout")).to_have_text("5")
    first.get_by_role("button", name="That is my prediction").locator("visible=true").click()
    expect(first.locator(f"{HERE} .course-question")).to_contain_text("You predicted 5 dB. What happens: ")
    first.locator(f"{HERE} img.course-live").wait_for()
    expect(projector.locator(COUNTS)).to_contain_text("1 prediction so far")

    second.keyboard.press("ArrowDown")
    expect(second.get_by_role("button", name="That is my prediction").locator("visible=true")).to_be_focused()
    second.keyboard.press("Enter")
    second.locator(f"{HERE} img.course-live").wait_for()
    expect(projector.locator(COUNTS)).to_contain_text("2 predictions so far")
    row = projector.locator(f"{COUNTS} tr", has_text="4 to 5 dB")
    assert row.locator("td").last.inner_text() == "1"
    assert projector.locator(f"{HERE} img.course-live").count() == 0  # it opens for its own viewer only

    first.close(run_before_unload=True)
    wait_for_viewers(demo[1], 2)
    assert "2 predictions" in projector.inner_text(COUNTS)  # who leaves keeps counting
    lines = (course_copy / ".make" / "demo" / ballots.FILE.name).read_text("utf-8").splitlines()
    kinds = [set(json.loads(line)) for line in lines]
    assert kinds.count({"question", "value"}) == 2
    assert all(kind == {"question", "value", "instead_of"} for kind in kinds if kind != {"question", "value"})

    for key in ("ArrowDown", "ArrowDown", "Enter"):  # to the button "Show"
        projector.keyboard.press(key)
    projector.locator(f"{HERE} img.course-live").wait_for()
    assert "?\nWhat happens: " in projector.inner_text(f"{HERE} .course-question")
    expect(projector.locator(COUNTS)).to_have_text("2 predictions: 5 dB to 6 dB, the middle one 5 dB.")
    before = projector.evaluate(PICTURE)
    expect(projector.locator(f"{HERE} .noUi-handle").first).to_be_focused()
    projector.keyboard.press("ArrowRight")
    projector.wait_for_function(f"{PICTURE} !== {before!r}")
    assert projector.evaluate("document.body.scrollHeight <= 1.1 * innerHeight")


def test_a_line_that_is_no_prediction_does_not_count_and_is_said(open_page, course_copy):
    file = course_copy / ".make" / "demo" / ballots.FILE.name
    file.unlink(missing_ok=True)
    page = at_the_question(open_page())
    file.write_text("not a prediction\n", "utf-8")
    said = f"1 line of {file.name} cannot be read and do not count: start make demo again for an empty file."
    expect(page.locator(f"{COUNTS} [role=alert]")).to_have_text(said)
    page.get_by_role("button", name="Show").locator("visible=true").click()
    page.locator(f"{HERE} img.course-live").wait_for()
    file.unlink()


CHOICE = Question("Which?", choices=["a", "b", "c"])
SLIDER = Question("How many?", slider=(0, 10, 0.5), unit=" dB")


def test_each_question_counts_its_own(tmp_path):
    file = tmp_path / "predictions.jsonl"
    assert ballots.read(file, CHOICE) == ([], 0)
    for question, value in [(CHOICE, "b"), (SLIDER, 3.5), (CHOICE, "b"), (CHOICE, "c")]:
        assert ballots.add(file, question, value) == ""
    assert ballots.read(file, CHOICE) == (["b", "b", "c"], 0)
    assert ballots.read(file, SLIDER) == ([3.5], 0)
    assert ballots.bars(CHOICE, ["b", "b", "c"]) == [("a", 0), ("b", 2), ("c", 1)]
    assert ballots.summary(CHOICE, ["b", "b", "c"]) == "3 predictions: a 0, b 2, c 1."


def test_an_answer_that_comes_after_the_press_counts_in_the_place_of_the_one_before(tmp_path):
    file = tmp_path / "predictions.jsonl"
    ballots.add(file, CHOICE, "b")
    drawn = Figure(figsize=(3, 2))
    live = Live(drawn, drawn.subplots().plot([0, 1]), lambda: None, alt="a line")
    ballot = ballots.Ballot(live, CHOICE.text, file=str(file), happened="a", choices=CHOICE.choices)
    for value in ("b", "a", "c"):
        ballot.control.value = value
        if value == "b":
            ballot.commit()
    assert ballots.read(file, CHOICE) == (["b", "c"], 0)
    assert "2 predictions: a 0, b 1, c 1." in ballot.counts.value


def test_many_values_are_counted_in_few_stretches():
    counted = ballots.bars(SLIDER, [0.0, 1.0, 1.5, 10.0])
    assert counted[:2] == [("0 to 1 dB", 2), ("1.5 to 2.5 dB", 1)]
    assert len(counted) <= ballots.MOST_BARS
    assert sum(number for _, number in counted) == 4
    assert ballots.summary(SLIDER, []) == "Nobody predicted."


@pytest.mark.parametrize(
    "line",
    [b"{", b"\xff\xfe", b"[]", b"3", b'{"value": 1}', b"[" * 100_000]
    + [b'{"question": "How many?", "value": %s}' % value for value in (b"99", b"NaN", b'"3"', b"null", b"[1]")]
    + [b'{"question": "How many?", "value": 4, "instead_of": %s}' % value for value in (b"4.5", b"99", b"null")],
)
def test_what_is_no_prediction_does_not_count(line, tmp_path):
    file = tmp_path / "predictions.jsonl"
    ballots.add(file, SLIDER, 3.5)
    with file.open("ab") as more:
        more.write(line + b"\n")
    ballots.add(file, SLIDER, 4.0)
    assert ballots.read(file, SLIDER) == ([3.5, 4.0], 1)


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path):
    assert ballots.add(tmp_path, CHOICE, "a") == (f" (Not counted: {tmp_path.name} cannot be written, Is a directory.)")


def test_an_address_that_does_not_exist_leads_back_to_the_chapters(demo, browser):
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{demo[0]}/voila/render/ch99.ipynb")
    page.get_by_role("link", name="All chapters").wait_for()
    assert all(url.startswith((demo[0], "data:")) for url in asked)
    page.close()


@pytest.mark.parametrize("port", ["80808", "0", "-1", "none"])
def test_what_is_no_port_is_one_line(port):
    with pytest.raises(CourseError, match=f"^'{port}' is not a port: choose a number from 1024 to 65535 with PORT=$"):
        ports.require_free(port)


def test_a_taken_port_is_one_line_before_any_chapter_is_played(monkeypatch):
    monkeypatch.setattr(demo_pages, "write", lambda only: pytest.fail("a chapter was played"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CourseError, match=f"choose another with PORT={port + 1}$"):
            server.serve([CHAPTER], str(port), "127.0.0.1")
