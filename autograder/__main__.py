"""The steps behind the Makefile: `python -m autograder STEP [chapter ...]`."""

import argparse
import sys

from autograder import CourseError, use_own_programs
from autograder.authoring import chapters

ARGUMENT = {"lab": "port", "publish": "folder", "giveback": "platform, chapter"}


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
        "giveback": "write the grade sheet and zips of feedback pages for canvas, moodle or brightspace",
        "similar": "find pairs of submissions that are alike beyond what the course explains",
        "insight": "write a page for each graded chapter: what the class has solved, and its misconceptions",
        "gradescope": "write a zip that makes Gradescope grade a chapter as it is graded here",
        "publish": "write what learners get, without solutions, into a folder of its own",
        "lab": "serve a person's own copies of the releases in JupyterLab",
        "demo": "serve the live figures as full-screen pages",
        "site": "write the chapters as static pages to site/",
        "pictures": "take the README's pictures",
    }
    parser = argparse.ArgumentParser(prog="python -m autograder", description=__doc__)
    commands = parser.add_subparsers(dest="step", required=True)
    for name, help_text in steps.items():
        command = commands.add_parser(name, help=help_text)
        command.add_argument("arguments", nargs="*", metavar=ARGUMENT.get(name, "chapter"))
        if name in ("report", "results", "giveback"):
            command.add_argument("--db", help="another gradebook than nbgrader_config.py names: sqlite:///...")
        if name == "gradescope":
            choices = ("refuse", "go on")
            command.add_argument("--without-walls", choices=choices, default="refuse", help="where there are no walls")
        if name == "demo":
            command.add_argument("--port", default="8866")
            command.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines look, too")
    options = parser.parse_args()
    use_own_programs()
    try:
        run(options)
    except CourseError as error:
        print(f"{options.step}: {error}", file=sys.stderr)
        return 2
    return 0


def run(options: argparse.Namespace) -> None:
    if options.step == "lab":
        from autograder.showing import lab

        lab.work(*options.arguments)
        return
    if options.step == "pictures":
        from autograder.showing import pictures

        pictures.take()
        return
    if options.step == "publish":
        from autograder.authoring import publish

        publish.write(" ".join(options.arguments))
        return
    if options.step == "results":
        from autograder.reporting import results

        results.write(options.db)
        return
    if options.step == "giveback":
        from autograder.reporting import giving_back

        platform, *named = options.arguments or [""]
        giving_back.give(platform, [chapters.require(name) for name in named], options.db)
        return
    only = [chapters.require(name) for name in options.arguments] or chapters.names()
    if options.step in ("source", "release"):
        from autograder.authoring import build

        (build.write_sources if options.step == "source" else build.write_releases)(only)
    elif options.step == "insight":
        from autograder.reporting import insight

        insight.write(only, asked=bool(options.arguments))
    elif options.step in ("sample", "unsample"):
        from autograder.authoring import sample_class

        (sample_class.write if options.step == "sample" else sample_class.remove)(only)
    elif options.step == "gradescope":
        from autograder.reporting import gradescope

        for chapter in only:
            gradescope.write(chapter, options.without_walls)
    elif options.step == "similar":
        from autograder.reporting import similar

        similar.write_all(only)
    elif options.step == "demo":
        from autograder.showing import demo

        demo.serve(only, options.port, options.host)
    elif options.step == "site":
        from autograder.showing import site_pages

        print(f"wrote {site_pages.write(only)}/index.html")
    else:
        from autograder.grading import command
        from autograder.reporting import report

        if options.step == "grade":
            command.grade(only)
        elif options.step == "feedback":
            report.feedback(only)
        else:
            report.report(options.db)


if __name__ == "__main__":
    sys.exit(main())
