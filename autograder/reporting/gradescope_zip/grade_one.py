"""In Gradescope's container: `nbgrader autograde` for one submission, and what became of it as results.json.

Where it cannot be graded no results.json is written: Gradescope then says that the autograder failed, and no grade
follows from it. What is printed is shown to instructors alone.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import nbformat
from nbgrader.preprocessors import GetGrades

from autograder import ROOT, CourseError, use_own_programs
from autograder.authoring import build, chapters
from autograder.grading import walls
from autograder.grading.files import is_notebook
from autograder.grading.submission import mark_of
from autograder.reporting.feedback import Outcomes
from autograder.reporting.gradescope import GO_ON, database

LEARNER = "learner"
MOST = 10_000  # characters of one output


def main(root: Path) -> int:
    settings = json.loads((ROOT / "settings.json").read_text("utf-8"))
    results = root / "results" / "results.json"
    results.parent.mkdir(exist_ok=True)
    results.unlink(missing_ok=True)
    begin = time.monotonic()
    refused = walls.refused()
    print(f"walls: {f'none, {refused}' if refused else 'bubblewrap'}", flush=True)
    if refused and settings["without_walls"] != GO_ON:
        print(
            "Not graded: without walls a learner's code can read the hidden tests and write its own results. To grade "
            'all the same: make gradescope CHAPTER=... WITHOUT_WALLS="go on"'
        )
        return 1
    try:
        made = graded(settings["chapter"], root / "submission", bool(refused))
    except (CourseError, OSError) as why:
        print(f"Not graded: {why}")
        return 1
    for test in made["tests"]:
        test["visibility"] = settings["visibility"]
    made |= {
        "execution_time": round(time.monotonic() - begin),
        "visibility": settings["visibility"],
        "stdout_visibility": "hidden",
        "extra_data": {"walls": "none" if refused else "bubblewrap"},
    }
    partial = results.with_suffix(".partial")
    partial.write_text(json.dumps(made, indent=1), "utf-8")
    partial.replace(results)
    return 0


def graded(chapter: str, submission: Path, without_walls: bool) -> dict:
    """What results.json says of the submission in a folder; raises CourseError where it could not be graded."""
    folder = _holds_notebook(submission)
    if folder is None:
        released = nbformat.read(chapters.release_path(chapter), as_version=4)
        why = f"No notebook was handed in: hand in {chapter}.ipynb, saved by Jupyter or Colab."
        return {"output": why, "tests": [_nothing(exercise) for exercise in chapters.exercises_released(released)]}
    for name in ("submitted", "autograded"):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    shutil.copytree(folder, ROOT / "submitted" / LEARNER / chapter, symlinks=True)
    more = ["--TwoKernels.sandbox=False"] if without_walls else []
    build.run_nbgrader("autograde", chapter, "--force", f"--db={database(ROOT)}", *more)
    place = ROOT / "autograded" / LEARNER / chapter
    if not mark_of(place):
        raise CourseError("nbgrader autograde left no grade; its account stands above")
    about = {"student": LEARNER, "assignment": chapter, "notebook": chapter, "db_url": database(ROOT)}
    notebook, resources = nbformat.read(place / f"{chapter}.ipynb", as_version=4), {"nbgrader": about}
    for step in (GetGrades(), Outcomes()):
        notebook, resources = step(notebook, resources)
    page = resources["page"]
    return {"output": "\n".join(page["notes"])[:MOST], "tests": [_test(exercise) for exercise in page["exercises"]]}


def _holds_notebook(submission: Path) -> Path | None:
    """The folder of what was handed in that holds a notebook, the uppermost: a zip may have brought one of its own."""
    folders = [submission, *sorted(path for path in submission.rglob("*") if path.is_dir() and not path.is_symlink())]
    for folder in sorted(folders, key=lambda folder: len(folder.parts)):
        parts = folder.relative_to(submission).parts
        if not any(part.startswith((".", "__")) for part in parts) and any(
            is_notebook(path.name) and not path.name.startswith(".") for path in folder.iterdir()
        ):
            return folder
    return None


def _test(exercise: dict) -> dict:
    """One exercise, with what the feedback page says of it: outcomes and messages, and no source of a test."""
    lines = [] if exercise["answered"] else ["Not answered."]
    for check in exercise["checks"]:
        if exercise["answered"] or check["outcome"] == "passed":
            lines.append(f"{check['what']}: {check['outcome']}")
            lines += [f"  {line}" for line in (check.get("message") or "").splitlines()]
    if exercise["error"]:
        lines += ["Your cell stopped with an error:", exercise["error"]]
    return {
        "name": exercise["heading"],
        "number": exercise["id"].replace("_", "."),
        "score": exercise["earned"],
        "max_score": exercise["points"],
        "status": "passed" if exercise["earned"] >= exercise["points"] else "failed",
        "output": "\n".join(lines)[:MOST],
        "output_format": "text",
    }


def _nothing(exercise: chapters.Exercise) -> dict:
    heading = f"{'Lab' if exercise.number.startswith('L') else 'Exercise'} {exercise.number} · {exercise.kind}"
    about = {"heading": heading, "id": exercise.id, "earned": 0, "points": exercise.points}
    return _test(about | {"answered": False, "checks": [], "error": None})


if __name__ == "__main__":
    use_own_programs()
    sys.exit(main(Path(sys.argv[1])))
