"""What a live figure costs, measured in a real kernel beside `interact` with `plt.show()`: `make bench`.

Both draw the same three panels through the same function. A frame is timed from setting the slider's value to the
return of the handler, with everything that the kernel sends on the way. Times depend on the machine; the ratio, from
one run, hardly does.
"""

import json
import subprocess
import sys

import nbformat
from nbclient import NotebookClient

SCRIPT = """
import json, statistics, time
import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from course import models, style
from course.figures import quantization

style.use()
get_ipython().run_line_magic("matplotlib", "inline")
weights = models.trained_mlp()[2].weight.detach().numpy()


def quantize_dequantize(x, bits, lo, hi):
    scale = (hi - lo) / (2**bits - 1)
    return np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo


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


def shown(bits):
    absmax = np.abs(weights).max()
    figure, (stairs, error, histogram) = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
    x = np.linspace(-1.1 * absmax, 1.1 * absmax, 1201)
    after = quantize_dequantize(x, bits, -absmax, absmax)
    stairs.plot(x, x), stairs.plot(x, after)
    error.semilogy(x, np.maximum(np.abs(after - x), 1e-12))
    histogram.hist(weights.ravel(), 120, histtype="stepfilled")
    histogram.hist(quantize_dequantize(weights, bits, -absmax, absmax).ravel(), 120, histtype="step")
    histogram.set_yscale("log")
    plt.show()


results = {
    "quantizer": milliseconds(quantization.quantizer(quantize_dequantize, weights).controls["bits"], 5),
    "schemes": milliseconds(quantization.schemes(affine_params, affine_roundtrip, weights).controls["bits"], 5),
    "interact": milliseconds(widgets.interactive(shown, bits=(2, 8)).children[0], 1),
}
print(json.dumps(results))
"""


def measure() -> dict[str, float]:
    """{name: median milliseconds of a frame in the kernel} of chapter 1's live figures and of "interact"."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SCRIPT)])
    NotebookClient(notebook, timeout=300).execute(stderr=subprocess.DEVNULL)
    printed = "".join(output.text for output in notebook.cells[0].outputs if output.get("name") == "stdout")
    return json.loads(printed.strip().splitlines()[-1])


def main() -> int:
    times = measure()
    slow = times.pop("interact")
    print(f"{'a frame, in the kernel':30}  {'median':>9}  {'interact is':>12}")
    for name, ms in times.items():
        print(f"{'live figure ' + name:30}  {ms:6.1f} ms  {slow / ms:10.0f} x")
    print(f"{'interact with plt.show()':30}  {slow:6.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
