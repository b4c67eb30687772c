"""What every chapter's notebook imports: live figures, instant checks, data, models.

It holds no solution and no hidden test, because learners install it. The answers to the short exercises are here
only as salted digests (`checks.json`), made from the chapters' sources at build time.
"""

import os

__version__ = "0.2.0"

#: True while nbgrader executes the notebook, to grade or to validate it. Experiments that train shrink to a smoke size
#: then: grades come from test cells, and a class of hundreds should not train hundreds of models.
GRADING = os.environ.get("NBGRADER_EXECUTION") in ("autograde", "validate")


def ready(chapter: int) -> None:
    """Say what this notebook runs with, and how far the learner has come; the set-up cell's last line.

    Also sets matplotlib up, so that every chapter looks the same.
    """
    import platform

    import torch
    from IPython import get_ipython

    from course import alt, check, missing, style

    style.use()
    if shell := get_ipython():
        shell.run_line_magic("matplotlib", "inline")  # shows a Figure that a cell ends with
        alt.use(shell)
        missing.use(shell)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores"
    print(f"Ready: course {__version__}, Python {platform.python_version()}, torch {torch.__version__} on {device}.")
    if GRADING:
        print("nbgrader runs this notebook: what trains is cut short here, so the numbers of experiments mean nothing.")
    else:
        check.show_progress(chapter)
