"""The steps behind the Makefile: `python -m autograder STEP [chapter ...]`."""

import argparse
import sys

from autograder import CourseError, chapters, use_own_programs

ARGUMENT = {"free-port": "port", "publish": "folder"}


def main() -> int:
    steps = {
        "source": "write the source notebooks and the checks from the percent texts",
        "release": "make the learners' notebooks with nbgrader",
        "sample": "put the sample class into submitted/, unless a real class is there",
        "unsample": "take the sample class out of submitted/ and the gradebook again",
        "grade": "autograde what is in submitted/",
        "feedback": "write the feedback pages",
        "report": "print the grade table",
        "results": "print the class's results in the capstone's challenge, and write them as CSV",
        "publish": "write what learners get, without solutions, into a folder of its own",
        "free-port": "fail when a port is in use",
    }
    parser = argparse.ArgumentParser(prog="python -m autograder", description=__doc__)
    commands = parser.add_subparsers(dest="step", required=True)
    for name, help_text in steps.items():
        command = commands.add_parser(name, help=help_text)
        command.add_argument("arguments", nargs="*", metavar=ARGUMENT.get(name, "chapter"))
        if name == "grade":
            command.add_argument("--force", action="store_true", help="grade again what was graded before")
    options = parser.parse_args()
    use_own_programs()
    try:
        run(options)
    except CourseError as error:
        print(f"{options.step}: {error}", file=sys.stderr)
        return 2
    return 0


def run(options: argparse.Namespace) -> None:
    if options.step == "free-port":
        from autograder import ports

        return ports.require_free(int(options.arguments[0]))
    if options.step == "publish":
        from autograder import publish

        publish.write(" ".join(options.arguments))
        return
    if options.step == "results":
        from autograder import results

        results.write()
        return
    only = [chapters.require(name) for name in options.arguments] or chapters.names()
    if options.step in ("source", "release"):
        from autograder import build

        (build.write_sources if options.step == "source" else build.write_releases)(only)
    elif options.step in ("sample", "unsample"):
        from autograder import sample_class

        (sample_class.write if options.step == "sample" else sample_class.remove)(only)
    else:
        from autograder import grading

        if options.step == "grade":
            grading.grade(only, force=options.force)
        elif options.step == "feedback":
            grading.feedback(only)
        else:
            grading.report()


if __name__ == "__main__":
    sys.exit(main())
