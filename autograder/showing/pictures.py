"""The README's pictures: a live figure in JupyterLab, a demo page, pages of feedback and insight, in a real browser."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from playwright.sync_api import Browser

from autograder import ROOT, CourseError
from autograder.authoring import sample_class
from autograder.reporting import insight
from autograder.showing import ports
from autograder.showing.browser import chromium, open_notebook, run_all, wait_until_run
from autograder.showing.lab import served

PICTURES = ROOT / "docs"
CHAPTER = "ch01_quantization"
STUDENT = "chen"  # some answers right, some wrong


def take() -> None:
    """Write docs/live.png, docs/demo.png, docs/feedback.png and docs/insight.png."""
    PICTURES.mkdir(exist_ok=True)
    page = ROOT / "feedback" / STUDENT / CHAPTER / f"{CHAPTER}.html"
    if not page.exists():
        raise CourseError(
            f"feedback/{STUDENT}/{CHAPTER} is missing: take the pictures in a clone whose submitted/ holds no class"
        )
    with chromium() as browser:
        _live(browser, PICTURES / "live.png")
        _page(browser, page, PICTURES / "feedback.png")
        insight.write([CHAPTER], asked=True)
        _page(browser, ROOT / "autograded" / f"{CHAPTER}_insight.html", PICTURES / "insight.png")
        _demo(browser, PICTURES / "demo.png")


def _live(browser: Browser, picture: Path) -> None:
    """Chapter 1's quantizer under the cell that made it, with answers in place."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as address:
        notebook = sample_class.submission("ada", CHAPTER)
        nbformat.write(notebook, Path(folder, f"{CHAPTER}.ipynb"))
        page = open_notebook(browser.new_context(viewport={"width": 1400, "height": 900}), address, f"{CHAPTER}.ipynb")
        run_all(page)
        wait_until_run(page)
        cell = page.locator(".jp-CodeCell", has=page.locator("img.course-live")).first
        slider = cell.get_by_role("slider").first
        slider.press("ArrowLeft")
        page.wait_for_timeout(500)  # the last frame
        cell.screenshot(path=picture)


def _page(browser: Browser, html: Path, picture: Path) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.goto(html.as_uri())
    page.screenshot(path=picture)


def _demo(browser: Browser, picture: Path) -> None:
    with _demo_server() as address:
        page = browser.new_page(viewport={"width": 1600, "height": 900}, color_scheme="dark")
        page.goto(f"{address}voila/render/{CHAPTER}.ipynb")
        page.locator("img.course-live").first.wait_for(timeout=60_000)
        page.wait_for_timeout(1000)  # the page has come to rest
        page.screenshot(path=picture)


@contextlib.contextmanager
def _demo_server() -> Iterator[str]:
    port = ports.find_free()
    command = [sys.executable, "-m", "autograder", "demo", CHAPTER, "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            for line in server.stdout:
                if f":{port}/" in line:
                    break
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
