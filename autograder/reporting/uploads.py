"""Under which name a learning platform wrote an upload: whoever gives something back there is found by it.

Collecting notes it in submitted/STUDENT/.CHAPTER.json, where no learner's file can stand:

    {"upload": "submissions.zip/Ada Lovelace_4711_assignsubmission_file_/ch01_quantization.ipynb", ...}

A class that was collected by other means may have, beside the notebook, submitted/STUDENT/CHAPTER/.uploaded.json:

    {"platform": "moodle", "name": "Ada Lovelace_4711_assignsubmission_file_/ch01_quantization.ipynb",
     "time": "2026-11-20T10:15:00+00:00"}

platform: canvas, moodle or brightspace. Both names are the path inside the platform's download. The second one may be
forged: it says no more than one file's name, and a name that two people have counts for neither.
"""

import json
import re
from pathlib import Path

from nbgrader.coursedir import CourseDirectory

RECORD = ".uploaded.json"
LONGEST = 10_000  # bytes of a record
#: Full Name_4711_assignsubmission_file_, a folder or the start of a file's name: moodle reads its first four parts
#: (mod/assign/feedback/file/importziplib.php).
MOODLE = re.compile(r"[^/]+?_(?P<participant>\d+)_assign(?:submission|feedback)_[a-z]+")
#: 123-456 - Full Name - Nov 20, 2026 1015 AM, a folder or the start of a file's name.
BRIGHTSPACE = re.compile(r"\d+-\d+ - .+")


def name(course: CourseDirectory, student: str, chapter: str, platform: str) -> str | None:
    """The upload's name, with / between folders; None where nobody noted it, or another platform's."""
    place = Path(course.format_path(course.submitted_directory, student, chapter))
    collected, told = _record(place.with_name(f".{chapter}.json")), _record(place / RECORD)
    found = collected.get("upload") or (told.get("platform") == platform and told.get("name"))
    return found.replace("\\", "/") if isinstance(found, str) else None


def _record(path: Path) -> dict:
    try:
        with path.open("rb") as file:
            record = json.loads(file.read(LONGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def page_name(platform: str, upload: str, chapter: str) -> str | None:
    """Where the page stands in the zip that `platform` takes; None: the upload's name is none of the platform's."""
    return {"canvas": _canvas, "moodle": _moodle, "brightspace": _brightspace}[platform](upload, chapter)


def canvas_user(course: CourseDirectory, student: str, chapter: str) -> str | None:
    """Canvas' number of the person, from the name of their upload."""
    upload = name(course, student, chapter, "canvas")
    numbers = _canvas_numbers(upload) if upload else []
    return numbers[0] if len(numbers) > 1 else None


def moodle_participant(course: CourseDirectory, student: str, chapter: str) -> str | None:
    """The person's number in this assignment, from the name of their upload."""
    found = _moodle_folder(name(course, student, chapter, "moodle") or "")
    return found["participant"] if found else None


def _canvas_numbers(upload: str) -> list[str]:
    """[user, attachment]: the first two parts of lovelaceada_LATE_101_5001_ch01.ipynb that are numbers."""
    return [part for part in upload.rpartition("/")[2].split("_") if re.fullmatch(r"[0-9]+", part)][:2]


def _canvas(upload: str, chapter: str) -> str | None:
    """The name as it was, but for its ending, which is the page's.

    Canvas reads the two numbers (canvas-lms, infer_comment_context_from_filename in app/models/abstract_assignment.rb)
    and shows the file under the upload's name; by its ending it knows that it is a page.
    """
    last = upload.rpartition("/")[2]
    anonymous = re.match(r"anon_[^_]+_\d+_", last.replace("_LATE_", "_"))
    return f"{_stem(last)}.html" if anonymous or len(_canvas_numbers(upload)) == 2 else None


def _moodle(upload: str, chapter: str) -> str | None:
    """In the folder of the download: Full Name_4711_assignsubmission_file_/ch01_quantization.html."""
    found = _moodle_folder(upload)
    return f"{found[0]}_/{chapter}.html" if found else None


def _moodle_folder(upload: str) -> re.Match | None:
    return next(filter(None, map(MOODLE.match, upload.split("/"))), None)


def _brightspace(upload: str, chapter: str) -> str | None:
    """In the folder of the download, or beside the file's own name where there are no folders."""
    own = next((part for part in upload.split("/") if BRIGHTSPACE.fullmatch(part)), None)
    if own is None:
        return None
    return f"{own}/{chapter}.html" if _stem(own) == own else f"{_stem(own)}.html"


def _stem(name: str) -> str:
    """The name without .ipynb, .ipynb.txt or any other ending."""
    return re.sub(r"(\.ipynb)?\.\w{1,5}$", "", name)
