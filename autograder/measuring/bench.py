"""What a live figure and a graded submission cost: `make bench`.

A live figure is measured in a real kernel beside `interact`, which makes the same three panels anew for each value. A
frame is timed from setting the slider's value to the return of the handler, with everything that the kernel sends on
the way; the whole way, from a key to the screen, is in `latency`. What grading costs is in `speed`. Times depend on the
machine; the ratios, from one run, hardly do. With SCALE=1000 in the environment only a class that waits is graded.
"""

import json
import os
import subprocess
import sys

import nbformat
from nbclient import NotebookClient

from autograder import CourseError, use_own_programs
from autograder.measuring import latency, speed

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


def main() -> int:
    use_own_programs()
    if os.environ.get("SCALE"):
        speed.report()
        return 0
    times = measure()
    slow = times.pop("interact")
    print(f"{'a frame, in the kernel':30}  {'median':>9}  {'interact is':>12}")
    for name, ms in times.items():
        print(f"{'live figure ' + name:30}  {ms:6.1f} ms  {slow / ms:10.0f} x")
    print(f"{'the same by interact':30}  {slow:6.1f} ms")
    print("\n" + latency.report(latency.measure()))
    print()
    speed.report()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CourseError as error:
        sys.exit(f"bench: {error}")
