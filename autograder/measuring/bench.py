"""What a live figure and a graded submission cost: `make bench`.

A live figure is measured in a real kernel beside `interact`, which makes the same three panels anew for each value. A
frame is timed from setting the slider's value to the return of the handler, with everything that the kernel sends on
the way; the whole way, from a key to the screen, is in `latency`. A submission is run by nbgrader's own step and by
ours. Times depend on the machine; the ratios, from one run, hardly do.
"""

import copy
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time

import nbformat
from nbclient import NotebookClient
from nbgrader.preprocessors import Execute
from nbgrader.utils import setenv

from autograder import CourseError, use_own_programs
from autograder.authoring import chapters
from autograder.grading.execute import TwoKernels
from autograder.measuring import latency

# Chapter 1's figure stands in `latency.FIGURE`.
SCRIPT = """
import json, statistics, time


def affine_params(lo, hi, bits):
    scale = (hi - lo) / (2**bits - 1)
    return scale, round(-lo / scale)


def affine_roundtrip(x, scale, zero_point, qmin, qmax):
    return (np.clip(np.round(x / scale) + zero_point, qmin, qmax) - zero_point) * scale


def milliseconds(slider, rounds):
    times = []
    for _ in range(rounds):
        for value in [*range(slider.min, slider.max + 1), *range(slider.max - 1, slider.min, -1)]:
            if slider.value != value:
                start = time.perf_counter()
                slider.value = value
                times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


results = {
    "quantizer": milliseconds(quantization.quantizer(quantize_dequantize, weights).controls["bits"], 5),
    "schemes": milliseconds(quantization.schemes(affine_params, affine_roundtrip, weights).controls["bits"], 5),
    "interact": milliseconds(widgets.interactive(shown, bits=(2, 8)).children[0], 1),
}
print(json.dumps(results))
"""


def measure() -> dict[str, float]:
    """{name: median milliseconds of a frame in the kernel} of chapter 1's live figures and of "interact"."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(latency.FIGURE + SCRIPT)])
    NotebookClient(notebook, timeout=300).execute(stderr=subprocess.DEVNULL)
    printed = "".join(output.text for output in notebook.cells[0].outputs if output.get("name") == "stdout")
    return json.loads(printed.strip().splitlines()[-1])


def grading(rounds: int = 5) -> dict[str, float]:
    """{step: median seconds to run Chapter 1's solutions} by nbgrader's own step and by ours, one after the other."""
    notebook = nbformat.read(chapters.source_path("ch01_quantization"), as_version=4)
    times: dict[str, list[float]] = {"nbgrader's Execute": [], "two kernels": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, step in zip(times, (Execute(extra_arguments=["--log-level=ERROR"]), TwoKernels()), strict=True):
                step.log.setLevel(logging.CRITICAL)
                start = time.perf_counter()
                with setenv(NBGRADER_EXECUTION="autograde"):  # both cut trainings short, as autograde does
                    step.preprocess(copy.deepcopy(notebook), {"metadata": {"path": folder}})
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(measured) for name, measured in times.items()}


def main() -> int:
    use_own_programs()
    times = measure()
    slow = times.pop("interact")
    print(f"{'a frame, in the kernel':30}  {'median':>9}  {'interact is':>12}")
    for name, ms in times.items():
        print(f"{'live figure ' + name:30}  {ms:6.1f} ms  {slow / ms:10.0f} x")
    print(f"{'the same by interact':30}  {slow:6.1f} ms")
    print("\n" + latency.report(latency.measure()))
    seconds = grading()
    plain = next(iter(seconds.values()))
    print(f"\n{'a submission, graded':30}  {'median':>9}  {'of plain':>12}")
    for name, each in seconds.items():
        print(f"{name:30}  {each:6.1f} s   {each / plain:10.2f} x")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CourseError as error:
        sys.exit(f"bench: {error}")
