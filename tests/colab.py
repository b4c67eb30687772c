"""Colab's versions in a virtual environment: `make colab`, or python tests/colab.py FOLDER.

With a file that ends in .txt, as Colab publishes its packages, colab.txt takes over the versions that stand there.
It holds what colab.txt names, and torch, with what torch needs, as links into this environment: the same files, found
after Colab's own. So nothing else of this environment can be imported there.
"""

import re
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PINS = Path(__file__).with_name("colab.txt")
FOLDER = Path(__file__).resolve().parent.parent / ".make" / "colab-venv"
PYTHON = FOLDER / "bin" / "python"


def make(folder: Path) -> None:
    """Make the environment anew; raises CalledProcessError, after pip's own words, when it cannot be."""
    venv.create(folder, clear=True, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-compile", "-r", str(PINS)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    link("torch", packages)


def link(name: str, packages: Path) -> None:
    """Link the installed distribution and those it needs into `packages`, except those that are there."""
    wanted, done = [name], {canonicalize_name(there.name) for there in distributions(path=[str(packages)])}
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in done:
            continue
        done.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # needed elsewhere only: another system, an extra
            continue
        for top in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(found.locate_file(top))
        asked = map(Requirement, found.requires or ())
        wanted += [need.name for need in asked if need.marker is None or need.marker.evaluate({"extra": ""})]


def pinned() -> dict[str, str]:
    """{distribution: version} in colab.txt."""
    lines = PINS.read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def take_over(freeze: Path) -> None:
    """Give colab.txt, line by line, the versions in `freeze`, a list such as pip freeze prints."""
    there = dict(re.findall(r"^([\w.-]+)==(\S+)$", freeze.read_text("utf-8"), re.MULTILINE))
    there = {canonicalize_name(name): version for name, version in there.items()}
    lines = []
    for line in PINS.read_text("utf-8").splitlines():
        name = line.partition("==")[0]
        version = there.get(canonicalize_name(name)) if "==" in line and not line.startswith("#") else None
        lines.append(f"{name}=={version}" if version else line)
    PINS.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].endswith(".txt"):
        sys.exit(take_over(Path(sys.argv[1])))
    try:
        make(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
    except subprocess.CalledProcessError:
        sys.exit(f"colab: pip could not install what {PINS.name} names; see its last lines above")
