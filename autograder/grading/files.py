"""The files that travel with a notebook, as values."""

import os
from pathlib import Path

NOTEBOOKS = (".ipynb", ".ipynb.txt", ".ipynb.json")
FEW = 2000  # files beside one notebook
SEEN = 20_000  # files and folders that are looked at
DEEP = 20  # folders within folders


def is_notebook(name: str) -> bool:
    return name.lower().endswith(NOTEBOOKS)


def gather(folder: Path, most: int) -> tuple[dict[str, bytes], list[str]]:
    """({relative path: bytes} of what lies beside the notebooks in `folder`, what was left out and why).

    Links and devices are left out: they could lend a learner's code the instructor's files. So is what is hidden, and
    what is more than `most` bytes, or than anybody puts beside a notebook. Raises OSError.
    """
    files: dict[str, bytes] = {}
    left_out, size, seen, waiting = [], 0, 0, [("", 0)]
    while waiting:
        place, depth = waiting.pop()
        for entry in sorted(os.scandir(folder / place), key=lambda entry: entry.name):
            name = os.path.join(place, entry.name)
            seen += 1
            if entry.name.startswith((".", "__")) or (not place and is_notebook(entry.name)):
                continue
            if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
                left_out.append(f"{name}: a link or a device")
            elif entry.is_dir():
                waiting += [(name, depth + 1)] if depth < DEEP else []
                left_out += [] if depth < DEEP else [f"{name}: more than {DEEP} folders deep"]
            elif seen > SEEN or len(left_out) > FEW:
                return files, [*left_out, f"{name} and the rest: nobody puts so much beside a notebook"]
            elif len(files) >= FEW or size + entry.stat().st_size > most:
                left_out.append(f"{name}: more than {FEW:,} files or {most >> 20:,} MiB lie beside the notebook")
            else:
                files[name] = Path(entry.path).read_bytes()
                size += len(files[name])
    return files, left_out
