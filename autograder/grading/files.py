"""The files that travel with a notebook, as values."""

import os
from pathlib import Path

NOTEBOOKS = (".ipynb", ".ipynb.txt", ".ipynb.json")
FEW = 2000  # files beside one notebook


def is_notebook(name: str) -> bool:
    return name.lower().endswith(NOTEBOOKS)


def gather(folder: Path, most: int) -> tuple[dict[str, bytes], list[str]]:
    """({relative path: bytes} of what lies beside the notebooks in `folder`, what was left out and why).

    Links and devices are left out: they could lend a learner's code the instructor's files. So is what is hidden, and
    what does not fit into `most` bytes.
    """
    files, left_out, size = {}, [], 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in [*folders, *sorted(names)]:
            path = Path(place, name)
            shown = os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                left_out.append(f"{shown}: a link or a device")
            elif path.is_dir() or name.startswith(".") or (path.parent == folder and is_notebook(name)):
                continue
            elif len(files) >= FEW or size + path.stat().st_size > most:
                left_out.append(f"{shown}: more than {FEW:,} files or {most >> 20:,} MiB lie beside the notebook")
            else:
                files[str(path.relative_to(folder))] = path.read_bytes()
                size += len(files[str(path.relative_to(folder))])
    return files, left_out
