"""The learners' part on this machine, whatever its system: python tests/learners.py

Needs `pip install . ipykernel nbclient pytest` and nothing that grades. All releases run to their ends, unanswered, and
all sources with their answers, at smoke size and with their figures; then the library's own tests.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
import run_notebooks as ran

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ["alt", "check", "expect", "live", "missing", "timing"]
#: What PyTorch says of a machine that has CUDA's compiler and no GPU.
OF_THE_MACHINE = "No CUDA runtime is found"


def faults(folder: Path) -> list[str]:
    """A line for each thing that should not be in the executed notebooks."""
    found = []
    for path in sorted(folder.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        answered = path.stem.endswith("source")
        wrong = [said for _, said in ran.trouble(notebook) if answered or not ran.MISSING.search(said)]
        wrong = [said for said in wrong if OF_THE_MACHINE not in said]
        wrong += [f"did not run: {line}" for line in ran.unrun(notebook)]
        wrong += [f"a picture without words: {line}" for line in ran.without_words(notebook)]
        found += [f"{path.stem}: {said.strip()}" for said in wrong]
    return found


def main() -> int:
    os.environ |= {"NBGRADER_EXECUTION": "autograde", "COURSE_DRAWS": "1"}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for kind in ("release", "source"):
            for path in sorted(ROOT.glob(f"{kind}/*/*.ipynb")):
                shutil.copy(path, folder / f"{path.stem} {kind}.ipynb")
        count = len(list(folder.glob("*.ipynb")))
        print(f"running {count} notebooks on Python {sys.version.split()[0]}, {sys.platform} ...", flush=True)
        ran.run(folder)
        found = faults(folder)
    print("\n".join(found) or f"{count} notebooks: all well", flush=True)
    for name in ("NBGRADER_EXECUTION", "COURSE_DRAWS"):
        del os.environ[name]
    tests = [str(ROOT / "tests" / "library" / f"test_{name}.py") for name in LIBRARY]
    failed = pytest.main(["--noconftest", "-p", "no:cacheprovider", "-W", "default", *tests])
    return bool(found or not count or failed)


if __name__ == "__main__":
    sys.exit(main())
