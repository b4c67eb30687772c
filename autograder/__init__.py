"""What runs on the instructor's machine: building chapters, the answer bank, the sample class, grading and reports."""

import os
import sys
from pathlib import Path

# jsonschema loads a grammar of internationalized addresses where it finds one: a second of every process that reads a
# notebook, for a check that nobody asks for.
sys.modules.setdefault("rfc3987_syntax", None)

ROOT = Path(__file__).resolve().parent.parent
COURSE_ID = "model_compression"
NEEDS_A_LOOK = 3  # exit code of autograde: all is graded, and somebody's submission needs a person


class CourseError(Exception):
    """Something a person can put right; its message is one line that names the thing and the way out."""


def use_own_programs() -> None:
    """Find this environment's programs by name even when it is not activated: nbgrader calls alembic that way."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
