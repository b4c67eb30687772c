"""From key press to new pixels: Chapter 1's figure in JupyterLab in a real browser, live and by `interact`.

The page itself takes the time, from the key's event until the new picture has loaded and its frame has been painted,
so that nothing of the way between Python and the browser is in it.
"""

import statistics
import tempfile
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page

from autograder.showing.browser import chromium, open_notebook, run_all, wait_until_run
from autograder.showing.lab import served

#: Chapter 1's figure: what it is made of, and the same panels made anew for each value, as `interact` has it.
FIGURE = """
import ipywidgets as widgets
import numpy as np
from IPython import get_ipython
from IPython.display import display
from course import models, style
from course.figures import quantization

style.use()
get_ipython().run_line_magic("matplotlib", "inline")
weights = models.trained_mlp()[2].weight.detach().numpy()


def quantize_dequantize(x, bits, lo, hi):
    scale = (hi - lo) / (2**bits - 1)
    return np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo


def shown(bits):
    panels = quantization._Panels(weights)
    lo, hi = -panels.absmax, panels.absmax
    panels.show(lambda x: quantize_dequantize(x, bits, lo, hi), lo, hi, "")
    display(panels.figure)
"""

CELLS = {
    "live figure quantizer": "quantization.quantizer(quantize_dequantize, weights)",
    "the same by interact": "widgets.interact(shown, bits=(2, 8));",
}

# Resolves to milliseconds from the next key to the next picture: when it has loaded, its frame is asked for, and the
# message behind that frame's callbacks comes when they have been painted. The image may be the same one or a new one.
NEXT = """() => { window.measured = new Promise(resolve => {
    let pressed;
    document.addEventListener('keydown', () => pressed = performance.now(), {capture: true, once: true});
    const loaded = event => {
        if (event.target.tagName !== 'IMG' || pressed === undefined) return;
        document.removeEventListener('load', loaded, true);
        requestAnimationFrame(() => {
            const {port1, port2} = new MessageChannel();
            port1.onmessage = () => resolve(performance.now() - pressed);
            port2.postMessage(0);
        });
    };
    document.addEventListener('load', loaded, true);
}); }"""


def measure(presses: int = 40) -> dict[str, list[float]]:
    """{figure: milliseconds from key press to new pixels of each of `presses` presses}, Live's and `interact`'s."""
    cells = [nbformat.v4.new_code_cell(source) for source in (FIGURE, *CELLS.values())]
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(nbformat.v4.new_notebook(metadata=python, cells=cells), Path(folder, "latency.ipynb"))
        with served(folder) as address, chromium() as browser:
            page = open_notebook(browser, address, "latency.ipynb")
            run_all(page)
            wait_until_run(page)
            return {
                name: _presses(page, page.locator(".jp-CodeCell").nth(cell).get_by_role("slider").first, presses)
                for cell, name in enumerate(CELLS, start=1)
            }


def report(times: dict[str, list[float]]) -> str:
    """The lines that `make bench` prints: medians, the slowest of ten, and how much longer `interact` takes."""
    live, slow = (statistics.median(times[name]) for name in CELLS)
    lines = [f"{'key press to pixels':30}  {'median':>9}  {'1 in 10 over':>12}"]
    lines += [
        f"{name:30}  {statistics.median(each):6.1f} ms  {statistics.quantiles(each, n=10)[-1]:9.1f} ms"
        for name, each in times.items()
    ]
    return "\n".join([*lines, f"interact takes {slow / live:.1f} times as long; the aim is 60 ms and 8 times"])


def _presses(page: Page, slider: Locator, presses: int) -> list[float]:
    """Up and down through the slider's values, each press when the picture of the one before is there."""
    slider.focus()
    slider.press("Home")
    page.wait_for_timeout(2000)  # the way to the start is nobody's press: let its picture come and go
    times, key = [], "ArrowRight"
    for _ in range(presses):
        page.evaluate(NEXT)
        page.keyboard.press(key)
        times.append(page.evaluate("measured"))
        page.wait_for_timeout(100)  # a person's next press
        now, low, high = (slider.get_attribute(f"aria-value{name}") for name in ("now", "min", "max"))
        key = {low: "ArrowRight", high: "ArrowLeft"}.get(now, key)
    return times
