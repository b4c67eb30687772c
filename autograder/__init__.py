"""What runs on the instructor's machine: building chapters, the answer bank, the sample class, grading and reports."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class CourseError(Exception):
    """Something a person can put right; its message is one line that names the thing and the way out."""
