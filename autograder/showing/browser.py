"""Chromium, and what a person does with a notebook in JupyterLab: open it, run all of it, see that it is done."""

import contextlib
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from autograder import CourseError
from autograder.showing.lab import TOKEN

#: Names of the same browser; without any of them, Playwright's own is started, if it is there.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: A container has no user namespaces for Chromium's sandbox and often no GPU.
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium of this machine, or Playwright's own; CourseError with the way out where there is neither."""
    with sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        try:
            browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        except Error as error:
            why = f"{program} did not start ({error.message.splitlines()[0]})" if program else "Chromium is missing"
            raise CourseError(
                f"{why}: type sudo apt-get install chromium (elsewhere: .venv/bin/playwright install chromium)"
            ) from None
        with contextlib.closing(browser):
            yield browser


def open_notebook(context: Browser | BrowserContext, address: str, path: str) -> Page:
    """A new page with the notebook at `path` of the folder that `served` gave `address` for, and its kernel ready."""
    page = context.new_page()
    with page.expect_websocket(lambda socket: "/api/kernels/" in socket.url):
        page.goto(f"{address}/{path}?token={TOKEN}&reset")
    # Before its kernel is there, a notebook calls itself idle, too, and Run All does nothing.
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    return page


def run_all(page: Page) -> None:
    """Choose Run All Cells in the menu."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def wait_until_run(page: Page, timeout: float = 120) -> None:
    """Return when every cell has run. After an error, cells that wait have neither a number nor a star."""
    prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]"
    condition = f"{prompts}.every(prompt => /\\d/.test(prompt.textContent))"
    page.wait_for_function(condition, polling=100, timeout=1000 * timeout)  # a page behind another has no frames


def close(page: Page) -> None:
    """End the notebook's kernel, and close its page."""
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name="Shut Down Kernel", exact=True).click()
    page.wait_for_function("document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status !== 'idle'")
    page.close()
